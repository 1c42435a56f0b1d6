"""The settings of the hosted pages, with a preview that follows what is typed."""

from __future__ import annotations

from asyncio import to_thread
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nicegui import events, ui
from nicegui.element import Element

from backend.errors import BackendError
from backend.hosted import COLOUR, LOGO_BYTES, NAME_CHARS, ORIGINS, Hosted, logo_from
from editor.elements import web_page
from editor.flow_dialogs import drop_zone
from editor.frame import box, icon
from editor.hosted_preview import draw_preview
from editor.session import service_here, with_role
from editor.user_dialogs import place_faults
from editor.users_frame import users_frame
from editor.web_snippet import draw_snippet
from editor.widgets import Refused, button, card, copies, field, icon_button, reasons, text_input, toast

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

PAGES = (
    ("Sign in", "/login"),
    ("Sign up", "/signup"),
    ("Forgot password", "/forgot-password"),
)
SWATCHES = (COLOUR, "#0f766e", "#2563eb", "#7c3aed", "#db2777", "#dc2626", "#ea580c", "#111827")


def register(app: App) -> None:
    """Add the page to the application."""

    @web_page("/users/hosted-pages", title="Hosted pages · Pulsewire")
    async def hosted_pages() -> None:
        if with_role("owner"):
            with users_frame("hosted"):
                await HostedPagesForm(service_here(app)).build()


class HostedPagesForm:
    """The form on the left, the preview on the right; what was typed is kept when it is saved."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._kept = Hosted()
        self._draft = Hosted()

    async def build(self) -> None:
        """Draw the page's content."""
        self._kept = self._draft = await to_thread(self._service.hosted.read)
        with box("pw-hosted"):
            self._form = box("pw-hosted-form")
            with box("pw-hosted-side"), box("pw-hosted-sticky"):
                ui.label("Preview").classes("pw-label")
                self._preview = box("pw-hosted-stage")
        self._bar = box("pw-savebar")
        with self._bar:
            ui.label("You have changes that are not saved.").classes("pw-grow")
            button("Discard", self._discard, kind="ghost")
            self._go = button("Save", self._save, kind="primary")
        self._draw()
        self._show()

    def _draw(self) -> None:
        self._form.clear()
        with self._form:
            with card("pw-section"):
                self._pages()
            with card("pw-section"):
                _head("Look", "What people see on the pages.")
                self._look()
            with card("pw-section"):
                _head("Afterwards", "Where people go once they are signed in or verified.")
                with field("Callback URL", hint="Empty: they stay on a page that says they are signed in."):
                    self._callback = text_input(
                        self._draft.callback_url,
                        placeholder="https://app.example.com/welcome",
                        on_change=lambda event: self._change(callback_url=event.value or ""),
                    ).props("inputmode=url debounce=150")
            with card("pw-section"):
                _head("Your own front end", "Or leave these pages off, and draw sign-in yourself.")
                self._origins_form()
                draw_snippet(self._service.settings.public_url, self._kept.name)
            self._problems = box("pw-place")

    def _pages(self) -> None:
        with box("pw-switch-line"):
            with box("pw-grow"):
                with box(tag="h2"):
                    ui.label("Hosted pages")
                ui.label("Ready-made pages to sign in, sign up, verify an address and set a password.").classes(
                    "pw-row-sub"
                )
            on = ui.switch(value=self._draft.is_on, on_change=lambda event: self._change(is_on=event.value))
            on.props("dense").props["aria-label"] = "Hosted pages"
        if not self._draft.is_on:
            with box("pw-note pw-note--warn"):
                icon("link_off")
                ui.label(
                    "While they are off, “link” in events is null: mail the token, and take it in on a page of yours."
                )
        with box("pw-switch-line"):
            with box("pw-grow"):
                ui.label("Let people sign up").classes("pw-act-title")
                ui.label("Off: only you, the API and flows add users.").classes("pw-row-sub")
            sign_up = ui.switch(
                value=self._draft.allow_sign_up, on_change=lambda event: self._change(allow_sign_up=event.value)
            )
            sign_up.props("dense").props["aria-label"] = "Let people sign up"
        base = self._service.settings.public_url.rstrip("/")
        with box("pw-links", "ul"):
            for title, path in PAGES:
                with box("pw-links-line", "li"):
                    ui.label(title).classes("pw-links-title")
                    address = ui.label(f"{base}{path}").classes("pw-mono pw-clip pw-grow")
                    copy = icon_button("content_copy", f"Copy the address of “{title}”", is_small=True, has_tip=False)
                    copies(copy, address)
                    go = icon_button("open_in_new", f"Open “{title}”", is_small=True, has_tip=False)
                    go.props["href"], go.props["target"] = path, "_blank"

    def _look(self) -> None:
        self._colour: ui.input
        with field("Name", is_optional=True, hint="Stands above the forms, and as the title in the browser."):
            self._name = text_input(
                self._draft.name, placeholder="Shop", on_change=lambda event: self._change(name=event.value or "")
            ).props(f"maxlength={NAME_CHARS} debounce=100")
        with box("pw-field"):
            ui.label("Logo").classes("pw-label")
            self._logo_place = box("pw-place")
            self._logo_error = ui.label("").classes("pw-field-error")
        self._draw_logo()
        with box("pw-field"):
            ui.label("Colour").classes("pw-label")
            with box("pw-colours"):
                self._swatches = {each: self._swatch(each) for each in SWATCHES}
                self._colour = text_input(
                    self._draft.colour, on_change=lambda event: self._change(colour=(event.value or "").strip())
                )
                self._colour.props("maxlength=7 debounce=100").classes("pw-colour-text").props["aria-label"] = "Colour"

    def _swatch(self, colour: str) -> Element:
        with box("pw-swatch", "button").props("type=button").style(f"--swatch: {colour}") as made:
            icon("check")
        made.props["aria-label"] = f"Use the colour {colour}"
        return made.on("click", lambda: self._colour.set_value(colour))

    def _draw_logo(self) -> None:
        self._logo_place.clear()
        with self._logo_place:
            if self._draft.logo:
                with box("pw-logo"):
                    with box("pw-logo-shown"):
                        ui.element("img").props["src"] = self._draft.logo
                    button("Remove", lambda: self._set_logo(""), kind="ghost", icon="delete")
                return
            drop = drop_zone(
                "Drop a picture here, or choose one",
                f"PNG, JPEG or WebP, at most {LOGO_BYTES // 1000} kB",
                ".png,.jpg,.jpeg,.webp,image/png,image/jpeg,image/webp",
                max_bytes=LOGO_BYTES,
            )
            drop.on_upload(self._uploaded)
            drop.on_rejected(lambda: self._refuse_logo())

    async def _uploaded(self, event: events.UploadEventArguments) -> None:
        try:
            logo = logo_from(await event.file.read())
        except BackendError as refusal:
            self._logo_error.set_text(" ".join(reasons(refusal)))
            self._draw_logo()
        else:
            self._set_logo(logo)

    def _refuse_logo(self) -> None:
        self._logo_error.set_text(f"A logo is a PNG, JPEG or WebP picture of at most {LOGO_BYTES // 1000} kB.")

    def _set_logo(self, logo: str) -> None:
        self._logo_error.set_text("")
        self._change(logo=logo)
        self._draw_logo()

    def _origins_form(self) -> None:
        self._origins: list[ui.input] = []
        with box("pw-field"):
            ui.label("Sites that may call /auth").classes("pw-label")
            self._origin_place = box("pw-origins")
            ui.label("The address of each front end that runs in browsers, without a path.").classes("pw-hint")
        for origin in (*self._draft.web_origins, "")[:ORIGINS]:
            self._add_origin(origin)

    def _add_origin(self, origin: str = "") -> None:
        with self._origin_place, box("pw-origin") as line:
            entered = text_input(
                origin, placeholder="https://app.example.com", on_change=lambda: self._note_origins()
            ).props("inputmode=url debounce=150")
            entered.props["aria-label"] = f"Site {len(self._origins) + 1}"
            icon_button("close", "Remove this site", lambda: self._drop_origin(entered, line), has_tip=False)
            self._origins.append(entered)

    def _drop_origin(self, entered: ui.input, line: ui.element) -> None:
        self._origins.remove(entered)
        line.delete()
        self._note_origins()

    def _note_origins(self) -> None:
        given = tuple(each.value.strip() for each in self._origins if (each.value or "").strip())
        self._change(web_origins=given)
        if all((each.value or "").strip() for each in self._origins) and len(self._origins) < ORIGINS:
            self._add_origin()

    def _change(self, **changed: Any) -> None:
        was_on = self._draft.is_on
        self._draft = replace(self._draft, **changed)
        if self._draft.is_on != was_on:
            self._draw()
        self._show()

    def _show(self) -> None:
        self._bar.set_visibility(self._draft != self._kept)
        for colour, swatch in self._swatches.items():
            is_on = colour == self._draft.colour.lower()
            swatch.classes(add="is-on" if is_on else "", remove="" if is_on else "is-on")
        self._preview.clear()
        with self._preview:
            draw_preview(self._draft)

    def _discard(self) -> None:
        self._draft = self._kept
        self._draw()
        self._show()

    async def _save(self) -> None:
        self._go.props("loading")
        try:
            self._kept = self._draft = await to_thread(self._service.hosted.save, self._draft)
        except Refused as refusal:
            self._show_faults(refusal)
            return
        finally:
            self._go.props(remove="loading")
        self._draw()
        self._show()
        toast("Hosted pages saved")

    def _show_faults(self, refusal: Exception) -> None:
        filled = [each for each in self._origins if (each.value or "").strip()]
        for each in self._origins:
            each.error = None
        places: dict[str, Any] = {"callback_url": self._callback, "name": self._name, "colour": self._colour}
        if isinstance(refusal, BackendError):
            for fault in refusal.faults:
                place, _, index = (fault.field or "").partition("[")
                if place == "web_origins" and index:
                    filled[int(index.rstrip("]"))].error = fault.message
            rest = [fault for fault in refusal.faults if not (fault.field or "").startswith("web_origins[")]
            refusal = BackendError(*rest)
        place_faults(refusal, places, self._problems)


def _head(title: str, text: str) -> None:
    with box("pw-section-head"):
        with box(tag="h2"):
            ui.label(title)
        ui.label(text).classes("pw-row-sub")
