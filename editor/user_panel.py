"""One end user beside the list: profile, roles, and everything that can be done with the account."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nicegui import ui

from backend.errors import NotFound
from editor.frame import box
from editor.user_account import UserAccount
from editor.user_forms import ProfileForm, RolesForm
from editor.users_frame import Listening, avatar, moment, name_of
from editor.widgets import chip, confirm, copies, icon_button, tell

if TYPE_CHECKING:
    from backend.users import User
    from runtime.service import Service


class UserPanel:
    """The sheet of one user. *changed* is called after each change, *gone* after the user was deleted."""

    def __init__(
        self,
        service: Service,
        user: User,
        *,
        changed: Callable[[], Awaitable[None]],
        gone: Callable[[], Awaitable[None]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._service = service
        self._user = user
        self._tell_changed = changed
        self._gone = gone
        self._close = close

    async def build(self) -> None:
        """Draw the panel."""
        service, user = self._service, self._user
        roles = [role.name for role in await to_thread(service.roles.list)]
        listening = await Listening.read(service)
        self._head = box("pw-sheet-head", "header")
        with box("pw-sheet-body"):
            with _section("Profile"):
                self._profile = ProfileForm(service, user, self._saved)
            with _section("Roles"):
                self._roles = RolesForm(service, user, roles, listening, self._saved)
            with box("pw-sheet-section", "section"):
                self._account = UserAccount(service, user, listening, changed=self._changed, gone=self._gone)
            with box("pw-sheet-section", "section"):
                self._facts = box("pw-facts")
        self._draw_head()
        self._draw_facts()

    async def may_leave(self) -> bool:
        """Return whether nothing is lost by closing; asks when something was typed and not saved."""
        if not (self._profile.is_dirty or self._roles.is_dirty):
            return True
        text = f"What you changed of {name_of(self._user)} is not saved."
        return await confirm("Leave without saving?", text, action="Discard changes")

    async def look(self) -> None:
        """Take over what was changed elsewhere: a link was followed, a flow ran, somebody else was here."""
        try:
            user = await to_thread(self._service.users.get, self._user.id)
        except NotFound as refusal:
            tell(refusal)
            await self._gone()
        else:
            self._show(user)

    def _show(self, user: User) -> None:
        if user == self._user:
            return
        self._user = user
        self._profile.show(user)
        self._roles.show(user)
        self._account.show(user)
        self._draw_head()
        self._draw_facts()

    async def _saved(self, user: User) -> None:
        self._show(user)
        await self._tell_changed()

    async def _changed(self) -> None:
        await self.look()
        await self._tell_changed()

    def _draw_head(self) -> None:
        user = self._user
        self._head.clear()
        with self._head:
            icon_button("arrow_back", "Back to the list", self._close, has_tip=False).classes("pw-only-phone")
            avatar(user, "pw-avatar--large")
            with box("pw-grow"):
                with box(tag="h2").classes("pw-clip"):
                    ui.label(name_of(user)).classes("pw-clip")
                with box("pw-sheet-mail"):
                    mail = ui.label(user.email).classes("pw-clip")
                    copy = icon_button("content_copy", "Copy the address", is_small=True)
                    copies(copy, mail)
                with box("pw-sheet-chips"):
                    if user.is_blocked:
                        chip("Blocked", "fail", symbol="block")
                    if user.is_verified:
                        chip("Verified", "ok", symbol="verified")
                    else:
                        chip("Not verified", "warn", symbol="unpublished")
                    if not user.has_password:
                        chip("No password", symbol="key_off")
            icon_button("close", "Close", self._close).classes("pw-not-phone")

    def _draw_facts(self) -> None:
        user = self._user
        self._facts.clear()
        with self._facts:
            ui.label("Last sign-in")
            moment(user.last_login_at)
            ui.label("Added")
            moment(user.created_at)
            ui.label("Changed")
            moment(user.updated_at)
            ui.label("Id")
            ui.label(user.id).classes("pw-mono")


@contextmanager
def _section(title: str) -> Iterator[None]:
    with box("pw-sheet-section", "section"):
        with box(tag="h3"):
            ui.label(title)
        yield
