"""When schedules are due, in words: below the form of a trigger, and in the panel of a live flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeAlias

from nicegui import ui
from pydantic import ValidationError

from editor import words
from editor.draft import Draft
from editor.frame import box, icon
from editor.open_node import OpenNode
from nodes.spec import NodeType
from runtime.flow_views import ScheduleView
from runtime.schedules import Timetable, local_time, times

Json: TypeAlias = Any
SHOWN = 3
REFRESH_S = 5.0
SOON = timedelta(days=7)


def upcoming(
    node_type: NodeType, params: Mapping[str, Json], live: ScheduleView | None, now: datetime
) -> tuple[str, list[str]]:
    """Return when a trigger with these raw parameters is due after *now*: a line about the times, and the times.

    Both are empty where it is not set up, or is no schedule. *live* is the trigger as it was published.
    """
    try:
        spec = node_type.listen(node_type.params.model_validate(params)).schedule if node_type.listen else None
    except ValidationError:
        return "", []
    if spec is None:
        return "", []
    timetable = Timetable.of(spec)
    anchor = live.next_due_at if live and live.timetable.is_same_as(timetable) else None
    found = islice(times(timetable, now, anchor=anchor), SHOWN)
    since = ", if it is published now" if timetable.every_s and anchor is None else ""
    return f"Times in {timetable.timezone}{since}", [
        words.on_the_clock(local_time(timetable, moment), now) for moment in found
    ]


class NextTimes:
    """The next times of the trigger that is being set up; nothing while it says none."""

    def __init__(self, draft: Draft, open_node: OpenNode, node_type: NodeType) -> None:
        self._draft = draft
        self._open = open_node
        self._type = node_type
        self._shown: list[str] | None = None
        with box("fe-times").props('role=group aria-label="Next times"') as self._box:
            ui.label("Next times").classes("fe-label")
            self._list = box("fe-times-list", "ol")
            self._note = ui.label().classes("fe-hint")
        ui.timer(REFRESH_S, self.update)

    def update(self) -> None:
        """Show the times of what the draft holds now."""
        node = self._draft.node(self._open.id)
        live = next((each for each in self._draft.view.schedules if each.node == self._open.id), None)
        note, found = upcoming(self._type, (node or {}).get("params") or {}, live, datetime.now(UTC))
        self._box.set_visibility(bool(found))
        self._note.set_text(note)
        if found == self._shown:
            return
        self._shown = found
        self._list.clear()
        with self._list:
            for line in found:
                with box(tag="li"):
                    ui.label(line)


class LiveTimes:
    """When the schedules of a live flow are due; kept current while the page is open."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._lines: list[tuple[str, str, str]] | None = None
        self._box = box("fe-times")
        ui.timer(REFRESH_S, self._look, immediate=False)
        self.update()

    def update(self) -> None:
        """Show what the draft's page has read last."""
        self._draw(self._draft.view.schedules)

    async def _look(self) -> None:
        if self._draft.view.schedules:
            self._draw(await self._draft.schedules())

    def _draw(self, schedules: Sequence[ScheduleView]) -> None:
        is_live = self._draft.view.state == "published"
        lines = [self._line(schedule, is_live=is_live) for schedule in schedules]
        if lines == self._lines:
            return
        self._lines = lines
        self._box.clear()
        self._box.set_visibility(bool(lines))
        with self._box:
            ui.label("Due next").classes("fe-heading")
            for name, when, hint in lines:
                with box("fe-due"):
                    icon("schedule")
                    with box("pw-grow"):
                        ui.label(when)
                        ui.label(f"{name}{hint}").classes("fe-hint")

    def _line(self, schedule: ScheduleView, *, is_live: bool) -> tuple[str, str, str]:
        node = self._draft.node(schedule.node)
        name = node["name"] if node else schedule.node
        if schedule.next_due_at is None:
            return name, "Never again" if is_live else "Not while it is paused", ""
        local = local_time(schedule.timetable, schedule.next_due_at)
        is_soon = schedule.next_due_at - datetime.now(UTC) < SOON
        distance = f", {words.ahead(schedule.next_due_at)}" if is_soon else ""
        return name, f"{words.on_the_clock(local)}{distance}", f" · {schedule.timetable.timezone}"
