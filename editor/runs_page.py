"""The list of runs, newest first, kept current while runs are under way."""

from __future__ import annotations

from asyncio import to_thread
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nicegui import ui

from editor import words
from editor.frame import box, frame, icon
from editor.session import service_here
from editor.widgets import STATE_ICONS, STATE_TONES, button, chip, choice, empty_state, link_button, row_link
from runtime.run_views import STATUSES, RunSummary

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

PAGE = 50
REFRESH_S = 2.0
OPEN = frozenset({"queued", "running", "waiting"})


def register(app: App) -> None:
    """Add the page to the application."""

    @ui.page("/runs", title="Runs · Pulsewire")
    async def runs_page(flow: str | None = None, status: str | None = None, tests: bool = False) -> None:
        with frame("Runs", active="runs"):
            await RunList(service_here(app), flow, status if status in STATUSES else None, tests).build()


class RunList:
    """The rows of the page. New runs come in above, rows that changed are drawn again in place."""

    def __init__(self, service: Service, flow: str | None, status: str | None, with_tests: bool) -> None:
        self._service = service
        self._flow = flow
        self._status = status
        self._with_tests = with_tests
        self._runs: list[RunSummary] = []
        self._next: int | None = None
        self._drawn: dict[int, tuple[RunSummary, Any]] = {}

    async def build(self) -> None:
        """Draw the page's content and keep it current."""
        flows = {flow.id: flow.name for flow in await to_thread(self._service.flows.list)}
        if self._flow and self._flow not in flows:
            flows[self._flow] = self._flow
        with box("pw-toolbar"):
            by_flow = choice({None: "All flows"} | flows, self._flow, on_change=lambda e: self._show(flow=e.value))
            by_flow.classes("pw-filter").props["aria-label"] = "Flow"
            statuses = {None: "Any status"} | {each: each.capitalize() for each in STATUSES}
            by_status = choice(statuses, self._status, on_change=lambda e: self._show(status=e.value))
            by_status.classes("pw-filter pw-filter--small").props["aria-label"] = "Status"
            ui.switch("Test runs", value=self._with_tests, on_change=lambda e: self._show(tests=e.value)).props("dense")
        self._place = box("pw-list-place")
        await self._read()
        ui.timer(REFRESH_S, self._look, immediate=False)

    async def _show(self, **changed: Any) -> None:
        self._flow = changed.get("flow", self._flow)
        self._status = changed.get("status", self._status)
        self._with_tests = changed.get("tests", self._with_tests)
        query = {"flow": self._flow, "status": self._status, "tests": "true" if self._with_tests else None}
        kept = "&".join(f"{key}={value}" for key, value in query.items() if value)
        ui.navigate.history.replace(f"/runs?{kept}" if kept else "/runs")
        await self._read()

    async def _page(self, after: int | None = None) -> tuple[list[RunSummary], int | None]:
        page = await to_thread(
            self._service.runs.list,
            flow=self._flow,
            status=self._status,
            after=after,
            limit=PAGE,
            is_test=None if self._with_tests else False,
        )
        return page.items, page.next

    async def _read(self) -> None:
        self._runs, self._next = await self._page()
        self._draw()

    async def _more(self) -> None:
        older, self._next = await self._page(self._runs[-1].id if self._runs else None)
        self._runs += older
        self._draw()

    async def _look(self) -> None:
        """Read the newest page again; older runs that are still open are read with it, as far as they are shown."""
        newest, following = await self._page()
        known = {each.id: each for each in self._runs}
        if not self._runs or not newest or newest[-1].id > self._runs[0].id:
            changed, self._runs, self._next = newest != self._runs, newest, following
        else:
            last = newest[-1].id
            older = [each for each in self._runs if each.id < last]
            merged = newest + await self._current(older)
            changed, self._runs = merged != list(known.values()), merged
        if changed or any(each.status in OPEN for each in self._runs):
            self._draw()

    async def _current(self, older: list[RunSummary]) -> list[RunSummary]:
        if not any(each.status in OPEN for each in older):
            return older
        first = max(each.id for each in older if each.status in OPEN)
        page, _ = await self._page(first + 1)
        fresh = {each.id: each for each in page}
        lowest = page[-1].id if page else first
        return [fresh.get(each.id, each) for each in older if each.id in fresh or not lowest <= each.id <= first]

    def _draw(self) -> None:
        shown = [each.id for each in self._runs]
        if [*self._drawn] == shown and shown:
            for each in self._runs:
                before, row = self._drawn[each.id]
                if each != before or each.status in OPEN:
                    row.clear()
                    with row:
                        self._row(each)
                    self._drawn[each.id] = (each, row)
            return
        self._place.clear()
        self._drawn = {}
        with self._place:
            if not self._runs:
                self._nothing()
                return
            with box("pw-card pw-list", "ul"):
                for each in self._runs:
                    with box("pw-row pw-run", "li") as row:
                        self._row(each)
                    self._drawn[each.id] = (each, row)
            if self._next is not None:
                with box("pw-more"):
                    button("Show older runs", self._more)

    def _nothing(self) -> None:
        if self._flow or self._status:
            with empty_state("filter_alt_off", "No run fits", "Choose another flow or status."):
                link_button("All runs", "/runs")
            return
        with empty_state(
            "history",
            "Nothing has run yet",
            "Publish a flow, then let its event happen: clear a table, post an event. Each run shows here with every "
            "step, what went in and what came out.",
        ):
            link_button("Go to flows", "/", kind="primary")

    def _row(self, each: RunSummary) -> None:
        row_link(f"/runs/{each.id}", f"Open run {each.id}, {each.status}")
        tone, symbol = STATE_TONES[each.status], STATE_ICONS[each.status]
        with box(f"pw-run-state pw-tone--{tone}"):
            icon(symbol).classes("pw-spin" if symbol == "progress_activity" else "")
        with box("pw-run-text"):
            with box("pw-run-name"):
                ui.label(each.flow_name or each.flow).classes("pw-row-title pw-clip")
                if each.is_test:
                    chip(
                        "Test" if each.is_simulated else "Test, real effects", "accent" if each.is_simulated else "warn"
                    )
                if each.flow_name is None:
                    chip("Deleted flow")
            ui.label(self._about(each)).classes("pw-row-sub pw-clip" + (" pw-tone--fail" if each.error else ""))
        ui.label(f"#{each.id}").classes("pw-row-sub pw-num pw-not-phone")
        ui.label(_taken(each)).classes("pw-row-sub pw-num pw-run-time")
        when = ui.label(words.ago(each.created_at)).classes("pw-row-sub pw-run-when")
        when.props["title"] = words.exact(each.created_at)

    def _about(self, each: RunSummary) -> str:
        if each.error:
            return str(each.error.get("message") or "Failed")
        cause = each.event_name or ("started by hand" if each.event_id is None else "")
        version = f"version {each.version}" if each.version is not None else "draft"
        retry = f" · retry of #{each.parent_run}" if each.parent_run else ""
        return f"{cause} · {version}{retry}" if cause else f"{version}{retry}"


def _taken(each: RunSummary) -> str:
    if each.started_at is None:
        return each.status.capitalize()
    if each.ended_at is None:
        return f"{each.status} {words.duration(datetime.now(UTC) - each.started_at)}"
    return words.duration(each.ended_at - each.started_at)
