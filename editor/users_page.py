"""The list of end users: searched, filtered and paged on the server; a user opens beside it."""

from __future__ import annotations

from asyncio import to_thread
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from backend.errors import BackendError, NotFound
from editor.elements import web_page
from editor.error_pages import not_found
from editor.frame import box, icon
from editor.session import service_here, with_role
from editor.user_dialogs import add_user
from editor.user_panel import UserPanel
from editor.users_frame import users_frame
from editor.users_list import Query, draw_users
from editor.widgets import Refused, button, choice, empty_state, icon_button, link_button, tell

if TYPE_CHECKING:
    from backend.users import User
    from runtime.app import App
    from runtime.service import Service

REFRESH_S = 5.0
CLOSES = """() => document.querySelector(".q-menu, .q-dialog") || emit()"""  # else Escape closes those
FOLLOW_HISTORY = """window.addEventListener("popstate", () => emitEvent("pw_place", location.pathname))"""

FOCUS_SHEET = (  # not while somebody has begun to type in it: this may arrive late
    "(sheet => sheet && !sheet.contains(document.activeElement) && sheet.focus({{preventScroll: true}}))"
    "(document.getElementById('{}'))"
)


def register(app: App) -> None:
    """Add the page: the list alone, and with one user open."""

    @web_page("/users", title="Users · Pulsewire")
    async def users_page(
        search: str = "", role: str = "", verified: str = "", blocked: str = "", sort: str = "", page: int = 1
    ) -> None:
        await build(Query(search, role, verified, blocked, sort, page), None)

    @web_page("/users/{user_id}", title="Users · Pulsewire")
    async def user_page(
        user_id: str,
        search: str = "",
        role: str = "",
        verified: str = "",
        blocked: str = "",
        sort: str = "",
        page: int = 1,
    ) -> None:
        await build(Query(search, role, verified, blocked, sort, page), user_id)

    async def build(query: Query, user_id: str | None) -> None:
        if not with_role("owner"):
            return
        service = service_here(app)
        try:
            if user_id is not None:
                await to_thread(service.users.get, user_id)
        except NotFound:
            ui.context.client.status_code = 404
            not_found("user", "It may have been deleted.", back="/users", back_title="All users", active="users")
            return
        users = UsersPage(service, query)
        with users_frame("users", users.draw_actions):
            await users.build(user_id)


class UsersPage:
    """Toolbar, rows, paging, and the sheet with the user that is open."""

    def __init__(self, service: Service, query: Query) -> None:
        self._service = service
        self._query = query
        self._users: list[User] = []
        self._total = 0
        self._open: str | None = None
        self._links: dict[str, ui.link] = {}
        self._panel: UserPanel | None = None

    def draw_actions(self) -> None:
        """Draw what stands right of the heading."""
        button("Add user", self._add, kind="primary", icon="person_add")

    async def build(self, user_id: str | None) -> None:
        """Draw the page's content, open *user_id* if one is named, and keep both current."""
        roles = [role.name for role in await to_thread(self._service.roles.list)]
        with box("pw-toolbar pw-users-bar") as self._toolbar:
            self._draw_filters(roles)
        self._place = box("pw-list-place")
        self._sheet = box("pw-sheet", "aside").props('aria-label="User" tabindex=-1')
        self._sheet.on("keydown.escape", self.close, js_handler=CLOSES)
        await self._read()
        if user_id is not None:
            await self.open(user_id, is_told=False)
        ui.on("pw_place", self._moved)
        ui.run_javascript(FOLLOW_HISTORY)
        ui.timer(REFRESH_S, self._look, immediate=False)

    def _draw_filters(self, roles: list[str]) -> None:
        query = self._query
        self._search = ui.input(
            value=query.search, placeholder="Search name or email", on_change=lambda e: self._show(search=e.value or "")
        )
        self._search.props("outlined dense clearable hide-bottom-space debounce=250 maxlength=200")
        self._search.props["aria-label"] = "Search users"
        self._search.classes("pw-search")
        with self._search.add_slot("prepend"):
            icon("search")
        more = icon_button("tune", "Filters", lambda: self._toolbar.classes(toggle="is-open"), has_tip=False)
        more.classes("pw-only-phone pw-users-more")
        names = sorted({*roles, query.role} - {""})
        for key, title, options in (
            ("role", "Role", {"": "Any role"} | {name: name for name in names}),
            ("verified", "Verified", {"": "Verified or not", "yes": "Verified", "no": "Not verified"}),
            ("blocked", "Blocked", {"": "Blocked or not", "yes": "Blocked", "no": "Not blocked"}),
        ):
            value = getattr(query, key) if getattr(query, key) in options else ""
            made = choice(options, value, on_change=lambda e, key=key: self._show(**{key: e.value or ""}))
            made.classes("pw-filter pw-filter--small").props["aria-label"] = title

    # ---- the list

    async def _show(self, **changed: Any) -> None:
        """Take over a search, filter, order or page and read the list anew."""
        query = replace(self._query, **{"page": 1} | changed)
        if query != self._query:
            self._query = query
            ui.navigate.history.replace(query.address(self._open))
            await self._read()

    async def _fetch(self) -> tuple[list[User], int]:
        found = await to_thread(self._service.users.list, **self._query.asked())
        return list(found.users), found.total

    async def _read(self) -> None:
        try:
            self._users, self._total = await self._fetch()
        except Refused as refusal:
            tell(refusal)
            self._users, self._total = [], 0
        self._draw()

    async def _look(self) -> None:
        """Take over what others, flows, and people who signed up have changed."""
        await self._refresh()
        if self._panel is not None:
            await self._panel.look()

    async def _refresh(self) -> None:
        try:
            users, total = await self._fetch()
        except BackendError:
            return  # such as a role that was deleted: said when it was asked for by hand
        if (users, total) != (self._users, self._total):
            self._users, self._total = users, total
            self._draw()

    def _draw(self) -> None:
        self._place.clear()
        self._links = {}
        self._toolbar.set_visibility(bool(self._total) or self._query.is_filtered)
        with self._place:
            if not self._users:
                self._nothing()
                return
            self._links = draw_users(
                self._users,
                self._total,
                self._query,
                opened=self._open,
                on_open=self.open,
                on_sort=self._sort,
                on_page=lambda page: self._show(page=page),
            )

    def _nothing(self) -> None:
        if self._total:  # the page asked for lies behind the last
            with empty_state("search_off", "There is no such page", "The list has become shorter."):
                button("First page", lambda: self._show(page=1))
        elif self._query.is_filtered:
            with empty_state("search_off", "No user fits", "Change the search or a filter, or look at all users."):
                link_button("All users", "/users")
        else:
            with empty_state(
                "group",
                "No users yet",
                "The people who use what you build. They sign up on the sign-up page or through the API; "
                "or add one by hand. Sign-ups, sign-ins, resets and blocks are events that a flow can start at.",
            ):
                button("Add user", self._add, kind="primary", icon="person_add")
                link_button("Hosted pages", "/users/hosted-pages", icon="web")

    async def _sort(self, key: str) -> None:
        first, second = (key, f"-{key}") if key == "email" else (f"-{key}", key)
        await self._show(sort=second if self._query.order == first else first)

    async def _add(self) -> None:
        await add_user(self._service, self._added)

    async def _added(self, user: User) -> None:
        await self._read()
        await self.open(user.id)

    # ---- the sheet

    async def open(self, user_id: str, *, is_told: bool = True) -> None:
        """Show a user in the sheet; *is_told* puts the address into the browser's history."""
        if self._panel is not None and not await self._panel.may_leave():
            return
        try:
            user = await to_thread(self._service.users.get, user_id)
        except NotFound as refusal:
            tell(refusal)
            self._shut()
            ui.navigate.history.replace(self._query.address())
            return
        if is_told:
            ui.navigate.history.push(self._query.address(user.id))
        self._mark(user.id)
        self._sheet.clear()
        with self._sheet:
            self._panel = UserPanel(self._service, user, changed=self._changed, gone=self._gone, close=self.close)
            await self._panel.build()
        self._sheet.classes("is-open")
        ui.run_javascript(FOCUS_SHEET.format(self._sheet.html_id))

    async def close(self) -> None:
        """Leave the user that is open."""
        if self._panel is None or not await self._panel.may_leave():
            return
        ui.navigate.history.push(self._query.address())
        link = self._links.get(self._open or "")
        self._shut()
        if link is not None:
            ui.run_javascript(f"document.getElementById('{link.html_id}')?.focus({{preventScroll: true}})")

    def _shut(self) -> None:
        self._mark(None)
        self._panel = None
        self._sheet.classes(remove="is-open")
        self._sheet.clear()

    def _mark(self, user_id: str | None) -> None:
        for known, link in self._links.items():
            row = link.parent_slot.parent if link.parent_slot else None
            if row is not None:
                row.classes(add="is-open" if known == user_id else "", remove="" if known == user_id else "is-open")
        self._open = user_id

    async def _changed(self) -> None:
        await self._refresh()

    async def _gone(self) -> None:
        ui.navigate.history.push(self._query.address())
        self._shut()
        await self._read()

    async def _moved(self, event: events.GenericEventArguments) -> None:
        """Follow the browser's buttons for back and forward."""
        path = str(event.args).rstrip("/")
        user_id = path.removeprefix("/users/") if path.startswith("/users/") else None
        if user_id == self._open:
            return
        if user_id is None:
            self._shut()
        else:
            await self.open(user_id, is_told=False)
