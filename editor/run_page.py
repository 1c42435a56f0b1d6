"""One run on the canvas it ran on: what each step got, gave and did, and how it goes on."""

from __future__ import annotations

import json
from asyncio import to_thread
from typing import TYPE_CHECKING, Any, TypeAlias

from nicegui import background_tasks, ui

from editor import theme, words
from editor.canvas import FlowCanvas
from editor.catalog import picture
from editor.elements import web_page
from editor.error_pages import not_found
from editor.flow_queue import held_view
from editor.frame import box, icon
from editor.live import Overlay
from editor.loop_items import ItemList, Loop, LoopItems, Wanted
from editor.palette import node_icon
from editor.retry_dialog import ask_retry
from editor.run_steps import RunSteps
from editor.session import may_edit, service_here
from editor.step_view import step_detail
from editor.step_waits import StepTools
from editor.widgets import Refused, button, chip, confirm, icon_button, link_button, status_chip, tell, toast
from editor.workbench import workbench
from runtime.document import parse
from runtime.errors import NotFound
from runtime.kept_steps import Shape
from runtime.run_views import RunView, StepView
from runtime.settling import Settle, undecided_ports

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

Json: TypeAlias = Any
NUMBER_DIGITS = 18  # SQLite's integers have at least so many
KEEP_FOCUS = """
    const keep = (tries) => {
        if (document.querySelector('.q-dialog') && tries) setTimeout(keep, 50, tries - 1);
        else if (document.activeElement === document.body)
            document.querySelector('.fe-right')?.focus({ preventScroll: true });
    };
    setTimeout(keep, 50, 40);
"""  # once what is new is drawn and the dialog that asked is gone
EXTENTS = {"only": "Only “{}”", "until": "Up to “{}”", "from": "From “{}” on"}


def register(app: App) -> None:
    """Add the page to the application."""

    @web_page("/runs/{run_id}", title="Run · Pulsewire")
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
        await RunPage(service, view).build()


class RunPage:
    """One open page."""

    def __init__(self, service: Service, view: RunView) -> None:
        self._service = service
        self._types = service.types
        self._view = view
        self._selected: str | None = None
        self._drawn: object = None
        self._side_shown: object = None
        self._has_acted = False  # and what was pressed may be gone when the run is drawn next
        self._client = ui.context.client
        self._may_edit = may_edit()
        document = parse(view.document)[0] if view.document else None
        self._shape = Shape(document, self._types) if document else None
        self._items = LoopItems(service, view.id, self._shape) if self._shape else None
        self._item_list: tuple[Loop, ItemList] | None = None

    async def build(self) -> None:
        """Draw the page and follow the run until it ends."""
        view = self._view
        ui.page_title(f"Run {view.id} · {view.flow_name or view.flow} · Pulsewire")
        with workbench(left_title="Steps", right_title="Details of the step") as bench:
            bench.left.classes("fe-left--steps")
            with bench.top:
                self._top()
            with bench.left:
                self._list = RunSteps(
                    box("fr-steps"),
                    self._types,
                    self._shape,
                    self._items,
                    visit=self._visit,
                    choose=self._choose_item,
                )
            with bench.center:
                self._canvas = FlowCanvas(
                    f"run-{view.id}",
                    self._types,
                    is_readonly=True,
                    cover=".fe-right",
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
        await self._read_items()
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
            self._retry = button("Retry", lambda: self._retry_run(), icon="replay")
            if view.flow_name is not None:
                link_button("Open flow", f"/flows/{view.flow}", icon="account_tree").classes("pw-not-phone")

    # -- what is shown

    def _show(self, view: RunView) -> None:
        self._view = view
        drawn = (view.status, view.steps, view.ended_at, view.repeated, view.retried_by, view.held)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        if view.repeated:  # the items that are looked at have to be read
            background_tasks.create(self._draw_with_items(), name="draw a run")
        else:
            self._draw()

    async def _draw_with_items(self) -> None:
        await self._read_items()
        self._draw()

    async def _read_items(self) -> None:
        if self._items is not None and self._view.repeated:
            await to_thread(self._items.read)

    def _draw(self) -> None:
        view = self._view
        with self._client:
            self._status.clear()
            with self._status:
                status_chip(view.status)
                if view.is_dead:
                    chip("Dead letter", "fail").props["title"] = "It stopped the engine again and again"
            began = view.started_at or view.created_at
            took = f" · {words.duration(view.ended_at - began)}" if view.ended_at else ""
            self._times.set_text(f"{words.exact(began)}{took}")
            self._cancel.set_visibility(self._may_edit and not view.has_ended)
            self._retry.set_visibility(self._may_edit and view.has_ended)
            self._list.draw(view)
            self._list.mark(self._selected)
            self._draw_side()
            if self._has_acted:
                self._has_acted = False
                ui.run_javascript(KEEP_FOCUS)
        if self._items is not None:
            self._overlay.show_items(self._items.steps)

    def _draw_side(self) -> None:
        """Draw the panel, unless it shows just that already: what has the focus in it, and its place, stay."""
        shown = self._told()
        if shown == self._side_shown:
            if self._item_list is not None:
                background_tasks.create(self._item_list[1].read(), name="list the items of a loop")
            return
        self._side_shown = shown
        self._side.clear()
        self._item_list = None
        with self._side:
            if self._selected is None:
                self._about()
            else:
                self._step(self._selected)

    def _told(self) -> object:
        """Return all that the panel is drawn from."""
        view, node_id = self._view, self._selected
        if node_id is None:
            return (None, view.error, view.held, view.retried_by, view.key, view.ended_at)
        return (node_id, self._step_of(node_id), view.has_ended, self._loop_of(node_id))

    def _step_of(self, node_id: str) -> StepView | None:
        """Return the step of a node, inside a loop that of the item that is looked at."""
        inside = self._items.steps.get(node_id) if self._items else None
        return inside or self._view.step(node_id)

    def _step(self, node_id: str) -> None:
        nodes = {node["id"]: node for node in (self._view.document or {}).get("nodes", ())}
        node = nodes.get(node_id, {"name": node_id, "type": ""})
        node_type = self._types.get(node["type"])
        step = self._step_of(node_id)
        with box("fe-panel-head"):
            node_icon(node_type)
            with box("fe-panel-title"):
                ui.label(node["name"]).classes("fe-panel-name")
                with box("fe-panel-sub"):
                    ui.label(node_type.title if node_type else node["type"])
                    ui.label(node_id).classes("fe-id")
                    if step is not None and step.iteration:
                        chip(words.item(step.iteration))
            icon_button("close", "Close", self._close, is_small=True)
        with box("fe-panel-body"):
            if step is None:
                ui.label("This node did not take part in the run.").classes("pw-muted")
                return
            self._loop_items(node_id)
            step_detail(step, is_simulated=self._view.is_simulated, repeats=self._view.parent_run, tools=self._tools())
            if self._view.has_ended and self._may_edit and step.status in ("failed", "unknown", "succeeded"):
                button("Retry from here", lambda: self._retry_run(step.node, node["name"]), icon="replay")

    def _loop_items(self, node_id: str) -> None:
        """List the items of a loop."""
        loop = self._loop_of(node_id)
        if loop is None:
            return
        made = ItemList(self._service, self._view.id, loop, lambda wanted: self._choose_item(loop, wanted))
        self._item_list = (loop, made)
        background_tasks.create(made.read(), name="list the items of a loop")

    def _loop_of(self, node_id: str) -> Loop | None:
        """Return the loop that a node is, in the item around it that is looked at; None if there is nothing to list."""
        if self._shape is None or self._items is None or not self._shape.body(node_id):
            return None
        within = self._items.item_around(node_id)
        return None if within is None or (node_id, within) not in self._items.picked else (node_id, within)

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
            if view.held is not None:
                held_view(view.held, view.flow)
            self._chain()
            with box("fs-json"):
                ui.label("Payload").classes("fs-title")
                ui.label(_json(view.payload)).classes("fs-pre")
            with box("fs-facts"):
                for title, value in self._facts():
                    ui.label(title).classes("fs-fact")
                    ui.label(value).classes("fs-value")

    def _chain(self) -> None:
        """Link to the runs that this one came from, and that came from it."""
        view = self._view
        nodes = {node["id"]: node["name"] for node in (view.document or {}).get("nodes", ())}
        links: list[tuple[str, str, tuple[int, ...]]] = []
        if view.caused_by is not None and view.parent_run is None:
            is_call = view.event_name == "flow.called"
            links.append(("account_tree", "Called by" if is_call else "Caused by", (view.caused_by,)))
        if view.parent_run is not None:
            links.append(("replay", "With outputs of" if view.scope else "Retry of", view.chain))
        if view.retried_by:
            links.append(("redo", "Retried by", view.retried_by))
        if not links and not view.scope:
            return
        with box("fr-chain"):
            for word, node_id in (view.scope or {}).items():
                with box("fr-link"):
                    icon("science")
                    ui.label(EXTENTS.get(word, "{}").format(nodes.get(node_id, node_id)))
            for symbol, title, run_ids in links:
                with box("fr-link"):
                    icon(symbol)
                    ui.label(title)
                    for place, run_id in enumerate(run_ids[-6:]):
                        if place:
                            ui.label("→" if run_ids is view.chain else "·").classes("pw-muted")
                        ui.link(f"run {run_id}", f"/runs/{run_id}").classes("fe-hint-link")

    def _facts(self) -> list[tuple[str, str]]:
        view = self._view
        facts = [
            ("Event", view.event_name or "–"),
            ("Event id", view.event_id or "–"),
            ("Accepted", words.exact(view.created_at)),
        ]
        if view.key is not None:
            facts.append(("Key", view.key))
        if view.ended_at:
            facts.append(("Ended", words.exact(view.ended_at)))
        return facts

    # -- going about

    async def _select(self, selection: dict[str, Json]) -> None:
        self._selected = selection["nodes"][0] if len(selection["nodes"]) == 1 else None
        self._list.mark(self._selected)
        with self._client:
            self._draw_side()

    def _close(self) -> None:
        self._canvas.select([])
        self._bench.close_sheet()

    def _command(self, command: dict[str, Json]) -> None:
        if command["name"] in ("open", "click"):
            self._bench.show_right()

    def _visit(self, node_id: str) -> None:
        self._bench.show_right()
        self._canvas.visit(node_id)

    async def _choose_item(self, loop: Loop, wanted: Wanted) -> None:
        """Look at another item of a loop; the list of items stays where it is."""
        if self._items is None:
            return
        self._items.want(loop, wanted)
        await self._read_items()
        with self._client:
            self._list.draw(self._view)
            self._list.mark(self._selected)
            self._draw_side()
        self._overlay.show_items(self._items.steps)

    # -- what can be done

    def _tools(self) -> StepTools:
        if not self._may_edit:
            return StepTools()
        is_open, has_flow = not self._view.has_ended, self._view.flow_name is not None
        return StepTools(
            settle=self._settle if is_open else None,
            undecided=lambda step: undecided_ports(self._view.document, step.node, self._types),
            decide=self._decide if is_open else None,
            pin=self._pin if has_flow else None,
            link=self._link if is_open else None,
        )

    def _link(self, step: StepView) -> str | None:
        try:
            return self._service.runs.approval_links(self._view.id).get((step.node, step.iteration))
        except Refused:  # the rest of the panel is there nevertheless
            return None

    def _look_again(self) -> None:
        self._has_acted = True
        self._overlay.look()

    async def _settle(self, step: StepView, action: Settle) -> None:
        try:
            await self._service.runs.resolve(self._view.id, step.node, action, iteration=step.iteration)
        except Refused as refusal:
            tell(refusal)
        else:
            self._look_again()

    async def _decide(self, step: StepView, approved: bool, comment: str) -> None:
        try:
            await self._service.runs.decide(self._view.id, step.node, approved, comment, iteration=step.iteration)
        except Refused as refusal:
            tell(refusal)
        else:
            self._look_again()

    async def _pin(self, step: StepView) -> None:
        """Keep a step's output in the draft, so that tests there begin with it."""
        pinned = {"port": step.port or "out", "output": step.output}
        operation = {"op": "patch_node", "id": step.node, "set": {"pinned": pinned}}
        try:
            result = await to_thread(self._service.flows.edit, self._view.flow, [operation])
        except Refused as refusal:
            tell(refusal)
            return
        refused = [problem for _operation, problem in result.refused]
        toast(refused[0].message if refused else "Pinned in the draft of the flow.", "fail" if refused else "ok")

    async def _cancel_run(self) -> None:
        if await confirm(
            "Cancel this run?", "Steps that are done stay done; the others do not happen.", action="Cancel run"
        ):
            try:
                await self._service.runs.cancel(self._view.id)
            except Refused as refusal:
                tell(refusal)
            else:
                self._look_again()

    async def _retry_run(self, from_: str | None = None, name: str | None = None) -> None:
        view = self._view
        choice = await ask_retry(
            f"Retry from “{name}”" if name else f"Retry run {view.id}",
            at_node=from_ is not None,
            may_begin_at_failure=view.status != "succeeded",
            versions=await self._versions(),
            is_simulated=view.is_simulated,
        )
        if choice is None:
            return
        try:
            new = await self._service.runs.retry(view.id, from_, from_failed=choice.from_failed, version=choice.version)
        except Refused as refusal:
            tell(refusal)
        else:
            ui.navigate.to(f"/runs/{new.id}")

    async def _versions(self) -> tuple[str, str]:
        """Return the words for the version of then and that of now."""
        view = self._view
        if view.flow_name is None:
            return "then", "then"
        flow = await to_thread(self._service.flows.get, view.flow)
        if view.is_test:
            return "The draft of then", "The draft of now" if flow.draft != view.document else "The draft of then"
        then = f"Version {view.version}, of then"
        if flow.state != "published" or flow.published_version == view.version:
            return then, then
        return then, f"Version {flow.published_version}, live now"


def _number(written: str) -> int:
    """Return a run's number from its address; no run has the number of an address that is none."""
    return int(written) if written.isascii() and written.isdigit() and len(written) < NUMBER_DIGITS else 0


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
