"""The right side of the flow editor: the form of the selected node, or the flow's own panel, and what both need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from nicegui import ui

from editor.canvas import FlowCanvas
from editor.draft import Draft
from editor.fields import FormContext
from editor.flow_panel import FlowPanel
from editor.flow_settings import edit_settings
from editor.known_values import KnownValues
from editor.node_actions import NodeActions
from editor.open_node import OpenNode
from editor.repairs import Repairs
from editor.session import may_edit, operator_here
from editor.side_panel import NodePanel
from editor.surroundings import Surroundings
from editor.value_picker import ValuePicker
from editor.value_tree import tree
from editor.workbench import CodeTheme, Workbench
from editor.writing import Chosen, Writing
from runtime.errors import Problem
from runtime.run_views import RunView, StepView
from runtime.shapes import Shape

if TYPE_CHECKING:
    from runtime.service import Service

Json: TypeAlias = Any


class Details:
    """One for a page; build it inside the page. *chosen* is the trigger and payload of the test panel."""

    def __init__(
        self,
        service: Service,
        draft: Draft,
        *,
        bench: Workbench,
        canvas: FlowCanvas,
        actions: NodeActions,
        code: CodeTheme,
        around: Surroundings,
        chosen: Callable[[], Chosen],
        save_all: Callable[[], Awaitable[None]],
    ) -> None:
        self._base_url = service.settings.public_url
        self._types = service.types
        self._draft = draft
        self._bench = bench
        self._canvas = canvas
        self._actions = actions
        self._code = code
        self._around = around
        self._save_all = save_all
        self._client = ui.context.client
        self._may_edit = may_edit()
        self._panel: NodePanel | FlowPanel | None = None
        self._selected: str | None = None
        self._wanted: Problem | None = None  # whose field gets the focus as soon as its node is open
        self._run: RunView | None = None
        self._is_result_wanted = False
        self._is_limiting = False  # the dialog of the flow's settings is open
        self._repairs = Repairs(draft, save_all) if self._may_edit else None
        self._known = KnownValues(self._types, service.settings.env_names if self._may_edit else ())
        self._writing = Writing(
            draft,
            self._types,
            scope=self._scope,
            chosen=chosen,
            previews=service.previews if self._may_edit else None,
            caller=str(operator_here().id),
        )
        self._picker = ValuePicker(ask=self._values, accept=self._accept)

    # -- from the page

    async def select(self, node_id: str | None) -> None:
        """Turn to a node, or to the flow."""
        if node_id == self._selected:
            return
        self._selected = node_id
        await self._around.read()
        if node_id == self._selected:
            self.open()

    def open(self) -> None:
        """Draw what is selected anew."""
        if isinstance(self._panel, NodePanel):
            self._panel.close()
        self._panel = None
        self._picker.close()
        self._bench.right.clear()
        node = self._draft.node(self._selected)
        with self._client, self._bench.right:
            self._panel = self._flow_panel() if node is None else self._node_panel(node["id"])
        if isinstance(self._panel, NodePanel) and self._wanted and self._wanted.node == self._panel.node_id:
            self._go_to_field(self._panel, self._wanted)

    def update(self) -> None:
        """Show what the draft holds now."""
        self._follow_new_ids()
        shown = self._panel.node_id if isinstance(self._panel, NodePanel) else None
        is_gone = shown is not None and self._draft.node(shown) is None
        if is_gone or (shown != self._selected and self._draft.node(self._selected)):
            self.open()  # it is gone, or it was selected before it was saved
        elif self._panel is not None:
            self._panel.update()
            self.renew_values()

    def set_run(self, run: RunView) -> None:
        """Take over how the last run goes; show the results when it has ended."""
        self._run = run
        if not run.has_ended:
            return
        self._is_result_wanted = True
        self.renew_values()
        if isinstance(self._panel, NodePanel):
            self._panel.set_run(run)
            self._panel.show_result()

    def renew_values(self) -> None:
        """Show the values of the form's expressions anew if what they are computed from has changed."""
        if isinstance(self._panel, NodePanel) and not self._is_limiting and self._writing.look(self._run):
            self._panel.ask_again()

    def visit(self, problem: Problem) -> None:
        """Go to the node that a problem is about, and to the field."""
        if problem.node is None:
            return
        self._bench.show_right()
        self._wanted = problem
        self._canvas.visit(problem.node)
        if isinstance(self._panel, NodePanel) and self._panel.node_id == problem.node:
            self._go_to_field(self._panel, problem)

    def limit(self) -> None:
        """Open the dialog of the flow's settings; while it is there, values are those before a run begins."""
        self._is_limiting = True
        self._writing.open(None, self._run)
        edit_settings(self._draft, self._save_all, ask=self._writing.ask, closed=self._limited)

    def step_of(self, node_id: str) -> StepView | None:
        """Return how a node fared in the last run."""
        if isinstance(self._panel, NodePanel) and self._panel.node_id == node_id:
            return self._panel.step
        return next((step for step in self._run.steps if step.node == node_id), None) if self._run else None

    def flush(self) -> None:
        """Save what was typed last."""
        if isinstance(self._panel, NodePanel):
            self._panel.flush()

    def close(self) -> None:
        """Stop; the page is gone."""
        self._writing.close()

    def _limited(self) -> None:
        self._is_limiting = False
        self._picker.close()
        if isinstance(self._panel, NodePanel):
            self._writing.open(self._panel.node_id, self._run)

    # -- panels

    def _flow_panel(self) -> FlowPanel:
        return FlowPanel(
            self._draft,
            self._types,
            visit=self.visit,
            repairs=self._repairs,
            close=self._bench.hide_right,
            limit=self.limit if self._may_edit else None,
        )

    def _node_panel(self, node_id: str) -> NodePanel:
        self._writing.open(node_id, self._run)
        open_node = OpenNode(node_id)
        return NodePanel(
            self._draft,
            self._types,
            open_node,
            self._context(open_node),
            close=self._close_panel,
            visit=self._canvas.visit,
            actions=self._actions,
            run=self._run,
            is_result_shown=self._is_result_wanted,
            prefer_result=self._prefer_result,
            rename=(lambda new_id: self._rename(open_node.id, new_id)) if self._may_edit else None,
        )

    def _context(self, open_node: OpenNode) -> FormContext:
        def save(name: str, value: Json) -> None:
            panel = self._panel
            if isinstance(panel, NodePanel) and panel.node_id == open_node.id:
                self._canvas.set_busy(True)
                panel.save(name, value)

        return FormContext(
            save=save,
            tables=lambda: self._around.tables,
            dress_code=self._code.dress,
            credentials=lambda: self._around.credentials,
            base_url=self._base_url,
            flows=self._around.flows,
            ask=self._writing.ask,
            repairs=self._repairs,
        )

    def _close_panel(self) -> None:
        self._canvas.select([])
        self._bench.close_sheet()

    def _prefer_result(self, is_wanted: bool) -> None:
        self._is_result_wanted = is_wanted

    def _go_to_field(self, panel: NodePanel, problem: Problem) -> None:
        self._wanted = None
        if problem.param is not None:
            panel.unfold(problem.param)
            self._picker.focus_field(problem.param)

    # -- values

    def _scope(self, param: str | None = None) -> Mapping[str, Shape] | None:
        """Return what expressions of the open node can use; None when none is open."""
        return self._known.scope_at(
            self._draft.document,
            None if self._is_limiting else self._selected or "",
            param,
            columns=self._around.columns,
            run=self._run,
        )

    def _values(self, param: str) -> dict[str, Json] | None:
        scope = self._scope(param)
        return None if scope is None else tree(self._draft.document, self._types, scope, has_run=self._run is not None)

    def _accept(self, param: str, path: str) -> None:
        if isinstance(self._panel, NodePanel):
            self._panel.accept(param, path)

    # -- ids

    async def _rename(self, node_id: str, new_id: str) -> None:
        await self._save_all()
        await self._draft.edit([{"op": "rename_node", "id": node_id, "to": new_id}])
        self._picker.focus_id(new_id)

    def _follow_new_ids(self) -> None:
        """Let a node that has another id now stay selected, and keep what the last run told of it."""
        new = self._draft.renamed
        self._selected = new.get(self._selected or "", self._selected)
        if self._run and new:
            steps = (replace(step, node=new.get(step.node, step.node)) for step in self._run.steps)
            repeated = {new.get(node, node): counts for node, counts in self._run.repeated.items()}
            self._run = replace(self._run, steps=tuple(steps), repeated=repeated)
        if isinstance(self._panel, NodePanel) and self._panel.node_id in new:
            self._panel.follow(new[self._panel.node_id])
            self._panel.set_run(self._run)
            self._writing.open(self._panel.node_id, self._run)
