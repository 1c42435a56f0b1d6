"""The flow editor: palette, canvas, side panel and test drawer around one draft."""

from __future__ import annotations

from asyncio import to_thread
from typing import TYPE_CHECKING, Any, TypeAlias

from nicegui import background_tasks, ui

from editor import theme
from editor.canvas import FlowCanvas
from editor.catalog import card_size, picture, ports_of
from editor.cut_nodes import CutNodes
from editor.details import Details
from editor.draft import Draft
from editor.elements import web_page
from editor.error_pages import not_found
from editor.flow_bar import FlowBar
from editor.frame import box
from editor.live import Overlay
from editor.node_actions import NodeActions, TestPart
from editor.palette import Palette
from editor.replays import Replays
from editor.session import may_edit, service_here
from editor.surroundings import Surroundings
from editor.test_drawer import TestDrawer
from editor.widgets import toast
from editor.workbench import CodeTheme, workbench
from runtime.errors import NotFound, Problem
from runtime.layout import arrange
from runtime.run_views import RunView
from runtime.trials import Extent

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

Json: TypeAlias = Any
LOOK_EVERY_S = 1.5


def register(app: App) -> None:
    """Add the page to the application."""
    replays = Replays()

    @web_page("/flows/{flow_id}", title="Flow · Pulsewire")
    async def flow_page(flow_id: str) -> None:
        service = service_here(app)
        flows = service.flows
        try:
            view = await to_thread(flows.get, flow_id)
            history = await to_thread(flows.history_state, flow_id)
        except NotFound:
            ui.context.client.status_code = 404
            not_found("flow", "It may have been deleted.", active="flows")
            return
        theme.dress()
        page = FlowEditor(service, Draft(service, view, history), replays)
        await page.build()


class FlowEditor:
    """One open page."""

    def __init__(self, service: Service, draft: Draft, replays: Replays) -> None:
        self._service = service
        self._types = service.types
        self._draft = draft
        self._replays = replays
        self._cut = CutNodes()
        self._selection: list[str] = []
        self._code = CodeTheme()
        self._actions = NodeActions(
            draft, self._types, test=self._run_part, remove=self._remove, dress_code=self._code.dress
        )
        self._client = ui.context.client
        self._may_edit = may_edit()
        self._around = Surroundings(service, draft.flow_id, sees_credentials=self._may_edit)

    # -- building

    async def build(self) -> None:
        """Draw the page and begin to follow the draft."""
        await self._around.read()
        with workbench(is_readonly=not self._may_edit) as bench:
            with bench.left:
                Palette(self._types, self._add).build()
            with bench.center:
                self._canvas = FlowCanvas(
                    self._draft.flow_id,
                    self._types,
                    is_readonly=not self._may_edit,
                    may_test=self._may_edit,
                    save_target="#fe-save",
                    cover=".fe-right",
                    on_operations=self._operations,
                    on_select=self._select,
                    on_command=self._command,
                )
                self._canvas.show(self._picture())
                self._canvas.classes("fe-canvas")
            self._details = Details(
                self._service,
                self._draft,
                bench=bench,
                canvas=self._canvas,
                actions=self._actions,
                code=self._code,
                around=self._around,
                chosen=lambda: self._drawer.chosen,
                save_all=self._save_all,
            )
            with bench.center:
                with box("ft").props('role=region aria-label="Test"') as self._drawer_box:
                    self._drawer = TestDrawer(
                        self._service,
                        self._draft,
                        self._types,
                        begin=self._save_all,
                        follow=self._follow,
                        visit=self._canvas.visit,
                        show_problem=self._details.visit,
                        hide=self._hide_drawer,
                        dress_code=self._code.dress,
                        heard=self._details.renew_values,
                    )
                self._drawer_box.set_visibility(False)
            with bench.top:
                self._bar = FlowBar(
                    self._service,
                    self._draft,
                    save_all=self._save_all,
                    visit=self._details.visit,
                    toggle_test=self._toggle_drawer,
                    limit=self._details.limit,
                    show_help=self._canvas.show_help,
                    notice_place=bench.notice,
                )
                self._bar.build()
        self._bench = bench
        self._overlay = Overlay(self._service, self._canvas, self._ran)
        self._details.open()
        self._draft.on_change = self._changed
        self._draft.on_standing = self._stands_otherwise
        self._draft.on_refused = self._refused
        self._draft.on_gone = self._gone
        self._draft.listen()
        self._client.on_delete(self._close)
        self._changed()
        ui.timer(LOOK_EVERY_S, self._draft.look, immediate=False)

    # -- what the canvas reports

    async def _operations(self, message: dict[str, Json]) -> None:
        if self._replays.is_new(message["tab"], message["seq"]):
            group = message.get("group")
            operations = self._cut.completed(message["operations"], self._draft.document)
            await self._draft.edit(operations, f"{message['tab']} {group}" if group else None)
        self._canvas.acknowledge(message, self._picture())

    async def _select(self, selection: dict[str, Json]) -> None:
        self._selection = selection["nodes"]
        chosen = set(self._selection)
        self._canvas.set_records([node for node in self._draft.document["nodes"] if node["id"] in chosen])
        await self._details.select(self._selection[0] if len(self._selection) == 1 else None)

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
            case "test":
                await self._run_part(command["part"], command["id"])
            case "pin":
                self._actions.pin(command["id"], self._details.step_of(command["id"]))
            case "unpin":
                self._actions.unpin(command["id"])
            case "open" | "click":
                self._bench.show_right()
                if command["name"] == "open":
                    self._focus_panel()
            case "too_long":
                toast("That is more than a flow can hold. Nothing was pasted.", "fail")
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
        with self._client:
            self._canvas.show(self._picture(), renamed=self._draft.renamed)
            self._bar.update()
            self._drawer.update()
            self._details.update()
        self._canvas.set_busy(self._draft.in_flight > 0)
        if self._selection:
            chosen = set(self._selection)
            self._canvas.set_records([node for node in self._draft.document["nodes"] if node["id"] in chosen])

    def _stands_otherwise(self) -> None:
        with self._client:
            self._bar.update()

    def _refused(self, problems: list[Problem]) -> None:
        with self._client:
            toast("\n".join(dict.fromkeys(problem.message.replace("**", "") for problem in problems[:4])), "fail")

    def _gone(self) -> None:
        self._close()
        with self._client:
            self._bench.leave(
                f"“{self._draft.view.name}” was deleted",
                "Someone deleted this flow in another tab or with the API. Its runs are still in Runs.",
            )

    def _close(self) -> None:
        self._draft.close()
        self._overlay.stop()
        self._details.close()

    def _focus_panel(self) -> None:
        ui.run_javascript("document.querySelector('.fe-right .fe-control :is(input, textarea, .cm-content)')?.focus()")

    def _remove(self, node_id: str) -> None:
        edges = [edge for edge in self._draft.document["edges"] if node_id in (edge["source"], edge["target"])]
        operations = [*({"op": "del_edge", "edge": edge} for edge in edges), {"op": "del_node", "id": node_id}]
        background_tasks.create(self._draft.edit(operations), name="delete a node")

    def _add(self, type_name: str) -> None:
        self._canvas.add(type_name)

    # -- testing

    def _toggle_drawer(self) -> None:
        self._bench.close_sheet()
        self._drawer_box.set_visibility(not self._drawer_box.visible)

    def _hide_drawer(self) -> None:
        self._drawer_box.set_visibility(False)

    async def _run_test(self) -> None:
        if not self._may_edit:
            return
        self._drawer_box.set_visibility(True)
        self._bench.close_sheet()
        await self._drawer.run()

    async def _run_part(self, part: TestPart, node_id: str) -> None:
        """Run a part of the flow, with the payload of the drawer."""
        if not self._may_edit or self._draft.node(node_id) is None:
            return
        self._drawer_box.set_visibility(True)
        self._bench.close_sheet()
        words: dict[TestPart, Extent] = {"only": Extent(only=node_id), "until": Extent(until=node_id)}
        await self._drawer.run(words.get(part, Extent(from_=node_id)))

    async def _save_all(self) -> None:
        """Save what was typed last, before something is done with the draft."""
        self._details.flush()
        await self._draft.settled()

    def _follow(self, run_id: int) -> None:
        self._overlay.follow(run_id)

    def _ran(self, view: RunView) -> None:
        with self._client:
            self._drawer.show(view)
            self._details.set_run(view)
