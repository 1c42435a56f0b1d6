"""The flow editor: palette, canvas, side panel and test drawer around one draft."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from nicegui import background_tasks, ui

from editor import theme
from editor.canvas import FlowCanvas
from editor.catalog import card_size, picture, ports_of
from editor.draft import Draft
from editor.fields import FormContext
from editor.flow_panel import FlowPanel
from editor.frame import box, icon
from editor.live import Overlay
from editor.palette import Palette
from editor.references import references
from editor.side_panel import NodePanel
from editor.test_drawer import TestDrawer
from editor.widgets import Refused, button, confirm, icon_button, menu_item, tell, toast
from editor.workbench import CodeTheme, not_found, workbench
from runtime.errors import NotFound, Problem
from runtime.flow_views import FlowView
from runtime.layout import arrange
from runtime.limits import NAME_CHARS
from runtime.run_views import RunView

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

Json: TypeAlias = Any
LOOK_EVERY_S = 1.5
REPLAYS_KEPT = 500


class Replays:
    """The last message dealt with of each tab, so that one that is sent again is not done again."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def is_new(self, tab: str, seq: int) -> bool:
        """Return whether this message was not dealt with, and remember it."""
        if self._last.pop(tab, 0) >= seq:
            self._last[tab] = seq
            return False
        self._last[tab] = seq
        while len(self._last) > REPLAYS_KEPT:
            del self._last[next(iter(self._last))]
        return True


def register(app: App) -> None:
    """Add the page to the application."""
    replays = Replays()

    @ui.page("/flows/{flow_id}", title="Flow · Pulsewire")
    async def flow_page(flow_id: str) -> None:
        theme.dress()
        flows = app.service.flows
        try:
            view = await to_thread(flows.get, flow_id)
            history = await to_thread(flows.history_state, flow_id)
        except NotFound:
            not_found("This flow does not exist", "It may have been deleted.", "/", "All flows")
            return
        page = FlowEditor(app.service, Draft(app.service, view, history), replays)
        await page.build()


class FlowEditor:
    """One open page."""

    def __init__(self, service: Service, draft: Draft, replays: Replays) -> None:
        self._service = service
        self._types = service.types
        self._draft = draft
        self._replays = replays
        self._panel: NodePanel | FlowPanel | None = None
        self._selected: str | None = None
        self._selection: list[str] = []
        self._run: RunView | None = None
        self._is_result_wanted = False
        self._titled: str | None = None
        self._tables: dict[str, dict[str, str]] = {}
        self._code = CodeTheme()
        self._client = ui.context.client

    # -- building

    async def build(self) -> None:
        """Draw the page and begin to follow the draft."""
        await self._read_tables()
        with workbench() as bench:
            with bench.top:
                self._top()
            with bench.left:
                Palette(self._types, self._add).build()
            with bench.center:
                self._canvas = FlowCanvas(
                    self._draft.flow_id,
                    self._types,
                    save_target="#fe-save",
                    on_operations=self._operations,
                    on_select=self._select,
                    on_command=self._command,
                )
                self._canvas.show(self._picture())
                self._canvas.classes("fe-canvas")
                with box("ft").props('role=region aria-label="Test"') as self._drawer_box:
                    self._drawer = TestDrawer(
                        self._service,
                        self._draft,
                        self._types,
                        begin=self._save_all,
                        follow=self._follow,
                        visit=self._canvas.visit,
                        hide=self._hide_drawer,
                        dress_code=self._code.dress,
                    )
                self._drawer_box.set_visibility(False)
            self._side = bench.right
        self._bench = bench
        self._overlay = Overlay(self._service, self._canvas, self._ran)
        self._open_panel()
        self._draft.on_change = self._changed
        self._draft.on_refused = self._refused
        self._draft.on_gone = self._gone
        self._draft.listen()
        self._client.on_delete(self._close)
        self._changed()
        ui.timer(LOOK_EVERY_S, self._draft.look, immediate=False)

    def _top(self) -> None:
        with ui.link(target="/").classes(replace="fe-back").props('aria-label="All flows" title="All flows"'):
            icon("arrow_back")
        self._name = ui.input(value=self._draft.view.name, on_change=self._rename)
        self._name.props(f"borderless dense debounce=300 maxlength={NAME_CHARS} aria-label='Name of the flow'")
        self._name.classes("fe-flow-name")
        self._chip = box("pw-chip fe-state", "span")
        box("fe-save").props("id=fe-save")
        with box("fe-top-end"):
            with box("fe-tools-group pw-not-phone"):
                self._undo = icon_button("undo", "Undo (Ctrl+Z)", self._draft.undo)
                self._redo = icon_button("redo", "Redo (Ctrl+Y)", self._draft.redo)
            self._test = button("Test", self._toggle_drawer, icon="play_arrow").classes("fe-test")
            self._publish = button("Publish", self._publish_flow, kind="primary").classes("fe-publish")
            with icon_button("more_vert", "More"), ui.menu().props("anchor='bottom right' self='top right'"):
                self._menu()

    def _menu(self) -> None:
        self._unpublish = menu_item("Unpublish", "cloud_off", self._unpublish_flow)
        menu_item("Export JSON", "download", self._export)
        menu_item("Duplicate", "content_copy", self._duplicate)
        menu_item("Runs of this flow", "history", lambda: ui.navigate.to(f"/runs?flow={self._draft.flow_id}"))
        menu_item("Keyboard shortcuts", "keyboard", lambda: self._canvas.show_help())
        with ui.menu_item(auto_close=False) as item:
            icon("contrast")
            ui.label("Change the theme")
        item.on("click", js_handler="() => window.pulsewireTheme.next()")
        ui.separator()
        menu_item("Delete", "delete", self._delete, is_danger=True)

    # -- what the canvas reports

    async def _operations(self, message: dict[str, Json]) -> None:
        if self._replays.is_new(message["tab"], message["seq"]):
            await self._draft.edit(message["operations"])
        self._canvas.acknowledge(message, self._picture())

    def _select(self, selection: dict[str, Json]) -> None:
        self._selection = selection["nodes"]
        chosen = set(self._selection)
        self._canvas.set_records([node for node in self._draft.document["nodes"] if node["id"] in chosen])
        only = self._selection[0] if len(self._selection) == 1 else None
        if only != self._selected:
            self._selected = only
            self._open_panel()

    async def _command(self, command: dict[str, Json]) -> None:
        match command["name"]:
            case "undo":
                await self._draft.undo()
            case "redo":
                await self._draft.redo()
            case "tidy":
                await self._tidy()
            case "run":
                await self._run_test()
            case "open" | "click":
                self._bench.show_right()
                if command["name"] == "open":
                    self._focus_panel()
            case "theme":
                self._code.set_dark(bool(command["dark"]))

    async def _tidy(self) -> None:
        nodes = {node["id"]: node for node in self._draft.document["nodes"]}
        places = arrange(
            self._draft.document,
            lambda node_id: card_size(nodes[node_id], self._types.get(nodes[node_id]["type"])),
            ports_of=lambda node_id: [
                p.name for p in ports_of(nodes[node_id], self._types.get(nodes[node_id]["type"]))
            ],
        )
        await self._draft.edit([{"op": "move", "at": places}])
        self._canvas.show(self._picture(), is_fitting=True)

    # -- what the draft reports

    def _picture(self) -> Any:
        return picture(self._draft.document, self._types, self._draft.view.problems)

    def _changed(self) -> None:
        view = self._draft.view
        with self._client:
            self._canvas.show(self._picture())
            if not self._draft.in_flight and self._name.value != view.name:
                self._name.set_value(view.name)
            self._show_state(view)
            self._undo.set_enabled(self._draft.can_undo)
            self._redo.set_enabled(self._draft.can_redo)
            self._drawer.update()
            shown = self._panel.node_id if isinstance(self._panel, NodePanel) else None
            is_gone = shown is not None and self._draft.node(shown) is None
            if is_gone or (shown != self._selected and self._draft.node(self._selected)):
                self._open_panel()  # it is gone, or it was selected before it was saved
            elif self._panel is not None:
                self._panel.update()
            if view.name != self._titled:
                self._titled = view.name
                ui.page_title(f"{view.name} · Pulsewire")
        self._canvas.set_busy(self._draft.in_flight > 0)
        if self._selection:
            chosen = set(self._selection)
            self._canvas.set_records([node for node in self._draft.document["nodes"] if node["id"] in chosen])

    def _show_state(self, view: FlowView) -> None:
        text, tone = _state(view)
        self._chip.classes(replace=f"pw-chip pw-chip--{tone} fe-state")
        self._chip.clear()
        with self._chip:
            ui.label(text)
        is_live = view.published_version is not None
        self._unpublish.set_visibility(is_live)
        self._publish.set_enabled(not (view.state == "published" and not view.has_unpublished_changes))
        self._publish.set_text(
            "Published" if view.state == "published" and not view.has_unpublished_changes else "Publish"
        )

    def _refused(self, problems: list[Problem]) -> None:
        with self._client:
            toast("\n".join(dict.fromkeys(problem.message.replace("**", "") for problem in problems[:4])), "fail")

    def _gone(self) -> None:
        with self._client:
            ui.navigate.to("/")

    def _close(self) -> None:
        self._draft.close()
        self._overlay.stop()

    # -- side panel

    def _open_panel(self) -> None:
        if isinstance(self._panel, NodePanel):
            self._panel.flush()
        self._panel = None
        self._side.clear()
        node = self._draft.node(self._selected)
        with self._client, self._side:
            if node is None:
                self._panel = FlowPanel(
                    self._draft, self._types, visit=self._canvas.visit, close=self._bench.hide_right
                )
                return
            step = next((s for s in self._run.steps if s.node == node["id"]), None) if self._run else None
            panel = NodePanel(
                self._draft,
                self._types,
                node["id"],
                self._context(node["id"]),
                close=self._close_panel,
                visit=self._canvas.visit,
                remove=self._remove,
                step=step,
                is_simulated=self._run is not None and self._run.is_simulated,
                is_result_shown=self._is_result_wanted,
                prefer_result=self._prefer_result,
            )
            self._panel = panel

    def _close_panel(self) -> None:
        self._canvas.select([])
        self._bench.close_sheet()

    def _context(self, node_id: str) -> FormContext:
        def save(name: str, value: Json) -> None:
            panel = self._panel
            if isinstance(panel, NodePanel) and panel.node_id == node_id:
                self._canvas.set_busy(True)
                panel.save(name, value)

        return FormContext(
            save=save,
            insert=self._canvas.insert_text,
            references=lambda: references(self._draft.document, node_id, self._types, self._outputs()),
            tables=lambda: self._tables,
            dress_code=self._code.dress,
        )

    def _outputs(self) -> dict[str, Json]:
        return {step.node: step.output for step in self._run.steps if step.output} if self._run else {}

    def _prefer_result(self, is_wanted: bool) -> None:
        self._is_result_wanted = is_wanted

    def _focus_panel(self) -> None:
        ui.run_javascript("document.querySelector('.fe-right .fe-control :is(input, textarea, .cm-content)')?.focus()")

    def _remove(self, node_id: str) -> None:
        edges = [edge for edge in self._draft.document["edges"] if node_id in (edge["source"], edge["target"])]
        operations = [*({"op": "del_edge", "edge": edge} for edge in edges), {"op": "del_node", "id": node_id}]
        background_tasks.create(self._draft.edit(operations), name="delete a node")

    async def _read_tables(self) -> None:
        tables = await to_thread(self._service.tables.list)
        self._tables = {table.name: {column.name: column.type for column in table.columns} for table in tables}

    def _add(self, type_name: str) -> None:
        self._canvas.add(type_name)

    # -- testing

    def _toggle_drawer(self) -> None:
        self._bench.close_sheet()
        self._drawer_box.set_visibility(not self._drawer_box.visible)

    def _hide_drawer(self) -> None:
        self._drawer_box.set_visibility(False)

    async def _run_test(self) -> None:
        self._drawer_box.set_visibility(True)
        self._bench.close_sheet()
        await self._drawer.run()

    async def _save_all(self) -> None:
        """Save what was typed last, before something is done with the draft."""
        if isinstance(self._panel, NodePanel):
            self._panel.flush()
        await self._draft.settled()

    def _follow(self, run_id: int) -> None:
        self._overlay.follow(run_id)

    def _ran(self, view: RunView) -> None:
        self._run = view
        with self._client:
            self._drawer.show(view)
            if not view.has_ended:
                return
            self._is_result_wanted = True
            if isinstance(self._panel, NodePanel):
                step = next((step for step in view.steps if step.node == self._panel.node_id), None)
                self._panel.set_step(step, is_simulated=view.is_simulated)
                self._panel.show_result()

    # -- the flow as a whole

    async def _rename(self, event: Any) -> None:
        name = (event.value or "").strip()
        if name and name != self._draft.view.name:
            await self._draft.edit([{"op": "patch_flow", "set": {"name": name}}], "name")

    async def _publish_flow(self) -> None:
        if await self._act(self._service.flows.publish):
            version = self._draft.view.published_version
            toast(f"Published as version {version}. Events start it from now on.")

    async def _unpublish_flow(self) -> None:
        if await self._act(self._service.flows.unpublish):
            toast("Unpublished. Events start nothing; runs under way go on.")

    async def _act(self, action: Callable[[str], object]) -> bool:
        await self._save_all()
        try:
            return await self._draft.act(action)
        except Refused as refusal:
            tell(refusal)
            first = next((p.node for p in getattr(refusal, "problems", []) if p.node), None)
            if first:
                self._canvas.visit(first)
            return False

    async def _export(self) -> None:
        await self._save_all()
        text = await to_thread(self._service.flows.export, self._draft.flow_id)
        ui.download.content(text, f"{self._draft.flow_id}.json", "application/json")

    async def _duplicate(self) -> None:
        copy = await to_thread(self._service.flows.duplicate, self._draft.flow_id)
        ui.navigate.to(f"/flows/{copy.id}")

    async def _delete(self) -> None:
        view = self._draft.view
        live = " It is published: events will start nothing." if view.published_version is not None else ""
        if await confirm(
            f"Delete “{view.name}”?",
            f"The flow and its history of changes are deleted.{live} Its runs stay.",
            action="Delete flow",
        ):
            self._draft.close()
            await to_thread(self._service.flows.delete, self._draft.flow_id)
            ui.navigate.to("/")


def _state(view: FlowView) -> tuple[str, str]:
    if view.state == "paused":
        return f"Paused v{view.published_version}", "warn"
    if view.published_version is None:
        return "Draft", "plain"
    if view.has_unpublished_changes:
        return "Unpublished changes", "warn"
    return f"Published v{view.published_version}", "ok"
