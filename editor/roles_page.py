"""The roles that end users may have."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from nicegui import ui

from backend.events import UserRolesChanged
from backend.roles import DESCRIPTION_CHARS, NAME_CHARS, Role
from editor import words
from editor.elements import web_page
from editor.frame import box, icon
from editor.session import service_here, with_role
from editor.user_dialogs import place_faults
from editor.users_frame import Listening, users_frame
from editor.widgets import (
    Refused,
    button,
    confirm,
    dialog,
    empty_state,
    field,
    icon_button,
    menu_item,
    row_link,
    tell,
    text_input,
    toast,
)

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

REFRESH_S = 5.0


def register(app: App) -> None:
    """Add the page to the application."""

    @web_page("/users/roles", title="Roles · Pulsewire")
    async def roles_page(new: str | None = None) -> None:
        if with_role("owner"):
            roles = RoleList(service_here(app))
            with users_frame("roles", roles.draw_actions):
                await roles.build(new)


class RoleList:
    """The rows of the page; drawn again when what they show has changed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._roles: list[Role] = []
        self._open_menus = 0

    def draw_actions(self) -> None:
        """Draw what stands right of the heading."""
        button("New role", self._create, kind="primary", icon="add")

    async def build(self, new: str | None) -> None:
        """Draw the page's content and keep it current; *new* opens the form for a role called so."""
        self._place = box("pw-list-place")
        self._roles = await to_thread(self._service.roles.list)
        self._draw()
        if new is not None:
            with self._place:
                role_form(self._service, None, self.refresh, name=new)
        ui.timer(REFRESH_S, self._look, immediate=False)

    async def refresh(self) -> None:
        """Read the roles again."""
        self._open_menus = 0
        await self._look()

    async def _look(self) -> None:
        roles = await to_thread(self._service.roles.list)
        if roles != self._roles and not self._open_menus:
            self._roles = roles
            self._draw()

    def _create(self) -> None:
        role_form(self._service, None, self.refresh)

    def _note_menu(self, is_open: bool) -> None:
        self._open_menus = max(0, self._open_menus + (1 if is_open else -1))

    def _draw(self) -> None:
        self._open_menus = 0
        self._place.clear()
        with self._place:
            if not self._roles:
                with empty_state(
                    "badge",
                    "No roles yet",
                    "A role is a word on a user, such as “Customer” or “Admin”. Events and sessions carry a user's "
                    "roles, so that flows and your own program can decide by them.",
                ):
                    button("New role", self._create, kind="primary", icon="add")
                return
            with box("pw-card pw-list", "ul"):
                for role in self._roles:
                    self._row(role)

    def _row(self, role: Role) -> None:
        with box("pw-row pw-role", "li"):
            row_link(f"/users?{urlencode({'role': role.name})}", f"Users with the role {role.name}")
            with box("pw-tile pw-tile--violet"):
                icon("badge")
            with box():
                ui.label(role.name).classes("pw-row-title pw-clip")
                ui.label(role.description or "No description").classes("pw-row-sub pw-clip")
            ui.label(words.count(role.user_count, "user")).classes("pw-row-sub pw-num pw-role-count")
            with box("pw-row-tools"), icon_button("more_horiz", f"Settings of {role.name}", has_tip=False):
                with ui.menu().props("auto-close anchor='bottom right' self='top right'") as menu:
                    menu_item("Name and description", "edit", lambda: role_form(self._service, role, self.refresh))
                    ui.separator()
                    menu_item("Delete role", "delete", lambda: self._delete(role), is_danger=True)
                menu.on_value_change(lambda event: self._note_menu(bool(event.value)))

    async def _delete(self, role: Role) -> None:
        flows = (await Listening.read(self._service)).flows(UserRolesChanged)
        if role.user_count:
            heard = f", which {words.count(len(flows), 'live flow hears', 'live flows hear')}" if flows else ""
            text = (
                f"{words.count(role.user_count, 'user loses', 'users lose')} it. "
                f"Each emits {UserRolesChanged.name}{heard}."
            )
        else:
            text = "No user has it, so nothing is emitted."
        if await confirm(f"Delete the role “{role.name}”?", text, action="Delete role"):
            try:
                await to_thread(self._service.roles.delete, role.id)
            except Refused as refusal:
                tell(refusal)
            else:
                toast(f"“{role.name}” deleted")
            await self.refresh()


def role_form(service: Service, role: Role | None, done: Callable[[], Awaitable[None]], *, name: str = "") -> None:
    """Ask for the name and description of a new role, or of *role*."""
    with dialog("New role" if role is None else "Name and description", width=440) as (window, foot):
        hint = "Such as “Customer”. Flows and programs read it in events." if role is None else None
        with field("Name", hint=hint):
            entered = text_input(role.name if role else name[:NAME_CHARS]).props(f"autofocus maxlength={NAME_CHARS}")
        with field("Description", is_optional=True):
            description = ui.textarea(value=role.description if role else "").props(
                f"outlined dense autogrow hide-bottom-space maxlength={DESCRIPTION_CHARS}"
            )
        if role is not None and role.user_count:
            ui.label(
                f"{words.count(role.user_count, 'user keeps', 'users keep')} it under its new name. Flows that compare "
                "the name must be changed too."
            ).classes("pw-hint")
        problems = box("pw-place")

        async def save() -> None:
            given = (entered.value or "", description.value or "")
            try:
                if role is None:
                    await to_thread(service.roles.create, *given)
                else:
                    await to_thread(service.roles.update, role.id, name=given[0], description=given[1])
            except Refused as refusal:
                place_faults(refusal, {"name": entered, "description": description}, problems)
            else:
                window.close()
                toast("Role created" if role is None else "Role saved")
                await done()

        entered.on("keydown.enter", save)
        with foot:
            button("Cancel", window.close, kind="ghost")
            button("Create role" if role is None else "Save", save, kind="primary")
    window.open()
