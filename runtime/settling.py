"""Settling a step of which nobody knows whether it took place: a person says so, and the run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlmodel import Session

from nodes.spec import NodeType
from runtime.document import parse
from runtime.engine_rows import OPEN
from runtime.errors import Conflict, NotFound, Problem
from runtime.graph import ports_of
from runtime.repeats import document_of, run_row
from storage.tables import StepRow

Settle: TypeAlias = Literal["send_again", "mark_done"]
DONE_BY_HAND = "marked_done"  # the kind of effect that tells such a step


def settle(
    session: Session,
    run_id: int,
    node: str,
    iteration: str,
    action: Settle,
    output: dict[str, Any] | None,
    now: datetime,
    types: Mapping[str, NodeType],
) -> None:
    """Plan the step's next attempt, or record it as done with *output*, and make its run due.

    Raises NotFound, and Conflict when the run has ended, the step's outcome is known, or it is to be done although
    its node has no port “out” to go on at.
    """
    run = run_row(session, run_id)
    step = session.get(StepRow, (run_id, node, iteration))
    if step is None:
        raise NotFound(Problem("step.not_found", f"Run {run_id} has no step “{node[:80]}”."))
    if run.status not in OPEN:
        raise Conflict(Problem("run.ended", f"Run {run_id} has ended. Retry it to do this step again.", node))
    if step.status != "unknown":
        raise Conflict(Problem("step.outcome_known", f"The outcome of this step is known: it is {step.status}.", node))
    if action == "send_again":
        step.status, step.attempt, step.started_at = "planned", step.attempt + 1, None
        step.output = step.effect = None
    else:
        _require_out(document_of(session, run), node, types)
        step.status, step.port, step.output = "succeeded", "out", output
        step.effect = {"kind": DONE_BY_HAND}
    step.error, step.ended_at = None, None if action == "send_again" else now
    run.wake_at = now  # one that is under way looks again before it waits
    session.add(step)
    session.add(run)


def undecided_ports(document: dict[str, Any] | None, node_id: str, types: Mapping[str, NodeType]) -> list[str]:
    """Return the ports between which only an answer decides; nothing for a node that can be marked as done."""
    parsed = parse(document)[0] if document is not None else None
    node = next((each for each in parsed.nodes if each.id == node_id), None) if parsed is not None else None
    if node is None or node.type not in types:
        return []
    ports = [port.name for port in ports_of(node, types[node.type])]
    return [] if "out" in ports else ports


def _require_out(document: dict[str, Any] | None, node_id: str, types: Mapping[str, NodeType]) -> None:
    """Raise Conflict where nobody but the node can say at which port the flow goes on."""
    if ports := undecided_ports(document, node_id, types):
        name = next(node["name"] for node in (document or {})["nodes"] if node["id"] == node_id)
        message = (
            f"“{name}” cannot be marked as done: it goes on at “{'” or “'.join(ports)}”, which only an answer "
            "decides. Send it again, then answer it."
        )
        raise Conflict(Problem("step.port_unknown", message, node_id))
