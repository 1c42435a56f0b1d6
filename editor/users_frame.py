"""What the pages about end users share: heading, tabs and styles; how a user is drawn; what an action emits."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.element import Element

from backend.events import Event
from editor import theme, words
from editor.frame import box, frame
from editor.widgets import menu_item
from runtime.flow_views import LiveTrigger

if TYPE_CHECKING:
    from backend.users import User
    from runtime.service import Service

TABS = (
    ("users", "/users", "Users"),
    ("roles", "/users/roles", "Roles"),
    ("hosted", "/users/hosted-pages", "Hosted pages"),
)
COLOURS = ("violet", "teal", "blue", "pink", "amber")


@contextmanager
def users_frame(tab: str, actions: Callable[[], object] | None = None) -> Iterator[Element]:
    """Draw the shell with the tabs of the place; *tab* is ``users``, ``roles`` or ``sign-in``."""
    with frame("Users", active="users", actions=actions) as content:
        styles()
        with box("pw-subtabs", "nav").props('aria-label="Users"'):
            for key, target, title in TABS:
                link = ui.link(target=target).classes(replace="pw-subtab")
                if key == tab:
                    link.props("aria-current=page")
                with link:
                    ui.label(title)
        yield content


def styles() -> None:
    """Add the styles of people and what is done to them; call it inside ``frame``, so that they win over the common."""
    ui.add_head_html(f'<link rel="stylesheet" href="{theme.asset("users.css")}">')


def name_of(user: User) -> str:
    """Return what a user is called: the name, else the address."""
    return f"{user.first_name} {user.last_name}".strip() or user.email


def avatar(user: User, classes: str = "") -> None:
    """Draw a round mark with a user's initials, in a colour that stays theirs."""
    initials = "".join(part[:1] for part in (user.first_name.strip(), user.last_name.strip()))
    face(initials or user.email[:1], user.id, classes)


def face(initials: str, key: str, classes: str = "") -> None:
    """Draw a round mark; *key* decides its colour."""
    colour = COLOURS[sum(map(ord, key)) % len(COLOURS)]
    ui.label(initials.upper()).classes(f"pw-avatar pw-tile--{colour} {classes}").props("aria-hidden=true")


@dataclass(frozen=True)
class Listening:
    """The live flows and what starts them, to say what an action sets off."""

    triggers: tuple[LiveTrigger, ...] = ()

    @classmethod
    async def read(cls, service: Service) -> Listening:
        """Return what listens now."""
        return cls(tuple(await to_thread(service.flows.live_triggers)))

    def flows(self, event: type[Event], phase: str | None = None) -> dict[str, str]:
        """Return the names, by their ids, of the flows that *event* starts; *phase* tells the two password resets."""
        return {
            each.flow_id: each.flow_name
            for each in self.triggers
            if each.event == event.name and each.match.get("phase", phase) == phase
        }

    def line(self, event: type[Event], *, phase: str | None = None, needed_for: str = "") -> None:
        """Draw “Emits … · 1 flow listens”; *needed_for* is what does not happen while none does."""
        flows = self.flows(event, phase)
        with box("pw-emits"):
            ui.label("Emits ")
            ui.label(event.name).classes("pw-event")
            ui.label(f" {phase} · " if phase else " · ")
            if flows:
                _listeners(flows)
            elif needed_for:
                ui.label(f"no live flow listens, so {needed_for}").classes("pw-emits-missed")
            else:
                ui.label("no live flow listens")


def _listeners(flows: dict[str, str]) -> None:
    title = words.count(len(flows), "flow listens", "flows listen")
    if len(flows) == 1:
        flow_id, name = next(iter(flows.items()))
        link = ui.link(title, f"/flows/{flow_id}").classes(replace="pw-emits-flows")
        link.props["title"] = name
        return
    with box("pw-emits-flows", "button").props("type=button"):
        ui.label(title)
        with ui.menu().props("auto-close"):
            for flow_id, name in flows.items():
                menu_item(name, "account_tree", lambda flow_id=flow_id: ui.navigate.to(f"/flows/{flow_id}"))


def silent(about: str | None = None) -> None:
    """Say that an action emits no event; *about* adds what else it does."""
    with box("pw-emits"):
        ui.label(f"Emits nothing · {about}" if about else "Emits nothing")


def moment(value: Any, never: str = "Never") -> ui.label:
    """Draw a time as people say it, with the exact one as its tooltip."""
    if value is None:
        return ui.label(never).classes("pw-faint")
    made = ui.label(words.ago(value))
    made.props["title"] = words.exact(value)
    return made
