"""What is wrong between flows: circles in which they start each other, addresses that two want, unfit calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple, TypeAlias

from nodes.spec import Report
from runtime import inputs, webhooks, wording
from runtime.errors import Invalid, Problem
from runtime.expressions import has_expression
from runtime.flow_links import Cause, FlowLinks, Start

Place: TypeAlias = tuple[str, str]  # a flow and one of its triggers
FAILED = "flow.run_failed"
SHOWN = 6  # flows of a circle that are named


class Way(NamedTuple):
    """That the run of one trigger may start another: by a step's report, or (node None) by failing."""

    node: str | None
    word: str
    to: Place


WaysFrom: TypeAlias = Callable[[Place], tuple[Way, ...]]


class Neighbourhood:
    """Flows that may start each other; *is_complete* when there are no others."""

    def __init__(self, flows: Iterable[FlowLinks], *, is_complete: bool = True) -> None:
        self._flows = {flow.id: flow for flow in flows}
        self._is_complete = is_complete
        self._by_event: dict[str, list[tuple[str, Start]]] = defaultdict(list)
        self._by_path: dict[str, list[tuple[str, Start]]] = defaultdict(list)
        for flow in self._flows.values():
            for start in flow.starts:
                if start.listen.event is not None:
                    self._by_event[start.listen.event].append((flow.id, start))
                if start.listen.webhook is not None:
                    self._by_path[start.listen.webhook["path"]].append((flow.id, start))

    def including(self, flows: Iterable[FlowLinks]) -> Neighbourhood:
        """Return these flows with *flows*, which stand in for those of their ids."""
        return Neighbourhood([*self._flows.values(), *flows], is_complete=self._is_complete)

    def problems_of(self, flow: FlowLinks) -> list[Problem]:
        """Return what is wrong between *flow* and the others; it stands in for the one of its id."""
        return [*self._circles(flow), *self.clashes_of(flow), *self._calls(flow)]

    def clashes_of(self, flow: FlowLinks) -> list[Problem]:
        """Return which webhooks of *flow* stand where another flow's does, or will when it is published."""
        problems = []
        for start in flow.starts:
            webhook = start.listen.webhook
            others = [] if webhook is None else self._by_path.get(webhook["path"], [])
            for other_id, other in others:
                if other_id != flow.id and webhooks.overlap(_address(start), _address(other)):
                    problems.append(self._clash(flow, start, self._flows[other_id], other))
                    break
        return problems

    def _circles(self, flow: FlowLinks) -> Iterator[Problem]:
        """Yield the shortest circle that each step closes, and the shortest one that a failure does."""
        shortest: dict[str | None, tuple[str, list[Way]]] = {}
        ways_from = cache(lambda place: tuple(self._ways(place, flow)))
        for start in flow.starts:
            home = (flow.id, start.node)
            for way in ways_from(home):
                back = _back(way, home, ways_from)
                known = shortest.get(way.node)
                if back is not None and (known is None or len(back) + 1 < len(known[1])):
                    shortest[way.node] = start.node, [way, *back]
        for trigger, ways in shortest.values():
            yield self._circle(flow, trigger, ways)

    def _ways(self, place: Place, own: FlowLinks) -> Iterator[Way]:
        flow_id, trigger = place
        flow = own if flow_id == own.id else self._flows[flow_id]
        for cause in flow.causes:
            if trigger in cause.triggers:
                for to in self._started_by(cause.report, own):
                    yield Way(cause.node, cause.report.event or "a call", to)
        for to in self._started_by(Report(FAILED, {"flow": flow_id}), own):
            if to[0] != flow_id:  # no flow hears of its own failed runs
                yield Way(None, FAILED, to)

    def _started_by(self, report: Report, own: FlowLinks) -> Iterator[Place]:
        if report.event is None:
            called = self._called(report, own)
            yield from ((called.id, start.node) for start in _by_hand(called)) if called else ()
            return
        for flow_id, start in self._by_event.get(report.event, ()):
            if flow_id != own.id and _hears(start, report):
                yield flow_id, start.node
        for start in own.starts:
            if start.listen.event == report.event and _hears(start, report):
                yield own.id, start.node

    def _called(self, report: Report, own: FlowLinks) -> FlowLinks | None:
        flow_id = report.known.get("flow")
        return own if flow_id == own.id else self._flows.get(str(flow_id))

    def _circle(self, flow: FlowLinks, trigger: str, ways: list[Way]) -> Problem:
        names = [flow.name if way.to[0] == flow.id else self._flows[way.to[0]].name for way in ways]
        steps = [f"{way.word} → “{name}”" for way, name in zip(ways, names, strict=True)]
        if len(steps) > SHOWN:
            steps = [*steps[: SHOWN - 1], "…", steps[-1]]
        node = ways[0].node or trigger
        message = (
            f"{flow.names[node]}: this flow can start itself again: “{flow.name}” → {' → '.join(steps)}. Let a "
            "condition end the circle, or take one of its links away."
        )
        return Problem("flow.circle", message, node, severity="warning")

    def _clash(self, flow: FlowLinks, start: Start, other: FlowLinks, there: Start) -> Problem:
        place = _address(there)
        if other.is_live:
            return webhooks.taken(flow.names[start.node], place, other.name, start.node)
        message = (
            f"{flow.names[start.node]}: {webhooks.told(place)} also leads to the flow “{other.name}”, which is not "
            "published. Only one of the two can be."
        )
        return Problem("webhook.path_taken", message, start.node, "path", severity="warning")

    def _calls(self, flow: FlowLinks) -> Iterator[Problem]:
        for start in flow.starts:
            if start.listen.event == FAILED and (heard := start.listen.match.get("flow")):
                yield from self._missing(heard, flow, start.node)
        for cause in flow.causes:
            if cause.report.event is None and (flow_id := cause.report.known.get("flow")):
                called = self._called(cause.report, flow)
                yield from self._missing(flow_id, flow, cause.node) if called is None else _unfit(cause, called, flow)

    def _missing(self, flow_id: str, flow: FlowLinks, node: str) -> Iterator[Problem]:
        if self._is_complete and flow_id != flow.id and flow_id not in self._flows:
            message = f"{flow.names[node]}: there is no flow “{wording.shown(flow_id)}”. Choose another, or create it."
            yield Problem("param.flow_unknown", message, node, "flow", severity="warning")


def _back(first: Way, home: Place, ways_from: WaysFrom) -> list[Way] | None:
    """Return the shortest way on from where *first* leads to *home*; None where there is none."""
    came: dict[Place, tuple[Place, Way] | None] = {first.to: None}
    waiting = [first.to]
    for place in waiting:
        if place == home:
            break
        for way in ways_from(place):
            if way.to not in came:
                came[way.to] = (place, way)
                waiting.append(way.to)
    if home not in came:
        return None
    back = []
    at = home
    while (step := came[at]) is not None:
        at = step[0]
        back.append(step[1])
    return back[::-1]


def _unfit(cause: Cause, called: FlowLinks, flow: FlowLinks) -> Iterator[Problem]:
    """Yield why a call would fail. Warnings, because the other flow may change without this one."""
    starts = _by_hand(called)
    if len(starts) != 1:
        how = "several manual starts" if starts else "no manual start"
        message = f"{cause.name}: the flow “{called.name}” has {how}, so it cannot be run from here. It needs one."
        yield Problem("run_flow.no_start", message, cause.node, "flow", severity="warning")
        return
    if not called.is_live and called.id != flow.id:
        message = f"{cause.name}: the flow “{called.name}” is not published, so this step would fail. Publish it first."
        yield Problem("run_flow.not_live", message, cause.node, "flow", severity="warning")
    given = cause.params.get("input", {})
    if not isinstance(given, dict):
        return
    declared = {
        name: "any" if has_expression(given.get(name)) else kind
        for name, kind in starts[0].params.get("inputs", {}).items()
    }
    try:
        inputs.checked(declared, given)
    except Invalid as invalid:
        for problem in invalid.problems:
            message = f"{cause.name}: “{called.name}”: {problem.message}"
            yield Problem(problem.code, message, cause.node, "input", severity="warning")


def _by_hand(flow: FlowLinks) -> list[Start]:
    return [start for start in flow.starts if start.listen.waits_for_a_person]


def _hears(start: Start, report: Report) -> bool:
    return all(report.known.get(key) == value for key, value in start.listen.match.items())


def _address(start: Start) -> webhooks.Place:
    assert start.listen.webhook is not None
    return webhooks.place_of(start.listen.webhook)
