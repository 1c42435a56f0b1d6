"""The people who use the editor, in the settings: oneself, and for owners everybody."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nicegui import ui

from backend.operator_values import Operator, Role
from editor import words
from editor.frame import box, icon
from editor.password_field import PasswordField
from editor.user_dialogs import place_faults
from editor.users_frame import face
from editor.widgets import (
    Refused,
    button,
    chip,
    choice,
    confirm,
    copies,
    dialog,
    field,
    icon_button,
    link_button,
    menu_item,
    segments,
    tell,
    text_input,
    toast,
)

if TYPE_CHECKING:
    from runtime.actors import Actor
    from runtime.service import Service

ROLES: dict[Role, str] = {"owner": "Owner", "editor": "Editor", "viewer": "Viewer"}
ABOUT: dict[Role, str] = {
    "owner": "Everything, with users, operators, API keys and settings.",
    "editor": "Draws, tests and publishes flows, changes tables, reads the mailbox. No users, no settings.",
    "viewer": "Reads flows, runs and tables.",
}


def role_choice(value: Role = "editor") -> ui.toggle:
    """Draw the roles to choose from, each explained when it is chosen."""
    with box("pw-field"):
        ui.label("Role").classes("pw-label")
        made = segments(ROLES, value, lambda event: hint.set_text(ABOUT[event.value]))
        hint = ui.label(ABOUT[value]).classes("pw-hint")
    return made


class OwnAccount:
    """Who is signed in here, and a new password for them."""

    def __init__(self, service: Service, me: Actor) -> None:
        self._service = service
        self._me = me

    def build(self) -> None:
        """Draw name, role and the button for the password."""
        with box("pw-person"):
            face(self._me.name[:1], self._me.id)
            with box("pw-grow"):
                ui.label(self._me.name).classes("pw-row-title pw-clip")
                ui.label(f"{ROLES[self._me.role]} · {ABOUT[self._me.role]}").classes("pw-row-sub")
        with box("pw-section-foot"):
            button("Change password", self._change_password, icon="key")

    def _change_password(self) -> None:
        with dialog("Change your password", width=440) as (window, foot):
            with field("Current password"):
                old = text_input(password=True).props("autofocus autocomplete=current-password")
            new = PasswordField("New password")
            ui.label("In other browsers you are signed out.").classes("pw-hint")
            problems = box("pw-place")

            async def save() -> None:
                go.props("loading")
                try:
                    await self._service.operator_sign_in.change_password(
                        self._me.id, old.value or "", new.value, keep=self._me.session
                    )
                except Refused as refusal:
                    place_faults(refusal, {"old": old, "password": new}, problems)
                    return
                finally:
                    go.props(remove="loading")
                window.close()
                toast("Password changed")

            new.input.on("keydown.enter", save)
            with foot:
                button("Cancel", window.close, kind="ghost")
                go = button("Change password", save, kind="primary")
        window.open()


class OperatorSettings:
    """The list of operators."""

    def __init__(self, service: Service, me: Actor) -> None:
        self._service = service
        self._me = me

    async def build(self) -> None:
        """Draw the list and the button that invites somebody."""
        self._place = box("pw-place pw-place--wide")
        await self._draw()

    async def _draw(self) -> None:
        operators = await to_thread(self._service.operators.list)
        self._place.clear()
        with self._place:
            if operators:
                with box("pw-keys", "ul"):
                    for operator in operators:
                        self._line(operator)
            with box("pw-section-foot"):
                button("Invite", self._invite, icon="person_add", kind="plain" if len(operators) > 1 else "primary")
                link_button("Audit log", "/audit", icon="receipt_long", kind="ghost")

    def _line(self, operator: Operator) -> None:
        is_me = operator.id == self._me.id
        with box("pw-key pw-member" + (" is-disabled" if operator.is_disabled else ""), "li"):
            face((operator.name or operator.email)[:1], operator.id)
            with box("pw-grow"):
                with box("pw-member-name"):
                    ui.label(operator.name or operator.email).classes("pw-row-title pw-clip")
                    if is_me:
                        chip("You")
                    if operator.is_disabled:
                        chip("Disabled", "fail", symbol="block")
                    elif operator.is_invited:
                        chip("Invited", "warn", symbol="schedule")
                ui.label(_about(operator, is_me)).classes("pw-row-sub pw-clip")
            role = choice(ROLES, operator.role, on_change=lambda event: self._set_role(operator, event.value))
            role.classes("pw-member-role").props["aria-label"] = f"Role of {operator.email}"
            with (
                icon_button("more_horiz", f"Settings of {operator.email}", has_tip=False),
                ui.menu().props("auto-close anchor='bottom right' self='top right'"),
            ):
                self._menu(operator, is_me)

    def _menu(self, operator: Operator, is_me: bool) -> None:
        if not operator.is_disabled:
            title = "New invitation link" if operator.is_invited else "Link to set a password"
            menu_item(title, "link", lambda: self._new_link(operator))
        if operator.is_disabled:
            menu_item("Enable", "lock_open", lambda: self._do(self._service.operators.enable, operator, "enabled"))
        elif not is_me:
            menu_item("Disable", "block", lambda: self._disable(operator))
        if not is_me:
            ui.separator()
            menu_item("Remove", "delete", lambda: self._remove(operator), is_danger=True)

    def _invite(self) -> None:
        with dialog("Invite an operator", width=460) as (window, foot):
            with field("Email"):
                email = text_input(placeholder="anna@example.com").props("autofocus type=email maxlength=254")
            with field("Name", is_optional=True):
                name = text_input().props("maxlength=100")
            role = role_choice()
            problems = box("pw-place")

            async def invite() -> None:
                try:
                    invitation = await to_thread(
                        self._service.operators.invite, email.value or "", role.value, name.value or ""
                    )
                except Refused as refusal:
                    place_faults(refusal, {"email": email, "name": name}, problems)
                    return
                window.close()
                await self._draw()
                with self._place:
                    show_link(self._address(invitation.token), invitation.operator)

            email.on("keydown.enter", invite)
            with foot:
                button("Cancel", window.close, kind="ghost")
                button("Make the link", invite, kind="primary")
        window.open()

    def _address(self, token: str) -> str:
        return f"{self._service.settings.public_url.rstrip('/')}/invitation?token={token}"

    async def _new_link(self, operator: Operator) -> None:
        try:
            invitation = await to_thread(self._service.operators.link_for, operator.id)
        except Refused as refusal:
            tell(refusal)
            return
        with self._place:
            show_link(self._address(invitation.token), operator)

    async def _set_role(self, operator: Operator, role: Role) -> None:
        if role == operator.role:
            return
        if operator.id == self._me.id and not await confirm(
            "Give up your own rights?",
            f"You will be {ROLES[role].lower()}: {ABOUT[role]} Only another owner can change it back.",
            action=f"Become {ROLES[role].lower()}",
        ):
            await self._draw()
            return
        await self._do(self._service.operators.set_role, operator, f"is {ROLES[role].lower()} now", role=role)

    async def _disable(self, operator: Operator) -> None:
        text = "They are signed out everywhere and get in no more. Their flows and entries in the audit log stay."
        if await confirm(f"Disable {operator.email}?", text, action="Disable operator"):
            await self._do(self._service.operators.disable, operator, "disabled")

    async def _remove(self, operator: Operator) -> None:
        text = "They are signed out everywhere. To let them in again, invite them anew."
        if await confirm(f"Remove {operator.email}?", text, action="Remove operator"):
            await self._do(self._service.operators.delete, operator, "removed")

    async def _do(self, action: Callable[..., Any], operator: Operator, said: str, **more: Any) -> None:
        try:
            await to_thread(action, operator.id, **more)
        except Refused as refusal:
            tell(refusal)
        else:
            toast(f"{operator.name or operator.email} {said}")
        try:
            await self._draw()
        except Refused as refusal:  # one's own role went
            tell(refusal)
            ui.navigate.reload()


def show_link(address: str, operator: Operator) -> None:
    """Show a link that lets an operator in, this once."""
    with dialog(f"Link for {operator.email}", width=540) as (window, foot):
        window.props("persistent")
        with box("pw-note pw-note--warn"):
            icon("visibility_off")
            ui.label(
                "Copy it now and hand it over yourself; it is not mailed and cannot be shown again. "
                "Whoever opens it chooses a password and is signed in."
            )
        with box("pw-secret"):
            shown = ui.label(address).classes("pw-mono pw-grow")
            copy = button("Copy", icon="content_copy")
            copies(copy, shown)
        with foot:
            button("Done", window.close, kind="primary")
    window.open()


def _about(operator: Operator, is_me: bool) -> str:
    parts = [operator.email] if operator.name else []
    if is_me:
        parts.append("here now")
    elif operator.last_seen_at:
        parts.append(f"last seen {words.ago(operator.last_seen_at)}")
    else:
        parts.append(f"{'invited' if operator.is_invited else 'added'} {words.ago(operator.created_at)}")
    return " · ".join(parts)
