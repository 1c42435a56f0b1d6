"""What can be done with an end user's account, at once; each line says which event it emits and who listens."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.element import Element

from backend.events import EmailVerificationRequested, Event, PasswordResetRequested, UserBlocked, UserDeleted
from editor.frame import box
from editor.user_dialogs import set_password
from editor.users_frame import Listening, name_of, silent
from editor.widgets import Refused, button, confirm, tell, toast

if TYPE_CHECKING:
    from backend.users import User
    from runtime.service import Service

UNSENT = "no mail is sent"


class UserAccount:
    """The lines below the forms. *changed* is called after each change, *gone* after the user was deleted."""

    def __init__(
        self,
        service: Service,
        user: User,
        listening: Listening,
        *,
        changed: Callable[[], Awaitable[None]],
        gone: Callable[[], Awaitable[None]],
    ) -> None:
        self._service = service
        self._user = user
        self._listening = listening
        self._changed = changed
        self._gone = gone
        self._place = box("pw-acts")
        self._draw()

    def show(self, user: User) -> None:
        """Draw what can be done with the user as it is now; where that is the same, nothing moves under the hand."""
        before, self._user = self._user, user
        if _state(user) != _state(before):
            self._draw()

    def _draw(self) -> None:
        user = self._user
        self._place.clear()
        with self._place:
            self._verified()
            if not user.is_blocked:
                self._links()
            self._password()
            self._blocked()
            with _act("Delete", "With roles and sign-ins, for good.") as tools:
                self._listening.line(UserDeleted)
            with tools:
                button("Delete user", self._delete).classes("pw-btn--risky")

    def _verified(self) -> None:
        with _act("Email verified", "A link that was sent to them sets it, too.") as tools:
            silent()
        with tools:
            switch = ui.switch(value=self._user.is_verified, on_change=lambda event: self._verify(event.value))
            switch.props("dense").props["aria-label"] = "Email verified"

    def _links(self) -> None:
        if not self._user.is_verified:
            with _act("Verification link", "Works for a day.") as tools:
                self._listening.line(EmailVerificationRequested, needed_for=UNSENT)
            with tools:
                button("Send verification", self._send_verification)
        with _act("Password reset link", "Works for an hour, once.") as tools:
            self._listening.line(PasswordResetRequested, phase="requested", needed_for=UNSENT)
        with tools:
            button("Send reset", self._send_reset)

    def _password(self) -> None:
        about = "Ends their sign-ins." if self._user.has_password else "There is none yet, so they cannot sign in."
        with _act("Password", about) as tools:
            silent()
        with tools:
            button("Set password", lambda: set_password(self._service, self._user, self._was_set))

    def _blocked(self) -> None:
        if self._user.is_blocked:
            with _act("Blocked", "They cannot sign in, and get no links.") as tools:
                silent()
            with tools:
                button("Unblock", self._unblock)
            return
        with _act("Block", "Ends their sign-ins and keeps them out.") as tools:
            self._listening.line(UserBlocked)
        with tools:
            button("Block", self._block).classes("pw-btn--risky")

    async def _was_set(self, _user: User) -> None:
        await self._changed()

    async def _do(self, action: Callable[..., Any], said: str, **more: Any) -> None:
        """Call the backend for this user and show what became of it."""
        try:
            await to_thread(action, self._user.id, **more)
        except Refused as refusal:
            tell(refusal)
        else:
            toast(said)
        await self._changed()

    async def _verify(self, is_verified: bool) -> None:
        said = "Email marked as verified" if is_verified else "Email marked as not verified"
        await self._do(self._service.users.update, said, is_verified=is_verified)

    async def _send_verification(self) -> None:
        await self._do(self._service.users.request_verification, self._emitted(EmailVerificationRequested))

    async def _send_reset(self) -> None:
        await self._do(self._service.users.request_reset, self._emitted(PasswordResetRequested, "requested"))

    def _emitted(self, event: type[Event], phase: str | None = None) -> str:
        flows = [f"“{name}”" for name in self._listening.flows(event, phase).values()]
        if not flows:
            return f"{event.name} emitted. No live flow listens, so {UNSENT}"
        return f"{event.name} emitted. {' and '.join(flows[:3])} {'runs' if len(flows) == 1 else 'run'} now"

    async def _block(self) -> None:
        text = (
            "They are signed out everywhere and cannot sign in until you unblock them. Links that were sent to them "
            "stop working."
        )
        if await confirm(f"Block {name_of(self._user)}?", text, action="Block user"):
            await self._do(self._service.users.block, f"{name_of(self._user)} blocked")

    async def _unblock(self) -> None:
        await self._do(self._service.users.unblock, f"{name_of(self._user)} may sign in again")

    async def _delete(self) -> None:
        name = name_of(self._user)
        text = (
            f"{self._user.email}, with roles and sign-ins, is deleted for good. Your data tables keep what they hold."
        )
        if not await confirm(f"Delete {name}?", text, action="Delete user"):
            return
        try:
            await to_thread(self._service.users.delete, self._user.id)
        except Refused as refusal:
            tell(refusal)
            await self._changed()
        else:
            toast(f"{name} deleted")
            await self._gone()


def _state(user: User) -> tuple[bool, ...]:
    return user.is_verified, user.is_blocked, user.has_password


@contextmanager
def _act(title: str, about: str) -> Iterator[Element]:
    """Draw a line with what can be done and what the block adds below it; yields the place for its control."""
    with box("pw-act"):
        with box("pw-grow"):
            ui.label(title).classes("pw-act-title")
            ui.label(about).classes("pw-hint")
            says = box("pw-place")
        tools = box("pw-act-tools")
        with says:
            yield tools
