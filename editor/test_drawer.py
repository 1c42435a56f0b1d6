"""The drawer below the canvas: a sample payload, a run of the draft with it, and what each step did."""

from __future__ import annotations

import json
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nicegui import ui

from editor.draft import Draft
from editor.frame import box, icon
from editor.session import operator_here
from editor.step_row import StepRow
from editor.widgets import (
    Refused,
    button,
    chip,
    choice,
    confirm,
    dialog,
    field,
    icon_button,
    reasons,
    text_input,
    toast,
)
from nodes.spec import NodeType
from runtime.errors import Problem
from runtime.graph import reachable_from
from runtime.limits import NAME_CHARS
from runtime.payloads import check_payload
from runtime.run_views import RunView
from runtime.trials import WHOLE, Extent

if TYPE_CHECKING:
    from runtime.service import Service

Json: TypeAlias = Any
EXAMPLE = ""  # the sample that the trigger's type brings
UNTIL_HELPS = frozenset({"test.output_missing", "test.not_reached", "test.in_loop"})  # codes of problems
NEWEST_USER = "\n"  # the same with a user of this installation in it; no sample of a flow has such a name


class TestDrawer:
    """*begin* is awaited before each run, *follow* shows a started run on the canvas; *visit* goes to a node.

    *heard* is called when another trigger or payload is chosen.
    """

    __test__ = False  # no test class, though its name begins like one

    def __init__(
        self,
        service: Service,
        draft: Draft,
        types: Mapping[str, NodeType],
        *,
        begin: Callable[[], Awaitable[None]],
        follow: Callable[[int], object],
        visit: Callable[[str], None],
        show_problem: Callable[[Problem], None],
        hide: Callable[[], None],
        dress_code: Callable[[ui.codemirror], None],
        heard: Callable[[], object],
    ) -> None:
        self._heard: Callable[[], object] = lambda: None  # nobody is to hear of what is filled in at first
        self._service = service
        self._draft = draft
        self._types = types
        self._before_run = begin
        self._follow = follow
        self._visit = visit
        self._show_problem = show_problem
        self._triggers: dict[str, str] = {}
        self._rows: dict[str, StepRow] = {}
        self._run_id: int | None = None
        self._extent = WHOLE
        self._shown_payload = ""
        self._user: dict[str, Json] = {}
        self._sees_users = operator_here().may("owner")
        self._fault: ui.label
        with box("ft-side"):
            with box("ft-head"):
                ui.label("Test").classes("ft-title")
                self._sample = choice({EXAMPLE: "Example"}, value=EXAMPLE, on_change=self._choose_sample).classes(
                    "ft-sample"
                )
                self._sample.props["aria-label"] = "Sample payload"
                icon_button("bookmark_add", "Save as a sample of this flow", self._save_sample, is_small=True)
            self._trigger = choice({}, on_change=self._choose_trigger).props("aria-label=Trigger")
            self._payload = ui.codemirror("{}", language="JSON", line_wrapping=True, on_change=self._typed)
            self._payload.classes("fe-code ft-payload").props["aria-label"] = "Payload"
            dress_code(self._payload)
            self._fault = ui.label().classes("fe-problem").props("role=alert")
            with box("ft-actions"):
                self._real = ui.switch("Real effects").props("dense")
                with self._real:
                    ui.tooltip("Off: emails, requests and row changes are only shown. On: they happen.").props(
                        "delay=300"
                    )
                ui.space()
                self._run = button("Run", lambda: self.run(), kind="primary", icon="play_arrow")
                self._run.props('title="Run (Ctrl+Enter)"')
        with box("ft-log"):
            with box("ft-head"):
                self._title = ui.label("Run log").classes("ft-title")
                self._note = box("ft-note")
                ui.space()
                icon_button("expand_more", "Hide the test panel", hide, is_small=True)
            self._log = box("ft-steps")
        self._fault.set_visibility(False)
        self._empty()
        self.update()
        self._heard = heard

    # -- the payload

    def update(self) -> None:
        """Show the triggers and samples that the draft has now."""
        triggers = {
            node["id"]: node["name"]
            for node in self._draft.document["nodes"]
            if node["type"] in self._types and self._types[node["type"]].kind == "trigger"
        }
        if triggers != self._triggers:
            self._triggers = triggers
            chosen = self._trigger.value if self._trigger.value in triggers else next(iter(triggers), None)
            self._trigger.set_options(triggers, value=chosen)
            self._trigger.set_visibility(len(triggers) > 1)
        self._update_samples()

    def _update_samples(self) -> None:
        names = {name: name for name in self._samples()}
        options = {EXAMPLE: "Example", **names}
        if self._sees_users and "userId" in self._example():
            options[NEWEST_USER] = "Newest user"
        if self._sample.options != options:
            first = next(iter(names), EXAMPLE) if len(self._sample.options) == 1 else EXAMPLE
            kept = self._sample.value if self._sample.value and self._sample.value in options else first
            self._sample.set_options(options, value=kept)
        self._sample.set_visibility(len(options) > 1)
        self._fill()

    def _samples(self) -> dict[str, Json]:
        samples = self._draft.document.get("samples") or []
        return {sample["name"]: sample["payload"] for sample in samples if sample["trigger"] == self._trigger.value}

    def _choose_trigger(self, _event: Any) -> None:
        self._update_samples()

    async def _choose_sample(self, _event: Any) -> None:
        if self._sample.value == NEWEST_USER:
            self._user = await to_thread(_newest_user, self._service)
            if not self._user:
                toast("There is no user yet. Add one under Users, or sign up.")
        self._fill(is_forced=True)

    def _fill(self, *, is_forced: bool = False) -> None:
        """Put the chosen sample into the editor, unless a person has changed what stands there."""
        if not is_forced and (self._payload.value or "").strip() not in ("", "{}", self._shown_payload.strip()):
            return
        added = self._user if self._sample.value == NEWEST_USER else {}
        payload = self._samples().get(self._sample.value, {**self._example(), **added})
        self._shown_payload = json.dumps(payload, ensure_ascii=False, indent=2)
        if self._payload.value != self._shown_payload:
            self._payload.set_value(self._shown_payload)

    def _example(self) -> dict[str, Json]:
        node = self._draft.node(self._trigger.value)
        node_type = self._types.get(node["type"]) if node else None
        return node_type.sample_of(node.get("params") or {}) if node and node_type else {}

    @property
    def chosen(self) -> tuple[str | None, Json]:
        """The trigger, and the payload in the editor; None for what is no payload."""
        try:
            return self._trigger.value, check_payload((self._payload.value or "").encode())
        except Refused:
            return self._trigger.value, None

    def _typed(self) -> None:
        self._fault.set_visibility(False)
        self._heard()

    def _read(self) -> dict[str, Json] | None:
        try:
            return check_payload((self._payload.value or "").encode())
        except Refused as refusal:
            self._fault.set_text(" ".join(reasons(refusal)))
            self._fault.set_visibility(True)
            return None

    async def _save_sample(self) -> None:
        payload = self._read()
        if payload is None or self._trigger.value is None:
            return
        with dialog("Save as a sample", width=400) as (window, foot):
            with field("Name", hint="It is kept in the flow and exported with it."):
                name = text_input(self._sample.value if self._sample.value in self._samples() else "").props(
                    f"autofocus maxlength={NAME_CHARS}"
                )
            name.on("keydown.enter", lambda: window.submit(name.value))
            with foot:
                button("Cancel", window.close, kind="ghost")
                button("Save sample", lambda: window.submit(name.value), kind="primary")
        wanted = str(await window or "").strip()
        if not wanted:
            return
        others = [sample for sample in self._draft.document.get("samples") or [] if sample["name"] != wanted]
        new = {"name": wanted, "trigger": self._trigger.value, "payload": payload}
        self._shown_payload = self._payload.value or ""
        await self._draft.edit([{"op": "set_samples", "samples": [*others, new]}])
        self._update_samples()
        self._sample.set_value(wanted)
        toast(f"“{wanted}” is now a sample of this flow.")

    # -- the run

    async def run(self, extent: Extent = WHOLE) -> None:
        """Run the draft, or the part *extent* of it, with the payload in the editor."""
        await self._before_run()
        self._turn_to(extent.node)
        payload = self._read()
        if payload is None:
            return
        effects: Literal["simulate", "real"] = "real" if self._real.value else "simulate"
        if effects == "real" and not await confirm(
            "Run with real effects?",
            "Emails are sent, requests are made and rows are changed, as if the event had happened.",
            action="Run for real",
        ):
            return
        self._extent = extent
        self._run.props("loading")
        try:
            run_id = await self._service.runs.start_test(
                self._draft.flow_id, trigger=self._trigger.value, payload=payload, effects=effects, extent=extent
            )
        except Refused as refusal:
            self._refused(refusal)
        else:
            self._run_id = run_id
            self._begin()
            self._follow(run_id)
        finally:
            self._run.props(remove="loading")

    def _turn_to(self, node_id: str | None) -> None:
        """Choose a trigger that leads to a node, when the chosen one does not."""
        edges = [(edge["source"], edge["target"]) for edge in self._draft.document["edges"]]
        leading = [trigger for trigger in self._triggers if node_id in reachable_from([trigger], edges)]
        if node_id is not None and leading and self._trigger.value not in leading:
            self._trigger.set_value(leading[0])

    def show(self, view: RunView) -> None:
        """Show how far a run has come."""
        if view.id != self._run_id:
            return
        for node_id in dict.fromkeys(step.node for step in view.steps):
            row = self._rows.get(node_id)
            if row is None:
                with self._log:
                    row = self._rows[node_id] = StepRow(self._named(node_id), self._visit)
            row.show(view)
        if view.has_ended:
            self._end(view)

    def _named(self, node_id: str) -> tuple[str, str, NodeType | None]:
        node = self._draft.node(node_id) or {"name": node_id, "type": ""}
        return node_id, node["name"], self._types.get(node["type"])

    def _begin(self) -> None:
        self._log.clear()
        self._rows.clear()
        self._note.clear()
        self._title.set_text("Running…")
        self._note_extent()

    def _note_extent(self) -> None:
        """Say which part of the flow was run."""
        node = self._draft.node(self._extent.node)
        if node is not None:
            word = "Only" if self._extent.only else "Up to" if self._extent.until else "From"
            with self._note:
                chip(f"{word} “{node['name']}”")

    def _end(self, view: RunView) -> None:
        self._title.set_text({"succeeded": "Succeeded", "failed": "Failed"}.get(view.status, view.status.capitalize()))
        self._note.clear()
        self._note_extent()
        with self._note:
            if view.is_simulated:
                with box("pw-chip pw-chip--accent"):
                    icon("science")
                    ui.label("Simulated: nothing was sent or changed")
            else:
                with box("pw-chip pw-chip--warn"):
                    icon("bolt")
                    ui.label("Ran with real effects")
            with ui.link(target=f"/runs/{view.id}").classes("fe-hint-link pw-not-phone"):
                ui.label(f"Open run {view.id}")

    def _refused(self, refusal: Exception) -> None:
        self._log.clear()
        self._rows.clear()
        self._note.clear()
        self._title.set_text("Not run")
        with self._log:
            for problem in getattr(refusal, "problems", []):
                with box("ft-problem", "button").props("type=button") as line:
                    icon("error")
                    ui.label(problem.message.replace("**", ""))
                if problem.node:
                    line.on("click", lambda problem=problem: self._show_problem(problem))
                if problem.node and problem.code in UNTIL_HELPS:
                    until = Extent(until=problem.node)
                    button("Run up to here", lambda until=until: self.run(until), icon="keyboard_tab")

    def _empty(self) -> None:
        with self._log, box("ft-empty"):
            icon("play_circle")
            ui.label("Run the flow with this payload. Nothing is sent or changed unless you switch on real effects.")


def _newest_user(service: Service) -> dict[str, Json]:
    """Return what events tell of the user who was added last; nothing while there is none."""
    for user in service.users.list(limit=1).users:
        return {
            "userId": user.id,
            "email": user.email,
            "emailVerified": user.is_verified,
            "roles": list(user.roles),
        }
    return {}
