"""One end user beside the list: profile, roles, and everything that can be done with the account."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.element import Element

from backend.errors import NotFound
from backend.events import (
    EmailVerificationRequested,
    PasswordResetRequested,
    UserBlocked,
    UserDeleted,
    UserRolesChanged,
)
from editor.frame import box
from editor.user_dialogs import place_faults, roles_input, set_password
from editor.users_frame import Listening, avatar, moment, name_of, silent
from editor.widgets import Refused, button, chip, confirm, field, icon_button, tell, text_input, toast

if TYPE_CHECKING:
    from backend.users import User
    from runtime.service import Service

COPY = "() => navigator.clipboard?.writeText(document.getElementById('{0}').textContent)"


class UserPanel:
    """The sheet of one user. *changed* is told the user after each change, *gone* that it was deleted."""

    def __init__(
        self,
        service: Service,
        user: User,
        *,
        changed: Callable[[User], Awaitable[None]],
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
        self._roles = [role.name for role in await to_thread(self._service.roles.list)]
        self._listening = await Listening.read(self._service)
        self._head = box("pw-sheet-head", "header")
        with box("pw-sheet-body"):
            with _section("Profile"):
                self._profile()
            with _section("Roles"):
                self._roles_form()
            self._account = box("pw-sheet-section", "section")
            self._facts = box("pw-sheet-section", "section")
        self._draw()

    async def may_leave(self) -> bool:
        """Return whether nothing is lost by closing; asks when something was typed and not saved."""
        if not (self._profile_save.visible or self._roles_save.visible):
            return True
        return await confirm(
            "Leave without saving?",
            f"What you changed of {name_of(self._user)} is not saved.",
            action="Discard changes",
        )

    # ---- what is shown

    def _draw(self) -> None:
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
                    copy.on("click", js_handler=COPY.format(mail.html_id))
                    copy.on("click", lambda: toast("Copied"))
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
        self._draw_account()
        self._draw_facts()

    def _draw_account(self) -> None:
        user, listening = self._user, self._listening
        self._account.clear()
        with self._account, box("pw-acts"):
            with _act("Email verified", "A link that was sent to them sets it, too.") as tools:
                silent()
            with tools:
                switch = ui.switch(value=user.is_verified, on_change=lambda event: self._verify(event.value))
                switch.props("dense").props["aria-label"] = "Email verified"
            if not (user.is_verified or user.is_blocked):
                with _act("Verification link", "Works for a day, once.") as tools:
                    listening.line(EmailVerificationRequested, needed_for="no mail is sent")
                with tools:
                    button("Send verification", self._send_verification)
            if not user.is_blocked:
                with _act("Password reset link", "Works for an hour, once.") as tools:
                    listening.line(PasswordResetRequested, phase="requested", needed_for="no mail is sent")
                with tools:
                    button("Send reset", self._send_reset)
            about = "Ends their sign-ins." if user.has_password else "There is none yet, so they cannot sign in."
            with _act("Password", about) as tools:
                silent()
            with tools:
                button("Set password", lambda: set_password(self._service, user, self._changed))
            if user.is_blocked:
                with _act("Blocked", "They cannot sign in, and get no links.") as tools:
                    silent()
                with tools:
                    button("Unblock", self._unblock)
            else:
                with _act("Block", "Ends their sign-ins and keeps them out.") as tools:
                    listening.line(UserBlocked)
                with tools:
                    button("Block", self._block).classes("pw-btn--risky")
            with _act("Delete", "With roles and sign-ins, for good.") as tools:
                listening.line(UserDeleted)
            with tools:
                button("Delete user", self._delete).classes("pw-btn--risky")

    def _draw_facts(self) -> None:
        user = self._user
        self._facts.clear()
        with self._facts, box("pw-facts"):
            ui.label("Last sign-in")
            moment(user.last_login_at)
            ui.label("Added")
            moment(user.created_at)
            ui.label("Changed")
            moment(user.updated_at)
            ui.label("Id")
            ui.label(str(user.id)).classes("pw-mono")

    # ---- profile and roles: typed, then saved

    def _profile(self) -> None:
        user = self._user
        with box("pw-pair"):
            with field("First name"):
                self._first = text_input(user.first_name, on_change=self._note_profile).props("maxlength=100")
            with field("Last name"):
                self._last = text_input(user.last_name, on_change=self._note_profile).props("maxlength=100")
        with field("Email"):
            self._email = text_input(user.email, on_change=self._note_profile).props("type=email maxlength=254")
        self._profile_problems = box("pw-place")
        with box("pw-save") as self._profile_save:
            self._profile_says = box("pw-grow")
            button("Discard", self._fill_profile, kind="ghost")
            button("Save profile", self._save_profile, kind="primary")
        for each in (self._first, self._last, self._email):
            each.on("keydown.enter", self._save_profile)
        self._profile_save.set_visibility(False)

    def _typed(self) -> dict[str, str]:
        """Return the fields of the profile that differ from what is kept."""
        typed = {"first_name": self._first.value, "last_name": self._last.value, "email": self._email.value}
        return {key: value or "" for key, value in typed.items() if (value or "") != getattr(self._user, key)}

    def _note_profile(self) -> None:
        typed = self._typed()
        self._profile_save.set_visibility(bool(typed))
        self._profile_says.clear()
        with self._profile_says:
            silent("The new address counts as not verified." if "email" in typed else None)

    def _fill_profile(self) -> None:
        self._first.value, self._last.value = self._user.first_name, self._user.last_name
        self._email.value = self._user.email
        for each in (self._first, self._last, self._email):
            each.error = None

    async def _save_profile(self) -> None:
        if not (typed := self._typed()):
            return
        try:
            user = await to_thread(
                self._service.users.update,
                self._user.id,
                email=typed.get("email"),
                first_name=typed.get("first_name"),
                last_name=typed.get("last_name"),
            )
        except Refused as refusal:
            places = {"first_name": self._first, "last_name": self._last, "email": self._email}
            place_faults(refusal, places, self._profile_problems)
            return
        self._profile_problems.clear()
        await self._changed(user)
        self._fill_profile()
        self._note_profile()
        toast("Profile saved")

    def _roles_form(self) -> None:
        self._chosen = roles_input(self._roles, self._user.roles, on_change=self._note_roles)
        self._roles_problems = box("pw-place")
        with box("pw-save") as self._roles_save:
            with box("pw-grow"):
                self._listening.line(UserRolesChanged)
            button("Discard", self._fill_roles, kind="ghost")
            button("Save roles", self._save_roles, kind="primary")
        self._roles_save.set_visibility(False)

    def _note_roles(self) -> None:
        self._roles_save.set_visibility(set(self._chosen.value or ()) != set(self._user.roles))

    def _fill_roles(self) -> None:
        self._chosen.value = list(self._user.roles)

    async def _save_roles(self) -> None:
        try:
            user = await to_thread(self._service.users.set_roles, self._user.id, tuple(self._chosen.value or ()))
        except Refused as refusal:
            place_faults(refusal, {"roles": self._chosen}, self._roles_problems)
            return
        self._roles_problems.clear()
        await self._changed(user)
        self._note_roles()
        toast("Roles saved")

    # ---- what takes effect at once

    async def _changed(self, user: User | None = None) -> None:
        """Show the user as it is now, without touching what is being typed."""
        try:
            self._user = await to_thread(self._service.users.get, self._user.id) if user is None else user
        except NotFound as refusal:
            tell(refusal)
            await self._gone()
            return
        self._draw()
        await self._tell_changed(self._user)

    async def _do(self, action: Callable[..., Any], said: str, **more: Any) -> bool:
        """Call the backend for this user and show what became of it; returns whether it was done."""
        try:
            await to_thread(action, self._user.id, **more)
        except Refused as refusal:
            tell(refusal)
            await self._changed()
            return False
        toast(said)
        await self._changed()
        return True

    async def _verify(self, is_verified: bool) -> None:
        said = "Email marked as verified" if is_verified else "Email marked as not verified"
        await self._do(self._service.users.update, said, is_verified=is_verified)

    async def _send_verification(self) -> None:
        sent = self._sent(EmailVerificationRequested.name, self._listening.flows(EmailVerificationRequested))
        await self._do(self._service.users.request_verification, sent)

    async def _send_reset(self) -> None:
        flows = self._listening.flows(PasswordResetRequested, "requested")
        await self._do(self._service.users.request_reset, self._sent(PasswordResetRequested.name, flows))

    def _sent(self, event: str, flows: dict[str, str]) -> str:
        names = ", ".join(f"“{name}”" for name in flows.values())
        return f"{event} emitted; {names} runs" if flows else f"{event} emitted; no live flow listens"

    async def _block(self) -> None:
        text = (
            "They are signed out everywhere and cannot sign in until you unblock them. Links sent to them stop working."
        )
        if await confirm(f"Block {name_of(self._user)}?", text, action="Block user"):
            await self._do(self._service.users.block, f"{name_of(self._user)} blocked")

    async def _unblock(self) -> None:
        await self._do(self._service.users.unblock, f"{name_of(self._user)} may sign in again")

    async def _delete(self) -> None:
        name = name_of(self._user)
        text = f"{self._user.email}, its roles and sign-ins are deleted for good. Your data tables keep what they hold."
        if not await confirm(f"Delete {name}?", text, action="Delete user"):
            return
        try:
            await to_thread(self._service.users.delete, self._user.id)
        except Refused as refusal:
            tell(refusal)
        else:
            toast(f"{name} deleted")
            await self._gone()


@contextmanager
def _section(title: str) -> Iterator[Element]:
    with box("pw-sheet-section", "section") as made:
        with box(tag="h3"):
            ui.label(title)
        yield made


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
