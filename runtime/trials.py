"""What a test of a draft runs: the trigger it starts at, the payload it gets, and which part of the flow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from nodes.spec import NodeType
from runtime.check_codes import CODES
from runtime.document import Document, Node, Sample, dump
from runtime.engine_api import TestRequest
from runtime.errors import Invalid, Problem
from runtime.graph import reachable_from
from runtime.kept_steps import Settled, Shape, fits, kept

Effects: TypeAlias = Literal["simulate", "real"]
Types: TypeAlias = Mapping[str, NodeType]


@dataclass(frozen=True)
class Extent:
    """Which part of a flow is tested: all of it, *until* a node, *only* one node, or *from* one on.

    For *only* and *from_* the outputs of what comes before are taken from the run *run*, or from the latest test that
    has them.
    """

    until: str | None = None
    only: str | None = None
    from_: str | None = None
    run: int | None = None

    @property
    def node(self) -> str | None:
        return self.until or self.only or self.from_

    @property
    def takes_over(self) -> bool:
        """Whether steps of an earlier run are needed."""
        return self.only is not None or self.from_ is not None

    @property
    def scope(self) -> dict[str, str] | None:
        """What the run's row says of it."""
        words = {"until": self.until, "only": self.only, "from": self.from_}
        return {word: node for word, node in words.items() if node is not None} or None


@dataclass(frozen=True)
class Earlier:
    """A run whose outputs a test may take over."""

    id: int
    trigger: str
    payload: dict[str, Any]
    document: Document | None
    steps: tuple[Settled, ...] = field(default=())


EarlierRuns: TypeAlias = Callable[[], Iterable[Earlier]]
WHOLE = Extent()


def prepare(
    document: Document,
    problems: list[Problem],
    types: Types,
    trigger: str | None,
    payload: dict[str, Any] | None,
    sample: str | None,
    effects: Effects,
    extent: Extent = WHOLE,
    earlier: EarlierRuns = tuple,
) -> TestRequest:
    """Return the request to run *document*; Invalid when what takes part has errors, or an output is missing.

    Without *payload* it is that of the sample called *sample*, else that of the run whose outputs are taken over, else
    the first sample of the trigger, else the example that the trigger's type brings for its parameters.
    """
    chosen = _sample(document, sample)
    starts = _starts(document, types, trigger or (chosen.trigger if chosen else None), extent)
    base, taken = None, list[str]()
    if extent.from_ is not None:  # of a loop every item is done again
        extent = replace(extent, from_=Shape(document, types).outermost(extent.from_))
    if extent.takes_over:
        base, taken = _base(document, types, starts, extent, earlier)
    start = base.trigger if base else _only_one(starts)
    takes_part = _taking_part(document, start, extent) - set(taken)
    errors = [each for each in problems if each.severity == "error" and _counts(each, document, takes_part, taken)]
    if errors:
        raise Invalid(*errors)
    if payload is None:
        payload = chosen.payload if chosen else base.payload if base else _example(document, start, types)
    return TestRequest(
        flow_id=document.graph.id,
        document=dump(_without_broken(document, problems, {*takes_part, *taken, start})),
        trigger=start,
        payload=payload,
        effects=effects,
        scope=extent.scope,
        base=base.id if base else None,
        taken=taken,
    )


def _starts(document: Document, types: Types, wanted: str | None, extent: Extent) -> list[str]:
    """Return the triggers that the test may start at."""
    if len(extent.scope or ()) > 1:
        raise Invalid(Problem("test.extent", "Say one of “until”, “only” and “from”, not several."))
    triggers = _triggers(document, types)
    if wanted is not None and wanted not in triggers:
        raise Invalid(Problem("test.trigger_unknown", f"“{wanted[:80]}” is no trigger of this flow.", param="trigger"))
    if not triggers:
        message = "The flow has no trigger. Add one, and connect it to the first step."
        raise Invalid(Problem("graph.no_trigger", message))
    starts = _enabled(document, triggers) if wanted is None else [wanted]
    if extent.node is None:
        return starts
    node = _node(document, extent.node)
    edges = [(edge.source, edge.target) for edge in document.edges]
    leading = [start for start in starts if node.id in reachable_from([start], edges)]
    if not leading:
        message = f"No trigger leads to “{node.name}”. Connect it, then run it."
        if wanted is not None:
            message = f"The trigger “{wanted}” does not lead to “{node.name}”. Choose another one, or connect it."
        raise Invalid(Problem("test.not_connected", message, node.id))
    return leading


def _base(
    document: Document, types: Types, starts: list[str], extent: Extent, earlier: EarlierRuns
) -> tuple[Earlier | None, list[str]]:
    """Return the run whose outputs are taken over, and of which nodes; None where none are needed."""
    node = _node(document, extent.node or "")
    shape = Shape(document, types)
    around = shape.loops_around(node.id)
    if extent.only is not None and (around or shape.body(node.id)):
        loop = _node(document, around[0] if around else node.id)
        what = f"“{node.name}” is inside the loop “{loop.name}”" if around else f"“{node.name}” repeats what follows it"
        raise Invalid(Problem("test.in_loop", f"{what}. Run up to here instead: that does every item.", node.id))
    begin = node.id
    if not (needed := _needed(document, types, begin)):
        if not _is_reached(document, types, (), begin):
            raise Invalid(_not_reached(None, node))
        return None, []
    refusals = []
    for run in earlier():
        if run.trigger not in starts:
            continue
        taken, lacking = _taken(document, types, run, begin, needed)
        if lacking:
            refusals.append(_missing(document, lacking, node))
        elif not _is_reached(document, types, run.steps, begin):
            refusals.append(_not_reached(run, node))
        else:
            return run, [each for each in taken if extent.only is None or each in needed]
    raise Invalid(refusals[0] if refusals else _missing(document, needed, node))


def _needed(document: Document, types: Types, begin: str) -> set[str]:
    """Return what comes before *begin* and has to have an output: neither triggers nor what is pinned or disabled."""
    before = reachable_from([begin], [(edge.target, edge.source) for edge in document.edges]) - {begin}
    return {node.id for node in document.nodes if node.id in before and not _is_by_itself(node, types)}


def _taken(
    document: Document, types: Types, run: Earlier, begin: str, needed: Collection[str]
) -> tuple[list[str], list[str]]:
    """Return of which nodes the outputs can be taken over from *run*, and which of *needed* it lacks."""
    free = {node.id for node in document.nodes if _is_by_itself(node, types)}
    steps = [each for each in run.steps if each.node not in free and fits(each, document, types, run.document)]
    given = [Settled(node, "", "succeeded", None) for node in free]
    places = kept(document, types, [*steps, *given], begin=[begin])
    taken = [node for node, iteration in places if not iteration and node not in free]
    passed = {each.node for each in run.steps if each.status == "skipped"}
    return taken, [each for each in needed if each not in taken and each not in passed]


def _is_reached(document: Document, types: Types, steps: Iterable[Settled], begin: str) -> bool:
    """Return whether a branch that was taken leads to *begin*."""
    fired = {step.node: step.port for step in steps if not step.iteration and step.is_settled}
    for node in document.nodes:
        if node.pinned is not None and not node.disabled:
            fired[node.id] = node.pinned.port
        elif _is_by_itself(node, types) and node.type in types:
            ports = types[node.type].ports(node.params)
            fired[node.id] = next((port.name for port in ports if port.name != types[node.type].body_port), None)
    return begin in _triggers(document, types) or any(
        edge.target == begin and fired.get(edge.source) == edge.key for edge in document.edges
    )


def _is_by_itself(node: Node, types: Types) -> bool:
    """Return whether a test needs no earlier output of *node*: it starts the run, is pinned, or passed over."""
    is_trigger = node.type in types and types[node.type].kind == "trigger"
    return is_trigger or node.pinned is not None or node.disabled


def _missing(document: Document, lacking: Iterable[str], node: Node) -> Problem:
    names = [each.name for each in document.nodes if each.id in set(lacking)]
    shown = ", ".join(f"“{name[:60]}”" for name in names[:3]) + (" …" if len(names) > 3 else "")
    has = "has" if len(names) == 1 else "have"
    return Problem("test.output_missing", f"{shown} {has} no output yet. Run up to here first.", node.id)


def _not_reached(run: Earlier | None, node: Node) -> Problem:
    where = f"In run {run.id} no branch led" if run else "With what is pinned no branch leads"
    message = f"{where} to “{node.name}”. Run up to here first, with data that leads here."
    return Problem("test.not_reached", message, node.id)


def _taking_part(document: Document, start: str, extent: Extent) -> set[str]:
    edges = [(edge.source, edge.target) for edge in document.edges]
    reached = set(reachable_from([start], edges))
    if extent.only is not None:
        return {extent.only}
    if extent.node is None:
        return reached
    ends = [extent.until] if extent.until is not None else reachable_from([extent.node], edges)
    return reached & reachable_from(ends, [(target, source) for source, target in edges])


def _counts(problem: Problem, document: Document, takes_part: Collection[str], taken: Collection[str]) -> bool:
    """Return whether a problem stands in the way: of a node that is not called only what keeps the flow unreadable."""
    if problem.node is None:
        return True
    node = document.node(problem.node)
    is_called = problem.node in takes_part and node is not None and node.pinned is None and not node.disabled
    is_readable = problem.code.startswith("param.") or problem.code in CODES
    return is_called or (problem.node in {*takes_part, *taken} and not is_readable)


def _without_broken(document: Document, problems: Iterable[Problem], wanted: Collection[str]) -> Document:
    """Return the document without nodes that have errors and take no part: they could not even be read."""
    broken = {each.node for each in problems if each.severity == "error" and each.node is not None} - set(wanted)
    if not broken:
        return document
    return document.model_copy(
        update={
            "nodes": [node for node in document.nodes if node.id not in broken],
            "edges": [edge for edge in document.edges if not {edge.source, edge.target} & broken],
            "samples": [sample for sample in document.samples if sample.trigger not in broken],
        }
    )


def _node(document: Document, node_id: str) -> Node:
    if (node := document.node(node_id)) is None:
        raise Invalid(Problem("test.node_unknown", f"The flow has no node “{node_id[:80]}”."))
    return node


def _triggers(document: Document, types: Types) -> list[str]:
    return [node.id for node in document.nodes if node.type in types and types[node.type].kind == "trigger"]


def _enabled(document: Document, triggers: list[str]) -> list[str]:
    """Return *triggers* without those that are disabled, unless all are."""
    disabled = {node.id for node in document.nodes if node.disabled}
    return [trigger for trigger in triggers if trigger not in disabled] or triggers


def _only_one(starts: list[str]) -> str:
    if len(starts) > 1:
        names = ", ".join(f"“{trigger}”" for trigger in starts)
        raise Invalid(
            Problem("test.trigger_missing", f"The flow has several triggers: {names}. Say which one.", param="trigger")
        )
    return starts[0]


def _sample(document: Document, name: str | None) -> Sample | None:
    if name is None:
        return None
    for sample in document.samples:
        if sample.name == name:
            return sample
    raise Invalid(Problem("sample.not_found", f"The flow has no sample “{name[:80]}”.", param="sample"))


def _example(document: Document, trigger: str, types: Types) -> dict[str, Any]:
    for sample in document.samples:
        if sample.trigger == trigger:
            return sample.payload
    node = next(node for node in document.nodes if node.id == trigger)
    return types[node.type].sample_of(node.params)
