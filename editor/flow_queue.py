"""What a page says about runs that wait for their flow, and about what the platform stopped or paused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from nicegui import ui
from nicegui.element import Element

from editor import words
from editor.frame import box, icon
from editor.widgets import Handler, button, chip, dialog
from runtime.flow_views import FlowView
from runtime.live_flows import Queue

LONG_QUEUE = 10  # runs of a live flow that wait before pages say so


def waiting(count: int) -> str:
    """Return how many runs wait, in words."""
    return f"{count:,} {'run waits' if count == 1 else 'runs wait'}"


async def ask_about_queue(name: str, count: int) -> Queue | None:
    """Return what is to become of the runs that wait for a paused flow; None when the person thought better of it."""
    if not count:
        return "run"
    them = "it" if count == 1 else "them"
    what = "It will be shown as cancelled" if count == 1 else "They will be shown as cancelled"
    with dialog(f"Resume “{name}”", width=440) as (made, foot):
        ui.label(f"{waiting(count)} because the flow was paused.").classes("fe-strong")
        ui.label(f"Run {them} now, in the order in which the events came, or discard {them}: {what.lower()}.").classes(
            "pw-soft"
        )
        with foot:
            button("Cancel", lambda: made.submit(None), kind="ghost")
            button(f"Discard {them}", lambda: made.submit("discard"))
            button(f"Run {them}", lambda: made.submit("run"), kind="primary").props("autofocus")
    answer: Queue | None = await made
    return answer


def held_view(reason: str, flow_id: str) -> None:
    """Draw why a run that is queued does not begin."""
    title, text = {
        "paused": ("The flow is paused", "The run begins when somebody resumes the flow."),
        "limited": ("It waits for its turn", "The flow's limits let only so many runs begin."),
    }[reason]
    with box("fs-wait"):
        icon("hourglass_empty")
        with box("fs-wait-text"):
            ui.label(title).classes("fs-wait-title")
            ui.label(text)
            ui.link("Open the flow", f"/flows/{flow_id}").classes(replace="fe-hint-link")


def noticed(notice: dict[str, Any]) -> None:
    """Draw a chip that says what was noticed about a flow; its page says what to do."""
    title = {"event.loop": "Loop stopped", "flow.loop": "Loop", "flow.too_often": "Started too often"}
    with chip(title.get(str(notice.get("code")), "Look at it"), "fail", symbol="report"):
        ui.tooltip(str(notice.get("message", ""))).props("delay=200")


class NoticeBar:
    """A line under the bar of a flow's page: why it was paused, or what was stopped, and what to do."""

    def __init__(self, place: Element, *, resume: Handler, dismiss: Handler, may_edit: bool) -> None:
        self._resume = resume
        self._dismiss = dismiss
        self._may_edit = may_edit
        self._drawn: object = None
        self._place = place

    def update(self, view: FlowView) -> None:
        """Show what the flow says now."""
        wanted = (view.state, view.notice, view.queued if view.state == "paused" else 0)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        self._place.clear()
        with self._place:
            if view.notice is not None:
                self._notice(view, view.notice)
            elif view.state == "paused" and view.queued:
                self._line("pause_circle", f"Paused. {waiting(view.queued)} until you resume it.", "plain", view)

    def _notice(self, view: FlowView, notice: dict[str, Any]) -> None:
        text = str(notice.get("message", ""))
        if view.state == "paused" and view.queued:
            text = f"{text} {waiting(view.queued)}."
        self._line("report", text, "warn", view, when=str(notice.get("at", "")))

    def _line(self, symbol: str, text: str, tone: str, view: FlowView, when: str = "") -> None:
        with box(f"fe-notice fe-notice--{tone}").props("role=status"):
            icon(symbol)
            with box("fe-notice-text"):
                ui.label(text)
                if when:
                    label = ui.label(words.ago(datetime.fromisoformat(when))).classes("pw-hint")
                    label.props["title"] = words.exact(datetime.fromisoformat(when))
            if self._may_edit and view.state == "paused":
                button("Resume", self._resume)
            elif self._may_edit:
                button("Dismiss", self._dismiss, kind="ghost")
