"""Adding an end user, setting a password, and the control for roles."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from nicegui import ui

from backend.errors import BackendError
from backend.events import PasswordResetRequested
from editor.frame import box
from editor.password_field import PasswordField
from editor.users_frame import Listening, name_of, silent
from editor.widgets import (
    Refused,
    button,
    choice,
    dialog,
    field,
    problem_list,
    reasons,
    segments,
    tell,
    text_input,
    toast,
)

if TYPE_CHECKING:
    from backend.users import User
    from runtime.service import Service

FIRST_PASSWORD = {"link": "Send them a link", "now": "Set one now", "none": "Not yet"}
NO_SUCH_ROLE = """
<q-item>
  <q-item-section v-if="props.inputValue">
    There is no role “{{ props.inputValue.slice(0, 100) }}”.
    <a class="pw-textlink" :href="'/users/roles?new=' + encodeURIComponent(props.inputValue)">Create it</a>
  </q-item-section>
  <q-item-section v-else>
    There are no roles yet. <a class="pw-textlink" href="/users/roles?new=">Create one</a>
  </q-item-section>
</q-item>
"""
Done = Callable[["User"], Awaitable[None]]


def roles_input(names: Iterable[str], chosen: Iterable[str] = (), **more: Any) -> ui.select:
    """Return a field that takes several of the roles *names*; one that does not exist leads to the Roles page."""
    made = choice(sorted({*names, *chosen}), list(chosen), multiple=True, with_input=True, **more)
    made.props("use-chips input-debounce=0").classes("pw-roles-input")
    made.props["aria-label"] = "Roles"
    made.props["placeholder"] = "Add a role"
    made.add_slot("no-option", NO_SUCH_ROLE)
    return made


def place_faults(refusal: Exception, places: dict[str, Any], problems: ui.element) -> None:
    """Show each fault at its field, and those without one in *problems*."""
    for place in places.values():
        place.error = None
    problems.clear()
    if not isinstance(refusal, BackendError):
        others = reasons(refusal)
    else:
        others = []
        for fault in refusal.faults:
            place = places.get((fault.field or "").partition("[")[0])
            if place is None:
                others.append(fault.message)
            else:
                place.error = f"{place.error} {fault.message}" if place.error else fault.message
    if others:
        with problems:
            problem_list(others)


async def add_user(service: Service, done: Done) -> None:
    """Ask for a new user's address, name, roles and first password; *done* is told the user."""
    try:
        roles = [role.name for role in await to_thread(service.roles.list)]
        listening = await Listening.read(service)
    except Refused as refusal:
        tell(refusal)
    else:
        NewUser(service, roles, listening, done).open()


class NewUser:
    """The dialog that adds a user."""

    def __init__(self, service: Service, roles: list[str], listening: Listening, done: Done) -> None:
        self._service = service
        self._done = done
        with dialog("Add user", width=520) as (self._window, foot):
            self._person(roles)
            self._password_choice(listening)
            self._problems = box("pw-place")
            with foot:
                with box("pw-push-left pw-not-phone") as self._says:
                    silent("adding is no sign-up")
                button("Cancel", self._window.close, kind="ghost")
                self._go = button("Add user", self._create, kind="primary")
        self._show("link")

    def open(self) -> None:
        """Show the dialog."""
        self._window.open()

    def _person(self, roles: list[str]) -> None:
        with field("Email"):
            self._email = text_input(placeholder="anna@example.com").props("autofocus type=email maxlength=254")
            self._email.on("keydown.enter", self._create)
        with box("pw-pair"):
            with field("First name", is_optional=True):
                self._first = text_input().props("maxlength=100")
            with field("Last name", is_optional=True):
                self._last = text_input().props("maxlength=100")
        with field("Roles", is_optional=True):
            self._roles = roles_input(roles)
        self._verified = ui.switch("The address is verified").props("dense")

    def _password_choice(self, listening: Listening) -> None:
        with box("pw-field"):
            ui.label("Password").classes("pw-label")
            self._way = segments(FIRST_PASSWORD, "link", lambda event: self._show(event.value))
        self._ways = {way: box("pw-place") for way in FIRST_PASSWORD}
        with self._ways["link"]:
            ui.label("They get a link to choose a password of their own. It works for an hour.").classes("pw-hint")
            listening.line(PasswordResetRequested, phase="requested", needed_for="no mail is sent")
        with self._ways["now"]:
            self._password = PasswordField("Their password")
        with self._ways["none"]:
            ui.label("They cannot sign in until they have one.").classes("pw-hint")

    def _show(self, way: str) -> None:
        for each, place in self._ways.items():
            place.set_visibility(each == way)
        self._says.set_visibility(way != "link")

    async def _create(self) -> None:
        self._go.props("loading")
        try:
            user = await to_thread(
                self._service.users.create,
                self._email.value or "",
                password=self._password.value if self._way.value == "now" else None,
                first_name=self._first.value or "",
                last_name=self._last.value or "",
                roles=tuple(self._roles.value or ()),
                is_verified=self._verified.value,
            )
        except Refused as refusal:
            places = {"email": self._email, "first_name": self._first, "last_name": self._last, "roles": self._roles}
            place_faults(refusal, places | {"password": self._password}, self._problems)
            return
        finally:
            self._go.props(remove="loading")
        if self._way.value == "link":
            await _send_first_link(self._service, user)
        self._window.close()
        toast(f"{name_of(user)} added")
        await self._done(user)


async def _send_first_link(service: Service, user: User) -> None:
    try:
        await to_thread(service.users.request_reset, user.id)
    except Refused as refusal:
        tell(refusal)


def set_password(service: Service, user: User, done: Done) -> None:
    """Ask for a password and make it the user's."""
    with dialog("Set password", width=440) as (window, foot):
        ui.label(f"{name_of(user)} signs in with it from now on.").classes("pw-soft")
        password = PasswordField("New password", is_focused=True)
        silent("Ends their sign-ins, and links that were sent stop working.")
        problems = box("pw-place")

        async def save() -> None:
            go.props("loading")
            try:
                await to_thread(service.users.set_password, user.id, password.value)
            except Refused as refusal:
                place_faults(refusal, {"password": password}, problems)
                return
            finally:
                go.props(remove="loading")
            window.close()
            toast("Password set; their sign-ins ended")
            await done(user)

        password.input.on("keydown.enter", save)
        with foot:
            button("Cancel", window.close, kind="ghost")
            go = button("Set password", save, kind="primary")
    window.open()
