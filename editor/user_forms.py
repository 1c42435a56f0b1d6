"""What of an end user is typed and then saved: the profile, and the roles."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from nicegui import ui

from backend.events import UserRolesChanged
from editor.frame import box
from editor.user_dialogs import place_faults, roles_input
from editor.users_frame import Listening, silent
from editor.widgets import Refused, button, field, text_input, toast

if TYPE_CHECKING:
    from backend.users import User
    from runtime.service import Service

Changed = Callable[["User"], Awaitable[None]]


class ProfileForm:
    """Names and address. *changed* is told the user as saved."""

    def __init__(self, service: Service, user: User, changed: Changed) -> None:
        self._service = service
        self._user = user
        self._changed = changed
        with box("pw-pair"):
            with field("First name"):
                first = text_input(user.first_name, on_change=self._note).props("maxlength=100")
            with field("Last name"):
                last = text_input(user.last_name, on_change=self._note).props("maxlength=100")
        with field("Email"):
            email = text_input(user.email, on_change=self._note).props("type=email maxlength=254")
        self._inputs: dict[str, ui.input] = {"first_name": first, "last_name": last, "email": email}
        self._problems = box("pw-place")
        with box("pw-save") as self._foot:
            self._says = box("pw-grow")
            button("Discard", self._fill, kind="ghost")
            button("Save profile", self._save, kind="primary")
        for each in self._inputs.values():
            each.on("keydown.enter", self._save)
        self._note()

    @property
    def is_dirty(self) -> bool:
        return bool(self._typed())

    def show(self, user: User) -> None:
        """Take over what was changed elsewhere, but nothing that is being typed."""
        is_kept = self.is_dirty
        self._user = user
        if not is_kept:
            self._fill()

    def _typed(self) -> dict[str, str]:
        """Return the fields that differ from what is kept."""
        return {
            key: each.value or ""
            for key, each in self._inputs.items()
            if (each.value or "") != getattr(self._user, key)
        }

    def _note(self) -> None:
        typed = self._typed()
        self._foot.set_visibility(bool(typed))
        self._says.clear()
        with self._says:
            silent("The new address counts as not verified." if "email" in typed else None)

    def _fill(self) -> None:
        for key, each in self._inputs.items():
            each.value, each.error = getattr(self._user, key), None
        self._problems.clear()

    async def _save(self) -> None:
        if not (typed := self._typed()):
            return
        try:
            self._user = await to_thread(
                self._service.users.update,
                self._user.id,
                email=typed.get("email"),
                first_name=typed.get("first_name"),
                last_name=typed.get("last_name"),
            )
        except Refused as refusal:
            place_faults(refusal, self._inputs, self._problems)
            return
        self._fill()
        self._note()
        toast("Profile saved")
        await self._changed(self._user)


class RolesForm:
    """The roles of a user. *changed* is told the user as saved."""

    def __init__(
        self, service: Service, user: User, names: Iterable[str], listening: Listening, changed: Changed
    ) -> None:
        self._service = service
        self._user = user
        self._changed = changed
        self._chosen = roles_input(names, user.roles, on_change=self._note)
        self._problems = box("pw-place")
        with box("pw-save") as self._foot:
            with box("pw-grow"):
                listening.line(UserRolesChanged)
            button("Discard", self._fill, kind="ghost")
            button("Save roles", self._save, kind="primary")
        self._note()

    @property
    def is_dirty(self) -> bool:
        return set(self._chosen.value or ()) != set(self._user.roles)

    def show(self, user: User) -> None:
        """Take over what was changed elsewhere, but nothing that is being chosen."""
        is_kept = self.is_dirty
        self._user = user
        if not is_kept:
            self._fill()

    def _note(self) -> None:
        self._foot.set_visibility(self.is_dirty)

    def _fill(self) -> None:
        missing = [name for name in self._user.roles if name not in self._chosen.options]
        if missing:
            self._chosen.set_options(sorted([*self._chosen.options, *missing]))
        self._chosen.value, self._chosen.error = list(self._user.roles), None
        self._problems.clear()

    async def _save(self) -> None:
        try:
            self._user = await to_thread(self._service.users.set_roles, self._user.id, [*(self._chosen.value or ())])
        except Refused as refusal:
            place_faults(refusal, {"roles": self._chosen}, self._problems)
            return
        self._fill()
        self._note()
        toast("Roles saved")
        await self._changed(self._user)
