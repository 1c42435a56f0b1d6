"""One run on the canvas it ran on: what each step got, gave and did."""

from __future__ import annotations

import json
from asyncio import to_thread
from typing import TYPE_CHECKING, Any, TypeAlias

from nicegui import ui

from editor import theme, words
from editor.canvas import FlowCanvas
from editor.catalog import picture
from editor.error_pages import not_found
from editor.frame import box, icon
from editor.live import Overlay
from editor.palette import node_icon
from editor.session import may_edit, service_here
from editor.step_view import state_icon, step_detail, time_taken
from editor.widgets import Refused, button, confirm, icon_button, link_button, status_chip, tell
from editor.workbench import workbench
from runtime.errors import NotFound
from runtime.run_views import RunView, StepView

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

Json: TypeAlias = Any
NUMBER_DIGITS = 18  # SQLite's integers have at least so many


def register(app: App) -> None:
    """Add the page to the application."""

    @ui.page("/runs/{run_id}", title="Run · Pulsewire")
    async def run_page(run_id: str) -> None:
        service = service_here(app)
        try:
            view = await to_thread(service.runs.get, _number(run_id))
        except NotFound:
            ui.context.client.status_code = 404
            not_found(
                "run", "It may have been removed with old runs.", back="/runs", back_title="All runs", active="runs"
            )
            return
        theme.dress()
        RunPage(service, view).build()


class RunPage:
    """One open page."""

    def __init__(self, service: Service, view: RunView) -> None:
        self._service = service
        self._types = service.types
        self._view = view
        self._selected: str | None = None
        self._drawn: object = None
        self._lines: dict[str, Any] = {}
        self._client = ui.context.client
        self._may_edit = may_edit()

    def build(self) -> None:
        """Draw the page and follow the run until it ends."""
        view = self._view
        ui.page_title(f"Run {view.id} · {view.flow_name or view.flow} · Pulsewire")
        with workbench(left_title="Steps", right_title="Details of the step") as bench:
            bench.left.classes("fe-left--steps")
            with bench.top:
                self._top()
            with bench.left:
                self._list = box("fr-steps")
            with bench.center:
                self._canvas = FlowCanvas(
                    f"run-{view.id}",
                    self._types,
                    is_readonly=True,
                    on_select=self._select,
                    on_command=self._command,
                )
                self._canvas.classes("fe-canvas")
                if view.document is not None:
                    self._canvas.show(picture(view.document, self._types))
                else:
                    with box("fr-gone"):
                        ui.label("The version that this run worked on is no longer kept.")
            self._side = bench.right
        self._bench = bench
        self._overlay = Overlay(self._service, self._canvas, self._show)
        self._client.on_delete(self._overlay.stop)
        self._show(view)
        self._overlay.follow(view.id, is_played=False)

    def _top(self) -> None:
        view = self._view
        with ui.link(target="/runs").classes(replace="fe-back").props('aria-label="All runs" title="All runs"'):
            icon("arrow_back")
        with box("fr-title"):
            ui.label(view.flow_name or view.flow).classes("fr-name pw-clip")
            ui.label(f"Run {view.id}" + (f" · v{view.version}" if view.version else " · test of the draft")).classes(
                "pw-muted pw-clip"
            )
        self._status = box("fr-status", "span")
        self._times = ui.label().classes("pw-muted pw-num pw-not-phone")
        if view.is_simulated:
            with box("pw-chip pw-chip--accent pw-not-phone", "span"):
                icon("science")
                ui.label("Simulated: nothing was sent")
        with box("fe-top-end"):
            self._cancel = button("Cancel", self._cancel_run, kind="ghost", icon="stop_circle")
            self._retry = button("Retry", self._retry_run, icon="replay")
            if view.flow_name is not None:
                link_button("Open flow", f"/flows/{view.flow}", icon="account_tree").classes("pw-not-phone")

    def _show(self, view: RunView) -> None:
        self._view = view
        drawn = (view.status, view.steps, view.ended_at)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        with self._client:
            self._status.clear()
            with self._status:
                status_chip(view.status)
            began = view.started_at or view.created_at
            took = f" · {words.duration(view.ended_at - began)}" if view.ended_at else ""
            self._times.set_text(f"{words.exact(began)}{took}")
            self._cancel.set_visibility(self._may_edit and not view.has_ended)
            self._retry.set_visibility(self._may_edit and view.has_ended and view.document is not None)
            self._draw_list()
            self._draw_side()

    def _draw_list(self) -> None:
        names = {node["id"]: node for node in (self._view.document or {}).get("nodes", ())}
        self._list.clear()
        self._lines.clear()
        with self._list:
            ui.label("Steps").classes("fe-group")
            for step in self._view.steps:
                node = names.get(step.node, {"name": step.node, "type": ""})
                with box(f"fr-step fr-step--{step.status}", "button").props("type=button") as line:
                    state_icon(step.status)
                    node_icon(self._types.get(node["type"]))
                    with box("fe-node-text"):
                        ui.label(node["name"]).classes("fe-node-title")
                        ui.label((step.error or {}).get("message") or time_taken(step) or step.status).classes(
                            "fe-node-hint"
                        )
                line.on("click", lambda node_id=step.node: self._visit(node_id))
                self._lines[step.node] = line
            if not self._view.steps:
                ui.label("No step has begun yet.").classes("fe-none")
        self._mark()

    def _draw_side(self) -> None:
        self._side.clear()
        step = next((step for step in self._view.steps if step.node == self._selected), None)
        with self._side:
            if self._selected is None:
                self._about()
            else:
                self._step(step)

    def _step(self, step: StepView | None) -> None:
        nodes = {node["id"]: node for node in (self._view.document or {}).get("nodes", ())}
        node = nodes.get(self._selected or "", {"name": self._selected, "type": ""})
        node_type = self._types.get(node["type"])
        with box("fe-panel-head"):
            node_icon(node_type)
            with box("fe-panel-title"):
                ui.label(node["name"]).classes("fe-panel-name")
                with box("fe-panel-sub"):
                    ui.label(node_type.title if node_type else node["type"])
                    ui.label(str(self._selected)).classes("fe-id")
            icon_button("close", "Close", self._close, is_small=True)
        with box("fe-panel-body"):
            if step is None:
                ui.label("This node did not take part in the run.").classes("pw-muted")
            else:
                step_detail(step, is_simulated=self._view.is_simulated)
                if self._view.has_ended and step.status == "failed":
                    button("Retry from here", lambda: self._retry_run(step.node), icon="replay")

    def _about(self) -> None:
        view = self._view
        with box("fe-panel-head"):
            with box("fe-icon fe-icon--plain", "span"):
                icon("history")
            with box("fe-panel-title"):
                ui.label(f"Run {view.id}").classes("fe-panel-name")
                ui.label(view.event_name or "started by hand").classes("fe-panel-sub")
            icon_button("right_panel_close", "Hide the panel", self._bench.hide_right, is_small=True)
        with box("fe-panel-body"), box("fs"):
            if view.error:
                with box("fs-error").props("role=alert"):
                    ui.label(str(view.error.get("message") or "The run failed."))
            with box("fs-json"):
                ui.label("Payload").classes("fs-title")
                ui.label(_json(view.payload)).classes("fs-pre")
            with box("fs-facts"):
                for title, value in self._facts():
                    ui.label(title).classes("fs-fact")
                    ui.label(value).classes("fs-value")
            if view.parent_run:
                with ui.link(target=f"/runs/{view.parent_run}").classes("fe-hint-link"):
                    ui.label(f"This is a retry of run {view.parent_run}")

    def _facts(self) -> list[tuple[str, str]]:
        view = self._view
        facts = [
            ("Event", view.event_name or "–"),
            ("Event id", view.event_id or "–"),
            ("Accepted", words.exact(view.created_at)),
        ]
        if view.ended_at:
            facts.append(("Ended", words.exact(view.ended_at)))
        return facts

    def _select(self, selection: dict[str, Json]) -> None:
        self._selected = selection["nodes"][0] if len(selection["nodes"]) == 1 else None
        self._mark()
        with self._client:
            self._draw_side()

    def _close(self) -> None:
        self._canvas.select([])
        self._bench.close_sheet()

    def _mark(self) -> None:
        for node_id, line in self._lines.items():
            line.props["aria-current"] = "true" if node_id == self._selected else "false"
            line.update()

    def _command(self, command: dict[str, Json]) -> None:
        if command["name"] in ("open", "click"):
            self._bench.show_right()

    def _visit(self, node_id: str) -> None:
        self._bench.show_right()
        self._canvas.visit(node_id)

    async def _cancel_run(self) -> None:
        if await confirm(
            "Cancel this run?", "Steps that are done stay done; the others do not happen.", action="Cancel run"
        ):
            try:
                self._show(await self._service.runs.cancel(self._view.id))
            except Refused as refusal:
                tell(refusal)

    async def _retry_run(self, from_: str | None = None) -> None:
        if not self._view.is_simulated and not await confirm(
            "Run it again?",
            "A new run starts with the same payload; its emails, requests and row changes happen again."
            if from_ is None
            else "A new run starts at this step; what came before is kept as it was.",
            action="Run again",
            is_danger=False,
        ):
            return
        try:
            new = await self._service.runs.retry(self._view.id, from_ if isinstance(from_, str) else None)
        except Refused as refusal:
            tell(refusal)
        else:
            ui.navigate.to(f"/runs/{new.id}")


def _number(written: str) -> int:
    """Return a run's number from its address; no run has the number of an address that is none."""
    return int(written) if written.isascii() and written.isdigit() and len(written) < NUMBER_DIGITS else 0


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
