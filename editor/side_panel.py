"""The panel of the selected node: its name, its parameters, what happens when it fails, its connections, its help."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from nicegui import background_tasks, ui
from nicegui.element import Element

from editor.catalog import entry_of, ports_of, tone
from editor.connections import Connections
from editor.draft import Draft
from editor.failure_form import FailureForm
from editor.fields import FieldView, FormContext
from editor.frame import box
from editor.next_times import NextTimes
from editor.node_actions import NodeActions
from editor.node_help import draw_help
from editor.node_id import NodeId
from editor.node_marks import NodeMarks
from editor.open_node import OpenNode
from editor.palette import node_icon
from editor.param_form import UNSET, param_fields
from editor.problem_list import without
from editor.step_results import StepResults
from editor.webhook_address import WebhookAddress, has_address
from editor.widgets import icon_button
from nodes.spec import NodeType
from runtime.errors import Problem
from runtime.limits import NAME_CHARS
from runtime.run_views import RunView, StepView

Json: TypeAlias = Any
FAILURE = ("retry", "timeout_s", "after_crash")  # settings that open the section


class NodePanel:
    """The form of one node; rebuilt for another node, updated in place for changes from elsewhere."""

    def __init__(
        self,
        draft: Draft,
        types: Mapping[str, NodeType],
        open_node: OpenNode,
        context: FormContext,
        *,
        close: Callable[[], None],
        visit: Callable[[str], None],
        actions: NodeActions,
        run: RunView | None,
        is_result_shown: bool,
        prefer_result: Callable[[bool], None],
        rename: Callable[[str], Awaitable[None]] | None,
    ) -> None:
        self._draft = draft
        self._types = types
        self._open = open_node
        self._context = context
        self._close = close
        self._visit = visit
        self._actions = actions
        self._prefer_result = prefer_result
        self._new_id = rename
        self._fields: list[FieldView] = []
        self._advanced: ui.expansion | None = None
        self._told: list[Problem] = []
        self._times: NextTimes | None = None
        self._connections: Connections | None = None
        self._failure: FailureForm | None = None
        self._address: WebhookAddress | None = None
        node = draft.node(open_node.id)
        assert node is not None
        self._type = types.get(node["type"])
        self._head(node)
        self._results = StepResults(open_node, pin=None if self._is_trigger else self._pin)
        self._setup = box("fe-panel-body")
        with self._setup:
            self._marks = NodeMarks(open_node, actions)
            self._form(node)
        self.set_run(run)
        self._show_tab(is_result_shown and self._results.step is not None)
        self.update()

    # -- from outside

    @property
    def node_id(self) -> str:
        """The id that the node has now."""
        return self._open.id

    def follow(self, new_id: str) -> None:
        """Go on with the node under another id; what is typed and where the caret is stay."""
        self._open.id = new_id
        self._id.update()

    def update(self) -> None:
        """Show what the draft holds now."""
        node = self._draft.node(self.node_id)
        if node is None:
            return
        problems = [
            replace(problem, message=without(node["name"], problem.message))
            for problem in self._draft.problems_of(self.node_id)
        ]
        for view in self._fields:
            if not self._draft.in_flight:
                view.update(node.get("params") or {})
            found = [problem for problem in problems if problem.param == view.field.name]
            view.set_problems(found)
            if not self._draft.in_flight:
                view.mark(found)
        if self._times is not None:
            self._times.update()
        names = {view.field.name for view in self._fields}
        self._tell([problem for problem in problems if problem.param not in names])
        self._results.set_pinned(bool(node.get("pinned")))
        self._marks.update(node)
        self._kind_label.set_text(self._kind(node))
        if not self._draft.in_flight and self._name.value != node["name"]:
            self._name.set_value(node["name"])
        if self._connections is not None and not self._draft.in_flight:
            self._connections.update(node)
        if self._failure is not None and not self._draft.in_flight:
            self._failure.update(node)
        if self._address is not None:
            self._address.update(node)

    def set_run(self, run: RunView | None) -> None:
        """Show how the node fared in the last run."""
        self._results.show(run)
        self._tabs.set_visibility(self._results.step is not None)
        if self._results.step is None:
            self._show_tab(False)

    @property
    def step(self) -> StepView | None:
        """The step of the last run that is shown."""
        return self._results.step

    def show_result(self) -> None:
        """Turn to the result, if there is one."""
        if self._tabs.visible:
            self._show_tab(True)

    def accept(self, param: str, path: str) -> None:
        """Put a value, by its path, into the field of a parameter."""
        for view in self._fields:
            if view.field.name == param:
                view.insert(path)

    def flush(self) -> None:
        """Save what is still waiting."""
        for view in self._fields:
            view.flush()

    def ask_again(self) -> None:
        """Show the values of all expressions anew."""
        for view in self._fields:
            view.ask_again()

    def close(self) -> None:
        """Save what is still waiting, and ask for nothing more."""
        for view in self._fields:
            view.flush()
            view.close()

    def unfold(self, param: str | None) -> None:
        """Bring a field into view, in the section that holds it."""
        self._show_tab(False)
        is_inside = any(view.field.name == param for view in self._fields if view.field.is_advanced)
        if self._advanced is not None and is_inside:
            self._advanced.set_value(True)

    # -- head

    def _head(self, node: Mapping[str, Json]) -> None:
        with box("fe-panel-head"):
            node_icon(self._type)
            with box("fe-panel-title"):
                self._name = ui.input(value=node["name"], on_change=self._rename)
                self._name.props(f"borderless dense debounce=250 maxlength={NAME_CHARS} aria-label='Name of the node'")
                self._name.classes("fe-name-input")
                with box("fe-panel-sub"):
                    self._kind_label = ui.label(self._kind(node))
                    self._id = NodeId(self._draft, self._types, self._open, self._new_id)
            with _menu_button("play_arrow", "Run a part of the flow"), _menu():
                self._actions.test_items(self._open)
            with _menu_button("more_horiz", "More for this node"):
                self._more = _menu()
                self._more.on("before-show", self._fill_more)
            icon_button("close", "Close", self._close, is_small=True)
        with box("fe-segments").props("role=tablist") as self._tabs:
            self._tab_setup = self._tab("Set up", lambda: self._turn(False))
            self._tab_result = self._tab("Result", lambda: self._turn(True))

    @property
    def _is_trigger(self) -> bool:
        return self._type is not None and self._type.kind == "trigger"

    def _fill_more(self) -> None:
        self._more.clear()
        with self._more:
            self._actions.more_items(self.node_id, self._results.step)

    def _pin(self, step: StepView) -> None:
        self._actions.pin(self.node_id, step)

    def _tell(self, problems: list[Problem]) -> None:
        """Show the problems that belong to no field."""
        if problems == self._told:
            return
        self._told = problems
        self._general.clear()
        self._general.set_visibility(bool(problems))
        with self._general:
            for problem in problems:
                with box(f"fe-general-line fe-general-line--{tone([problem])}"):
                    ui.label(problem.message)
                    if self._context.repairs is not None:
                        self._context.repairs.offer(problem)

    def _kind(self, node: Mapping[str, Json]) -> str:
        if self._type is None:
            return str(node["type"])
        title = entry_of(self._type, node.get("params") or {}).title
        same = "Trigger" if self._type.kind == "trigger" else self._type.category
        return same if node["name"] == title else title

    def _tab(self, title: str, show: Callable[[], None]) -> Element:
        with box("", "button").props("type=button role=tab") as tab:
            ui.label(title)
        tab.on("click", show)
        return tab

    def _turn(self, is_result: bool) -> None:
        self._prefer_result(is_result)
        self._show_tab(is_result)

    def _show_tab(self, is_result: bool) -> None:
        self._results.set_visibility(is_result)
        self._setup.set_visibility(not is_result)
        for tab, is_on in ((self._tab_setup, not is_result), (self._tab_result, is_result)):
            tab.props["aria-selected"] = "true" if is_on else "false"
            tab.update()

    def _rename(self, event: Any) -> None:
        name = (event.value or "").strip()
        node = self._draft.node(self.node_id)
        if name and node and name != node["name"]:
            self._edit([{"op": "patch_node", "id": self.node_id, "set": {"name": name}}], f"name {self.node_id}")

    # -- parameters

    def _form(self, node: Mapping[str, Json]) -> None:
        self._general = box("fe-general").props("role=alert")
        self._general.set_visibility(False)
        if self._type is None:
            ui.label("This version does not know this type of node. Delete it, or install what brings it.").classes(
                "pw-soft"
            )
            return
        params = node.get("params") or {}
        plain = [field for field in param_fields(self._type) if not field.is_advanced]
        advanced = [field for field in param_fields(self._type) if field.is_advanced]
        self._fields += [FieldView(field, self._context, params) for field in plain]
        if self._type.kind == "trigger":
            self._times = NextTimes(self._draft, self._open, self._type)
        if not plain and not advanced:
            ui.label("Nothing to set up here.").classes("pw-muted")
        if has_address(self._type):
            context = self._context
            self._address = WebhookAddress(self._draft, self._type, self._open, context.base_url, context.credentials)
        if advanced:
            is_used = any(params.get(field.name, field.default) != field.default for field in advanced)
            with self._section("More settings", is_open=is_used) as self._advanced:
                self._fields += [FieldView(field, self._context, params) for field in advanced]
        if self._type.kind != "trigger":
            with self._section(
                "When it fails", is_open=any(key in node for key in FAILURE) or node.get("on_error", "stop") != "stop"
            ):
                self._failure = FailureForm(self._draft, self._open, self._type, self._edit)
        if ports_of(node, self._type):
            with self._section("Connections", is_open=True):
                self._connections = Connections(self._draft, self._types, self._open, self._visit)
        with self._section("Help"):
            draw_help(self._type)

    def _section(self, title: str, *, is_open: bool = False) -> ui.expansion:
        made = ui.expansion(title, value=is_open).props(
            "dense dense-toggle switch-toggle-side expand-icon=sym_r_chevron_right expanded-icon=sym_r_expand_more"
        )
        return made.classes("fe-section")

    def save(self, name: str, value: Json) -> None:
        """Store a parameter."""
        change: dict[str, Json] = {"unset": [name]} if value is UNSET else {"param": {name: value}}
        self._edit([{"op": "patch_node", "id": self.node_id, **change}], f"param {self.node_id} {name}")

    def _edit(self, operations: list[dict[str, Json]], merge_key: str | None) -> None:
        background_tasks.create(self._draft.edit(operations, merge_key), name="edit a flow")


def _menu_button(symbol: str, title: str) -> ui.button:
    made = icon_button(symbol, title, is_small=True, has_tip=False).classes("fe-panel-act")
    made.props["title"] = title
    return made


def _menu() -> ui.menu:
    return ui.menu().props("auto-close anchor='bottom right' self='top right'")
