"""What a test of a draft runs: the trigger it starts at, and the payload it gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from nodes.spec import NodeType
from runtime.document import Document, Sample, dump
from runtime.engine_api import TestRequest
from runtime.errors import Invalid, Problem
from runtime.graph import reachable_from

Effects: TypeAlias = Literal["simulate", "real"]


def prepare(
    document: Document,
    problems: list[Problem],
    types: Mapping[str, NodeType],
    trigger: str | None,
    payload: dict[str, Any] | None,
    sample: str | None,
    effects: Effects,
) -> TestRequest:
    """Return the request to run *document*; Invalid when what the trigger reaches has errors.

    Without *payload* it is that of the sample called *sample*, else the first sample of the trigger, else the
    example that the trigger's type brings for its parameters.
    """
    chosen = _sample(document, sample)
    start = trigger or (chosen and chosen.trigger) or _only_trigger(document, types)
    if start not in _triggers(document, types):
        raise Invalid(Problem("test.trigger_unknown", f"“{start[:80]}” is no trigger of this flow.", param="trigger"))
    takes_part = reachable_from([start], ((edge.source, edge.target) for edge in document.edges))
    errors = [each for each in problems if each.severity == "error" and (each.node is None or each.node in takes_part)]
    if errors:
        raise Invalid(*errors)
    if payload is None:
        payload = chosen.payload if chosen else _example(document, start, types)
    return TestRequest(
        flow_id=document.graph.id, document=dump(document), trigger=start, payload=payload, effects=effects
    )


def _triggers(document: Document, types: Mapping[str, NodeType]) -> list[str]:
    return [node.id for node in document.nodes if node.type in types and types[node.type].kind == "trigger"]


def _only_trigger(document: Document, types: Mapping[str, NodeType]) -> str:
    triggers = _triggers(document, types)
    if not triggers:
        raise Invalid(
            Problem("graph.no_trigger", "The flow has no trigger. Add one, and connect it to the first step.")
        )
    if len(triggers) > 1:
        names = ", ".join(f"“{trigger}”" for trigger in triggers)
        raise Invalid(
            Problem("test.trigger_missing", f"The flow has several triggers: {names}. Say which one.", param="trigger")
        )
    return triggers[0]


def _sample(document: Document, name: str | None) -> Sample | None:
    if name is None:
        return None
    for sample in document.samples:
        if sample.name == name:
            return sample
    raise Invalid(Problem("sample.not_found", f"The flow has no sample “{name[:80]}”.", param="sample"))


def _example(document: Document, trigger: str, types: Mapping[str, NodeType]) -> dict[str, Any]:
    for sample in document.samples:
        if sample.trigger == trigger:
            return sample.payload
    node = next(node for node in document.nodes if node.id == trigger)
    return types[node.type].sample_of(node.params)
