"""Starting a published flow by hand: which of its triggers wait for a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from nodes.spec import NodeType
from runtime import inputs
from runtime.errors import Conflict, Invalid, NotFound, Problem
from storage.tables import Flow, FlowVersion, RunRow


def manual_triggers(document: Mapping[str, Any], types: Mapping[str, NodeType]) -> list[str]:
    """Return the ids of the triggers that no event starts, without those that are disabled."""
    return [node["id"] for node in document["nodes"] if _waits_for_a_person(node, types.get(node["type"]))]


def start_by_hand(
    session: Session,
    flow_id: str,
    types: Mapping[str, NodeType],
    *,
    trigger: str | None,
    payload: dict[str, Any],
    now: datetime,
) -> int:
    """Queue a run of the live version and return its id.

    Raises NotFound, Conflict when the flow is not live, Invalid when it has no such trigger or several to choose from.
    """
    flow = session.get(Flow, flow_id)
    if flow is None:
        raise NotFound(Problem("flow.not_found", f"There is no flow “{flow_id[:80]}”."))
    if flow.state != "published":
        todo = "Resume it" if flow.state == "paused" else "Publish it"
        raise Conflict(Problem("flow.not_live", f"“{flow.name}” is not live. {todo}, or test the draft."))
    document = session.get_one(FlowVersion, (flow.id, flow.published_version)).document
    start = chosen(manual_triggers(document, types), trigger)
    run = RunRow(
        flow_id=flow.id,
        version=flow.published_version,
        trigger=start,
        payload=checked_input(document, start, payload, param="payload"),
        created_at=now,
    )
    session.add(run)
    session.flush()
    assert run.id is not None
    return run.id


def _waits_for_a_person(node: Mapping[str, Any], node_type: NodeType | None) -> bool:
    if node_type is None or node_type.listen is None or node.get("disabled"):
        return False
    try:
        params = node_type.params.model_validate(node.get("params", {}))
    except ValueError:  # unfinished: it says later what it waits for
        return False
    return node_type.listen(params).waits_for_a_person


def checked_input(
    document: Mapping[str, Any], trigger: str, given: dict[str, Any], param: str = "input"
) -> dict[str, Any]:
    """Return *given* when it fits the inputs that the trigger declares; raises Invalid, with problems on *param*."""
    node = next(node for node in document["nodes"] if node["id"] == trigger)
    return inputs.checked(node.get("params", {}).get("inputs", {}), given, param)


def chosen(triggers: list[str], wanted: str | None) -> str:
    """Return the trigger to start at; raises Invalid when there is none, or several and none is *wanted*."""
    if not triggers:
        message = "The live version has no manual start: only events start it. Add “Manual start” and publish."
        raise Invalid(Problem("run.no_manual_trigger", message))
    if wanted is not None and wanted not in triggers:
        message = f"“{wanted[:80]}” is no manual start of the live version."
        raise Invalid(Problem("run.trigger_unknown", message, param="trigger"))
    if wanted is None and len(triggers) > 1:
        names = ", ".join(f"“{trigger}”" for trigger in triggers)
        message = f"The live version has several manual starts: {names}. Say which one."
        raise Invalid(Problem("run.trigger_missing", message, param="trigger"))
    return wanted or triggers[0]
