"""The list of runs, newest first, kept current while runs are under way."""

from __future__ import annotations

from asyncio import to_thread
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nicegui import ui

from editor import words
from editor.bulk_retry import BulkRetry
from editor.elements import web_page
from editor.frame import box, frame, icon
from editor.session import may_edit, service_here
from editor.widgets import (
    STATE_ICONS,
    STATE_TONES,
    Refused,
    button,
    chip,
    choice,
    confirm,
    empty_state,
    link_button,
    row_link,
    tell,
    toast,
)
from runtime.bulk_retries import Failed
from runtime.run_views import STATUSES, RunSummary

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

PAGE = 50
REFRESH_S = 2.0
CANCEL_OPEN = (
    "Steps that are done stay done; the others do not happen. Pause the flow first if no new run is to begin meanwhile."
)
OPEN = frozenset({"queued", "running", "waiting"})
DEAD = "dead"  # among the statuses to choose from: failed runs that were given up


def register(app: App) -> None:
    """Add the page to the application."""

    @web_page("/runs", title="Runs · Pulsewire")
    async def runs_page(flow: str | None = None, status: str | None = None, tests: bool = False) -> None:
        with frame("Runs", active="runs"):
            is_known = status in STATUSES or status == DEAD
            await RunList(service_here(app), flow, status if is_known else None, tests).build()


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
        self._flows: dict[str | None, str] = {}
        self._may_edit = may_edit()

    async def build(self) -> None:
        """Draw the page's content and keep it current."""
        self._flows = {flow.id: flow.name for flow in await to_thread(self._service.flows.list)}
        if self._flow and self._flow not in self._flows:
            self._flows[self._flow] = self._flow
        dead = await to_thread(self._service.runs.list, is_dead=True, is_test=None, limit=1)
        with box("pw-toolbar"):
            by_flow = choice(
                {None: "All flows"} | self._flows, self._flow, on_change=lambda e: self._show(flow=e.value)
            )
            by_flow.classes("pw-filter").props["aria-label"] = "Flow"
            statuses = {None: "Any status"} | {each: each.capitalize() for each in STATUSES} | {DEAD: "Dead letters"}
            by_status = choice(statuses, self._status, on_change=lambda e: self._show(status=e.value))
            by_status.classes("pw-filter pw-filter--small").props["aria-label"] = "Status"
            if dead.items:
                with box("pw-dead", "button").props("type=button") as tab:
                    icon("report")
                    ui.label("Dead letters")
                tab.props["title"] = "Runs that were given up because they stopped the engine again and again"
                tab.on("click", lambda: by_status.set_value(None if by_status.value == DEAD else DEAD))
            ui.switch("Test runs", value=self._with_tests, on_change=lambda e: self._show(tests=e.value)).props("dense")
            if self._may_edit:
                self._cancel = button("Cancel open runs", self._cancel_open, kind="ghost", icon="block")
                self._cancel.set_visibility(self._flow is not None)
        self._place = box("pw-list-place")
        self._bulk = BulkRetry(self._service, redraw=self._draw_anew, done=self._read) if self._may_edit else None
        await self._read()
        ui.timer(REFRESH_S, self._look, immediate=False)

    async def _show(self, **changed: Any) -> None:
        self._flow = changed.get("flow", self._flow)
        self._status = changed.get("status", self._status)
        self._with_tests = changed.get("tests", self._with_tests)
        query = {"flow": self._flow, "status": self._status, "tests": "true" if self._with_tests else None}
        kept = "&".join(f"{key}={value}" for key, value in query.items() if value)
        ui.navigate.history.replace(f"/runs?{kept}" if kept else "/runs")
        if self._bulk is not None:
            self._bulk.clear()
            self._cancel.set_visibility(self._flow is not None)
        await self._read()

    async def _cancel_open(self) -> None:
        """Cancel all open runs of the flow that is shown, after asking."""
        flow = self._flow
        if flow is None:
            return
        title = f"Cancel all open runs of “{self._flows.get(flow, flow)}”?"
        if not await confirm(title, CANCEL_OPEN, action="Cancel runs"):
            return
        try:
            done = await self._service.runs.cancel_many(flow)
        except Refused as refusal:
            tell(refusal)
            return
        toast(f"Cancelled {done.said}." + (f" {done.left:,} more are left." if done.left else ""))
        await self._read()

    async def _page(self, after: int | None = None) -> tuple[list[RunSummary], int | None]:
        page = await to_thread(
            self._service.runs.list,
            flow=self._flow,
            status=None if self._status == DEAD else self._status,
            is_dead=True if self._status == DEAD else None,
            after=after,
            limit=PAGE,
            is_test=None if self._with_tests else False,
        )
        return page.items, page.next

    async def _read(self) -> None:
        self._runs, self._next = await self._page()
        self._draw_anew()

    def _draw_anew(self) -> None:
        self._drawn = {}
        self._draw()
        self._offer_all()

    def _offer_all(self) -> None:
        """Say what of the shown runs can be retried as a whole: those that failed."""
        if self._bulk is None:
            return
        is_failed = self._status in ("failed", DEAD) or (self._flow is not None and self._status is None)
        what = "dead letters" if self._status == DEAD else "failed runs"
        whose = f" of “{self._flows.get(self._flow, self._flow)}”" if self._flow else ""
        failed = Failed(self._flow, dead=self._status == DEAD)
        self._bulk.offer_all(failed if is_failed else None, f"{what}{whose}")

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
                    with box("pw-row pw-run pw-run--picked" if self._bulk else "pw-row pw-run", "li") as row:
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
        if self._bulk is not None:
            with box("pw-run-pick"):
                self._checkbox(each, self._bulk)
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
                if each.is_dead:
                    chip("Dead letter", "fail")
                if each.retried_by:
                    chip(f"Retried as #{each.retried_by[-1]}")
            ui.label(self._about(each)).classes("pw-row-sub pw-clip" + (" pw-tone--fail" if each.error else ""))
        ui.label(f"#{each.id}").classes("pw-row-sub pw-num pw-not-phone")
        ui.label(_taken(each)).classes("pw-row-sub pw-num pw-run-time")
        when = ui.label(words.ago(each.created_at)).classes("pw-row-sub pw-run-when")
        when.props["title"] = words.exact(each.created_at)

    def _checkbox(self, each: RunSummary, bulk: BulkRetry) -> None:
        if each.has_ended:
            made = ui.checkbox(value=bulk.has(each.id), on_change=lambda event: bulk.select(each, bool(event.value)))
            made.props("dense size=sm").props["aria-label"] = f"Select run {each.id}"

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
