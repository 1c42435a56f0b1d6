"""The panel of the flow itself, shown while no node is selected: description, problems, samples, what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from nicegui import background_tasks, ui

from editor.draft import Draft
from editor.flow_settings import summary
from editor.frame import box, icon
from editor.next_times import LiveTimes
from editor.problem_list import problem_list
from editor.repairs import Repairs
from editor.widgets import icon_button
from nodes.spec import NodeType
from runtime.document import DESCRIPTION_CHARS
from runtime.errors import Problem

Json: TypeAlias = Any


class FlowPanel:
    """What concerns the whole flow. *visit* goes to where a problem is.

    *limit* opens the dialog of the flow's settings; it and *repairs* are None for those who only read.
    """

    def __init__(
        self,
        draft: Draft,
        types: Mapping[str, NodeType],
        *,
        visit: Callable[[Problem], None],
        repairs: Repairs | None,
        close: Callable[[], None],
        limit: Callable[[], None] | None,
    ) -> None:
        self._draft = draft
        self._types = types
        self._visit = visit
        self._repairs = repairs
        self._limit = limit
        self._drawn: object = None
        with box("fe-panel-head"):
            with box("fe-icon fe-icon--plain", "span"):
                icon("account_tree")
            with box("fe-panel-title"):
                ui.label("About this flow").classes("fe-panel-name")
                self._counts = ui.label().classes("fe-panel-sub")
            icon_button("right_panel_close", "Hide the panel", close, is_small=True)
        with box("fe-panel-body"):
            with box("fe-field"):
                ui.label("Description").classes("fe-label")
                self._description = ui.textarea(
                    value=self._head.get("description", ""),
                    placeholder="What this flow is for",
                    on_change=self._describe,
                ).props(
                    "outlined dense hide-bottom-space autogrow debounce=400 aria-label=Description"
                    f" maxlength={DESCRIPTION_CHARS}"
                )
            self._times = LiveTimes(draft)
            self._place = box("fe-flow")
        self.update()

    @property
    def _head(self) -> dict[str, Json]:
        return self._draft.document["graph"]  # type: ignore[no-any-return]

    def update(self) -> None:
        """Show what the draft holds now."""
        document, view = self._draft.document, self._draft.view
        nodes, edges = len(document["nodes"]), len(document["edges"])
        self._counts.set_text(f"{nodes} node{'s' * (nodes != 1)} · {edges} connection{'s' * (edges != 1)}")
        if not self._draft.in_flight and (self._description.value or "") != self._head.get("description", ""):
            self._description.set_value(self._head.get("description", ""))
        self._times.update()
        settings = self._head.get("settings")
        drawn = (
            view.problems,
            nodes,
            edges,
            view.state,
            view.has_unpublished_changes,
            document.get("samples"),
            settings,
        )
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self._place.clear()
        with self._place:
            self._next()
            self._problems(list(view.problems))
            self._limits(summary(settings))
            self._samples(document.get("samples") or [])

    def _describe(self, event: Any) -> None:
        text = event.value or ""
        if text != self._head.get("description", ""):
            operation = {"op": "patch_flow", "set": {"description": text}}
            background_tasks.create(self._draft.edit([operation], "description"), name="describe a flow")

    def _next(self) -> None:
        document, view = self._draft.document, self._draft.view
        kinds = [self._types[node["type"]].kind for node in document["nodes"] if node["type"] in self._types]
        has_errors = any(problem.severity == "error" for problem in view.problems)
        is_live = view.state == "published" and not view.has_unpublished_changes
        steps = (
            ("Choose a trigger", "What starts the flow", "trigger" in kinds),
            (
                "Add what it does",
                "Drag nodes from the left, then join them",
                "action" in kinds and bool(document["edges"]),
            ),
            ("Fill in the nodes", "Click one to open it here", "action" in kinds and not has_errors),
            ("Publish", "Test first: nothing is sent until you say so", is_live),
        )
        if all(is_done for _title, _hint, is_done in steps):
            with box("fe-live"):
                icon("bolt")
                ui.label("This flow is live: its triggers start runs.")
            return
        ui.label("Next").classes("fe-heading")
        is_current_found = False
        with box("fe-steps", "ol"):
            for title, hint, is_done in steps:
                is_current = not is_done and not is_current_found
                is_current_found = is_current_found or is_current
                with box("fe-step" + (" fe-step--done" if is_done else " fe-step--now" if is_current else ""), "li"):
                    icon("check_circle" if is_done else "radio_button_unchecked")
                    with box("pw-grow"):
                        ui.label(title).classes("fe-step-title")
                        if is_current:
                            ui.label(hint).classes("fe-hint")

    def _problems(self, problems: list[Problem]) -> None:
        if not problems or not self._draft.document["nodes"]:
            return
        ui.label(f"Problems ({len(problems)})").classes("fe-heading")
        problem_list(problems, visit=self._go_to, repairs=self._repairs)

    def _go_to(self, problem: Problem) -> None:
        if problem.node and self._draft.node(problem.node):
            self._visit(problem)
        elif problem.param == "key" and self._limit is not None:
            self._limit()

    def _limits(self, limits: list[str]) -> None:
        if not limits:
            return
        ui.label("Limits").classes("fe-heading")
        with box("fe-limits", "ul"):
            for limit in limits:
                with box("", "li"):
                    ui.label(limit)
        if self._limit is not None:
            link = ui.label("Change").classes("fe-hint-link").props("role=button tabindex=0")
            link.on("click", self._limit)
            link.on("keydown.enter", self._limit)

    def _samples(self, samples: list[dict[str, Json]]) -> None:
        if not samples:
            return
        ui.label("Samples").classes("fe-heading")
        with box("fe-samples"):
            for sample in samples:
                with box("fe-sample"):
                    icon("data_object")
                    ui.label(sample["name"]).classes("pw-grow pw-clip")
                    icon_button(
                        "close",
                        f"Remove the sample {sample['name']}",
                        lambda name=sample["name"]: self._drop(name),
                        is_small=True,
                    )

    def _drop(self, name: str) -> None:
        kept = [sample for sample in self._draft.document.get("samples") or [] if sample["name"] != name]
        background_tasks.create(self._draft.edit([{"op": "set_samples", "samples": kept}]), name="remove a sample")
