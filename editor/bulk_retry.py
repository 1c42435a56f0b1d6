"""Retrying many runs from their list: which ones are selected, the bar that says so, and what became of them."""

from __future__ import annotations

from asyncio import to_thread
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from nicegui import ui

from editor import words
from editor.frame import box, icon
from editor.retry_dialog import HAPPENS_AGAIN
from editor.widgets import Refused, button, choice, dialog, field, icon_button, segments, tell, toast
from runtime.bulk_retries import Failed, Retried
from runtime.limits import RETRIES
from runtime.repeats import Version
from runtime.run_views import RunSummary

if TYPE_CHECKING:
    from runtime.service import Service

AT_ONCE = 50  # between two steps of the progress that is shown
SPANS = {0: "At any time", 1: "In the last hour", 24: "In the last day", 24 * 7: "In the last week"}  # hours
SHOWN_REASONS = 6


class BulkRetry:
    """The selection of a list of runs. *redraw* is called when it was emptied, *done* when runs were retried."""

    def __init__(self, service: Service, *, redraw: Callable[[], object], done: Callable[[], Awaitable[None]]) -> None:
        self._service = service
        self._redraw = redraw
        self._done = done
        self._runs: dict[int, RunSummary] = {}
        self._all: Failed | None = None  # what is shown can be retried as a whole
        self._all_title = ""
        self._bar = box("pw-bulk").props('role=region aria-label="Selected runs"')
        self._bar.set_visibility(False)

    def has(self, run_id: int) -> bool:
        """Return whether a run is selected."""
        return run_id in self._runs

    def select(self, run: RunSummary, is_selected: bool) -> None:
        """Add a run to the selection, or take it out."""
        if is_selected:
            self._runs[run.id] = run
        else:
            self._runs.pop(run.id, None)
        self._draw()

    def offer_all(self, failed: Failed | None, title: str) -> None:
        """Offer to retry everything that *failed* describes, as soon as something is selected."""
        self._all, self._all_title = failed, title
        self._draw()

    def clear(self) -> None:
        """Select nothing."""
        self._runs.clear()
        self._draw()

    def _draw(self) -> None:
        self._bar.clear()
        self._bar.set_visibility(bool(self._runs))
        if not self._runs:
            return
        with self._bar:
            ui.label(words.count(len(self._runs), "run")).classes("pw-bulk-count pw-num")
            if self._all is not None:
                button(f"All {self._all_title}", self._retry_all, kind="ghost").classes("pw-bulk-all")
            button("Retry", self._retry_selected, kind="primary", icon="replay")
            icon_button("close", "Select nothing", self._empty, is_small=True)

    def _empty(self) -> None:
        self.clear()
        self._redraw()

    # -- asking

    async def _retry_selected(self) -> None:
        runs = list(self._runs.values())
        asked = Ask(self._service, f"Retry {words.count(len(runs), 'run')}")
        if not await asked.answered():
            return
        found = Retried()
        ids = sorted(run.id for run in runs)
        with dialog("Retrying", width=420) as (window, _foot):
            window.props("persistent")
            ui.label(f"{words.count(len(ids), 'run')}, {AT_ONCE} at a time.").classes("pw-soft")
            progress = ui.linear_progress(0, show_value=False).props("rounded instant-feedback").classes("pw-progress")
        window.open()
        for start in range(0, len(ids), AT_ONCE):
            some = await self._retried(ids[start : start + AT_ONCE], None, asked)
            if some is None:
                break
            found = Retried(found.started + some.started, found.refused + some.refused)
            progress.set_value((start + AT_ONCE) / len(ids))
        window.close()
        await self._finish(found)

    async def _retry_all(self) -> None:
        assert self._all is not None
        codes = Counter(
            str(run.error.get("code")) for run in self._runs.values() if run.error and run.error.get("code")
        )
        asked = Ask(self._service, f"Retry all {self._all_title}", self._all, codes)
        if not await asked.answered():
            return
        with dialog("Retrying", width=420) as (window, _foot):
            window.props("persistent")
            ui.label(f"Up to {RETRIES:,} runs at once.").classes("pw-soft")
            ui.linear_progress(show_value=False).props("rounded indeterminate").classes("pw-progress")
        window.open()
        found = await self._retried(None, asked.failed, asked)
        window.close()
        if found is not None:
            await self._finish(found)

    async def _retried(self, ids: list[int] | None, failed: Failed | None, asked: Ask) -> Retried | None:
        try:
            return await self._service.runs.retry_many(
                ids, failed, from_failed=asked.from_failed, version=asked.version
            )
        except Refused as refusal:
            tell(refusal)
            return None

    async def _finish(self, found: Retried) -> None:
        self.clear()
        await self._done()
        if found.refused or found.left:
            _tell(found)
        elif found.count:
            toast(f"{found.said[:1].upper()}{found.said[1:]} started again.")


class Ask:
    """The dialog before: where each run begins, on which version, and, for all of them, which ones."""

    def __init__(
        self, service: Service, title: str, failed: Failed | None = None, codes: Mapping[str, int] | None = None
    ) -> None:
        self._runs = service.runs
        self._title = title
        self._codes = codes or {}
        self._whole = failed
        self.failed = failed
        self.from_failed = True
        self.version: Version = "then"

    async def answered(self) -> bool:
        """Ask; return whether to go on."""
        with dialog(self._title, width=480) as (window, foot):
            if self._whole is not None:
                self._which()
            with box("pw-field"):
                ui.label("Begin").classes("pw-label")
                segments({"failed": "At the failed step", "start": "At the start"}, "failed", self._begin)
            self._told = ui.label(HAPPENS_AGAIN["failed"]).classes("pw-soft")
            with box("pw-field"):
                ui.label("Version").classes("pw-label")
                segments({"then": "The one of then", "now": "The one live now"}, "then", self._on_version)
            with foot:
                button("Cancel", lambda: window.submit(False), kind="ghost")
                self._go = button("Retry", lambda: window.submit(True), kind="primary", icon="replay")
        if self._whole is not None:
            await self._count()
        return bool(await window)

    def _which(self) -> None:
        with box("pw-two"):
            with field("Accepted"):
                span = choice(SPANS, 0, on_change=lambda event: self._narrow(hours=event.value))
                span.props["aria-label"] = "Accepted"
            with field("Error"):
                codes = {None: "Any"} | {code: code for code in self._codes}
                code = choice(codes, None, on_change=lambda event: self._narrow(code=event.value))
                code.props["aria-label"] = "Error"
        with box("pw-bulk-which"):
            icon("rule")
            self._counted = ui.label()

    async def _narrow(self, **changed: object) -> None:
        assert self.failed is not None
        if "hours" in changed:
            hours = int(str(changed["hours"]))
            since = datetime.now(UTC) - timedelta(hours=hours) if hours else None
            self.failed = replace(self.failed, since=since)
        else:
            code = changed["code"]
            self.failed = replace(self.failed, code=None if code is None else str(code))
        await self._count()

    async def _count(self) -> None:
        assert self.failed is not None
        number = await to_thread(self._runs.failed, self.failed)
        at_once = f"; the first {RETRIES:,} are retried at once" if number > RETRIES else ""
        self._counted.set_text(f"{words.count(number, 'run')} that nobody has retried yet{at_once}.")
        self._go.set_enabled(number > 0)

    def _begin(self, event: object) -> None:
        self.from_failed = getattr(event, "value", "failed") == "failed"
        self._told.set_text(HAPPENS_AGAIN["failed" if self.from_failed else "start"])

    def _on_version(self, event: object) -> None:
        self.version = "now" if getattr(event, "value", "then") == "now" else "then"


def _tell(found: Retried) -> None:
    """Show what became of the runs, with the reasons of those that were refused."""
    with dialog("What became of them", width=520) as (window, foot):
        with box("pw-bulk-done"):
            icon("check_circle")
            ui.label(f"{found.said} started again")
        reasons: dict[str, list[int]] = {}
        for run_id, problems in found.refused:
            reasons.setdefault(problems[0].message.replace(f"run {run_id}", "the run"), []).append(run_id)
        for reason, run_ids in list(reasons.items())[:SHOWN_REASONS]:
            with box("pw-bulk-refused"):
                icon("error")
                with box("pw-grow"):
                    ui.label(reason)
                    with box("pw-bulk-runs"):
                        for run_id in run_ids[:12]:
                            ui.link(f"#{run_id}", f"/runs/{run_id}")
                        if len(run_ids) > 12:
                            ui.label(f"and {len(run_ids) - 12:,} more")
        if found.left:
            ui.label(f"{words.count(found.left, 'run')} more are left: retry them next.").classes("pw-soft")
        with foot:
            button("Close", window.close, kind="primary")
    window.open()
