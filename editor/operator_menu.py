"""Who is signed in, in the navigation: name, role, and the way out."""

from __future__ import annotations

from nicegui import ui

from editor.elements import box, icon
from editor.session import operator_of
from runtime.actors import Actor
from runtime.http.form_token import FIELD
from runtime.http.operator_cookie import sign_out_token


def operator_menu(classes: str, *, is_named: bool) -> None:
    """Draw the button and its menu; nothing on a page that was loaded without a sign-in."""
    operator = operator_of(ui.context.client)
    if operator is None or operator.session is None:
        return
    with box(f"{classes} pw-operator", "button") as opener:
        opener.props("type=button aria-haspopup=menu")
        opener.props["aria-label"] = f"{operator.name}, {operator.role}"
        _initial(operator)
        if is_named:
            ui.label(operator.name).classes("pw-link-text pw-clip")
        place = "anchor='top right' self='bottom left'" if is_named else "anchor='bottom right' self='top right'"
        with ui.menu().props(f"{place} :offset='[4, 6]'").classes("pw-operator-menu"):
            with box("pw-operator-who"):
                _initial(operator)
                with box("pw-grow"):
                    ui.label(operator.name).classes("pw-row-title pw-clip")
                    ui.label(operator.role.capitalize()).classes("pw-row-sub")
            ui.separator()
            with ui.menu_item(on_click=lambda: ui.navigate.to("/settings#account")):
                icon("person")
                ui.label("Your account")
            _sign_out(operator.session)


def _sign_out(session: str) -> None:
    """Draw a plain form, so that the browser itself forgets the cookie."""
    with box("pw-operator-out", "form").props("method=post action=/sign-out"):
        field = box(tag="input").props(f"type=hidden name={FIELD}")
        field.props["value"] = sign_out_token(session)
        with box(tag="button").props("type=submit"):
            icon("logout")
            ui.label("Sign out")


def _initial(operator: Actor) -> None:
    with box("pw-operator-mark", "span").props("aria-hidden=true"):
        ui.label(operator.name[:1].upper())
