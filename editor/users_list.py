"""How the list of end users is asked for and drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from nicegui import ui

from editor import words
from editor.frame import box, icon
from editor.users_frame import avatar, moment, name_of
from editor.widgets import chip, icon_button, row_link

if TYPE_CHECKING:
    from backend.users import User

PAGE = 50
SHOWN_ROLES = 1
NEWEST_FIRST = "-created_at"
COLUMNS = (
    ("email", "User"),
    (None, "Roles"),
    (None, "State"),
    ("last_login_at", "Last sign-in"),
    ("created_at", "Added"),
)
SORTS = {f"{sign}{key}" for key, _title in COLUMNS if key for sign in ("", "-")}
PLAIN_CLICK = """(event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  emit();
}"""
YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True)
class Query:
    """What the list shows, as its address says it; what is empty filters nothing."""

    search: str = ""
    role: str = ""
    verified: str = ""
    blocked: str = ""
    sort: str = ""
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        return any((self.search, self.role, self.verified, self.blocked))

    @property
    def order(self) -> str:
        return self.sort if self.sort in SORTS else NEWEST_FIRST

    @property
    def offset(self) -> int:
        return (min(max(self.page, 1), 10**9) - 1) * PAGE

    def asked(self) -> dict[str, Any]:
        """Return the arguments of ``Users.list``."""
        return {
            "search": self.search.strip() or None,
            "role": self.role or None,
            "verified": YES_NO.get(self.verified),
            "blocked": YES_NO.get(self.blocked),
            "sort": self.order,
            "limit": PAGE,
            "offset": self.offset,
        }

    def address(self, user_id: str | None = None) -> str:
        """Return the path that opens the list like this, with a user or without."""
        default = Query()
        kept = {key: value for key, value in vars(self).items() if value and value != getattr(default, key)}
        path = f"/users/{user_id}" if user_id else "/users"
        return f"{path}?{urlencode(kept)}" if kept else path


def draw_users(
    users: Sequence[User],
    total: int,
    query: Query,
    *,
    opened: str | None,
    on_open: Callable[[str], Any],
    on_sort: Callable[[str], Any],
    on_page: Callable[[int], Any],
) -> dict[str, ui.link]:
    """Draw a page of the list and return the link of each user by the id."""
    with box("pw-card pw-list pw-users"):
        _head(query, on_sort)
        with box(tag="ul"):
            links = dict(_rows(users, query, opened, on_open))
        _foot(len(users), total, query, on_page)
    return links


def _head(query: Query, on_sort: Callable[[str], Any]) -> None:
    with box("pw-users-head"):
        for key, title in COLUMNS:
            if key is None:
                ui.label(title)
                continue
            with box("pw-users-sort", "button").props("type=button") as sort:
                ui.label(title)
                if query.order.removeprefix("-") == key:
                    icon("arrow_downward" if query.order.startswith("-") else "arrow_upward")
            sort.on("click", lambda key=key: on_sort(key))


def _rows(
    users: Sequence[User], query: Query, opened: str | None, on_open: Callable[[str], Any]
) -> Iterator[tuple[str, ui.link]]:
    for user in users:
        with box("pw-row pw-user" + (" is-open" if user.id == opened else ""), "li"):
            link = row_link(query.address(user.id), f"Open {name_of(user)}")
            link.on("click", lambda user=user: on_open(user.id), js_handler=PLAIN_CLICK)
            _cells(user)
        yield user.id, link


def _cells(user: User) -> None:
    with box("pw-user-who"):
        avatar(user)
        with box("pw-user-text"):
            ui.label(name_of(user)).classes("pw-row-title pw-clip")
            if name_of(user) != user.email:
                ui.label(user.email).classes("pw-row-sub pw-clip")
    with box("pw-user-roles"):
        for name in user.roles[:SHOWN_ROLES]:
            ui.label(name).classes("pw-chip")
        if (more := len(user.roles) - SHOWN_ROLES) > 0:
            ui.label(f"+{more}").classes("pw-chip").props["title"] = ", ".join(user.roles)
    with box("pw-user-states"):
        if user.is_blocked:
            chip("Blocked", "fail", symbol="block")
        elif not user.is_verified:
            chip("Not verified", "warn", symbol="unpublished")
    moment(user.last_login_at).classes("pw-row-sub pw-user-login")
    moment(user.created_at).classes("pw-row-sub pw-user-added")


def _foot(shown: int, total: int, query: Query, on_page: Callable[[int], Any]) -> None:
    first, last = query.offset + 1, query.offset + shown
    page = query.offset // PAGE + 1
    with box("pw-users-foot"):
        ui.label(f"{first:,}–{last:,} of {words.count(total, 'user')}").classes("pw-num pw-grow")
        if total > PAGE:
            before = icon_button("chevron_left", "Page before", lambda: on_page(page - 1), is_small=True)
            before.set_enabled(page > 1)
            after = icon_button("chevron_right", "Next page", lambda: on_page(page + 1), is_small=True)
            after.set_enabled(last < total)
