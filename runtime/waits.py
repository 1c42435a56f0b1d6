"""What suspended steps wait for, as rows: opened by the executor, resolved by events, people and sub-flow runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlmodel import Session, col, delete, select

from nodes.spec import AwaitApproval, AwaitEvent, CallFlow, NodeError, NodeType
from runtime import manual, outbox
from runtime.chains import Chains
from runtime.errors import Conflict, Invalid, NotFound, Problem
from runtime.intake import Subscriber
from runtime.outbox import NewEvent
from runtime.records import Place
from runtime.run_ends import OPEN, resolve
from runtime.sealing import Seals
from storage import journal_waits
from storage.tables import Flow, FlowVersion, RunRow, WaitEvent, WaitRow

CALLED = "flow.called"
Sealing: TypeAlias = Callable[[dict[str, Any]], tuple[dict[str, Any], str | None]]
"""Returns a payload as it may be stored, and locked where it has a secret."""


@dataclass(frozen=True)
class Approval:
    """A step that waits for a person. *decided* is what was decided, None while nothing was.

    *state* is ``open``, ``decided``, ``expired`` (the time was over) or ``closed`` (the run ended or was cancelled).
    """

    run_id: int
    flow_id: str
    flow_name: str
    node: str
    iteration: str
    title: str
    message: str
    asked_at: datetime
    until: datetime | None
    decided: dict[str, Any] | None
    state: Literal["open", "decided", "expired", "closed"] = "open"

    def as_json(self) -> dict[str, Any]:
        """Return the published shape of one that is open; times are ISO 8601 in UTC."""
        until = None if self.until is None else _text(self.until)
        return {
            "run": self.run_id,
            "flow": self.flow_id,
            "node": self.node,
            "iteration": self.iteration,
            "title": self.title,
            "message": self.message,
            "asked_at": _text(self.asked_at),
            "until": until,
        }


def approval_token(seals: Seals, installation: str, run_id: int, node: str, iteration: str) -> str:
    """Return the token of a step's approval link: the same whenever it is asked for, and known to nobody else."""
    return seals.tag(f"approval:{installation}:{run_id}:{node}:{iteration}")


def approval_link(public_url: str, token: str) -> str:
    """Return where whoever has *token* decides."""
    return f"{public_url}/approve/{token}"


def token_digest(token: str) -> str:
    """Return what is stored of an approval's token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def open_event(session: Session, run_id: int, place: Place, wanted: AwaitEvent, now: datetime) -> int:
    """Note that a step waits for an event; return the wait."""
    fields, digest = journal_waits.wanted(wanted.match)
    match = {"match": dict(wanted.match), "match_fields": fields, "match_digest": digest}
    return _id(_add(session, run_id, place, now, kind="event", event=wanted.event, **match))


def open_approval(session: Session, run_id: int, place: Place, wanted: AwaitApproval, token: str, now: datetime) -> int:
    """Note that a step waits for a person who has *token*; return the wait."""
    until = None if wanted.until is None else wanted.until.isoformat()
    asked = {"title": wanted.title, "message": wanted.message, "until": until}
    return _id(_add(session, run_id, place, now, kind="approval", match=asked, token_digest=token_digest(token)))


def open_call(
    session: Session,
    place: Place,
    wanted: CallFlow,
    cause: NewEvent,
    types: Mapping[str, NodeType],
    now: datetime,
    chains: Chains,
    sealing: Sealing | None,
) -> tuple[int, int]:
    """Start the sub-flow's run, which *cause* says the origin of, and note that the step waits; return wait and run.

    Raises NodeError when the flow cannot be called, or not with this input.
    """
    assert cause.parent_run is not None
    flow = _callable(session, wanted.flow)
    document = session.get_one(FlowVersion, (flow.id, flow.published_version)).document
    try:
        trigger = manual.chosen(manual.manual_triggers(document, types), None)
        payload = manual.checked_input(document, trigger, dict(wanted.input))
    except Invalid as error:
        problem = error.problems[0]
        raise NodeError(f"“{flow.name}”: {problem.message}", code=problem.code, param="input") from error
    payload, sealed = (payload, None) if sealing is None else sealing(payload)
    wait = _add(session, cause.parent_run, place, now, kind="run")
    subscriber = Subscriber(flow.id, flow.published_version or 0, trigger, {})
    run = outbox.call(
        session, cause._replace(payload=payload), subscriber, now, called_by=wait.id, chains=chains, sealed=sealed
    )
    wait.match = {"run": run.id}
    session.add(wait)
    session.flush()
    if run.status == "failed" or run.id is None:
        raise NodeError(str((run.error or {}).get("message")), code="run_flow.loop")
    return _id(wait), run.id


def approval_of(session: Session, token: str, now: datetime) -> Approval | None:
    """Return the approval that *token* opens, as it is at *now*, or None."""
    wait = session.exec(select(WaitRow).where(WaitRow.token_digest == token_digest(token))).first()
    return None if wait is None else _approval(session, wait, now)


def open_approvals(
    session: Session, now: datetime, flow_id: str | None = None, run_id: int | None = None
) -> list[Approval]:
    """Return the approvals that can be decided at *now*, the oldest first; of one flow or run, if it is named."""
    query = select(WaitRow).where(
        col(WaitRow.resolved_at).is_(None), col(WaitRow.event).is_(None), WaitRow.kind == "approval"
    )
    if run_id is not None:
        query = query.where(WaitRow.run_id == run_id)
    found = session.exec(query.order_by(col(WaitRow.id))).all()
    asked = [approval for wait in found if (approval := _approval(session, wait, now)) is not None]
    return [each for each in asked if each.state == "open" and flow_id in (None, each.flow_id)]


def decide(
    session: Session,
    *,
    token: str | None = None,
    run_id: int | None = None,
    node: str = "",
    iteration: str = "",
    approved: bool,
    by: str,
    comment: str,
    now: datetime,
) -> int:
    """Approve or reject, by the link's *token* or as an editor who names the step; return the run, which is due.

    Raises NotFound, and Conflict when it was decided before or nothing waits any more.
    """
    query = select(WaitRow).where(WaitRow.kind == "approval")
    if token is not None:
        query = query.where(WaitRow.token_digest == token_digest(token))
    else:
        query = query.where(WaitRow.run_id == run_id, WaitRow.node == node, WaitRow.iteration == iteration)
    wait = session.exec(query).first()
    if wait is None:
        raise NotFound(Problem("approval.not_found", "Nothing waits for this approval any more."))
    if wait.resolution is not None:
        raise Conflict(Problem("approval.decided", "This was decided already."))
    if _state(session, wait, now) != "open":
        raise Conflict(Problem("approval.expired", "It is too late: the flow has gone on without an answer."))
    output = {"approved": approved, "by": by, "comment": comment, "decided_at": _text(now)}
    resolve(session, wait, {"port": "approved" if approved else "rejected", "output": output}, now)
    return wait.run_id


def find(session: Session, run_id: int, node: str, iteration: str) -> WaitRow | None:
    """Return the wait of a step, or None."""
    query = select(WaitRow).where(WaitRow.run_id == run_id, WaitRow.node == node, col(WaitRow.iteration) == iteration)
    return session.exec(query).first()


def drop_events(session: Session, wait_id: int, event_ids: list[str]) -> None:
    """Forget events that were not what the step waits for."""
    session.exec(delete(WaitEvent).where(col(WaitEvent.wait_id) == wait_id, col(WaitEvent.event_id).in_(event_ids)))


def _add(session: Session, run_id: int, place: Place, now: datetime, **values: Any) -> WaitRow:
    wait = find(session, run_id, *place) or WaitRow(run_id=run_id, node=place.node, iteration=place.iteration, kind="")
    for name, value in values.items():
        setattr(wait, name, value)
    wait.resolution, wait.resolved_at, wait.created_at = None, None, now
    session.add(wait)
    session.flush()
    return wait


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _id(wait: WaitRow) -> int:
    assert wait.id is not None
    return wait.id


def _callable(session: Session, name: str) -> Flow:
    flow = session.get(Flow, name)
    if flow is None:
        message = f"There is no flow with the id “{name[:80]}”. Choose another one."
        raise NodeError(message, code="run_flow.not_found", param="flow")
    if flow.published_version is None:
        message = f"“{flow.name}” is not published. Publish it, then run this again."
        raise NodeError(message, code="run_flow.not_live", param="flow")
    return flow


def _state(session: Session, wait: WaitRow, now: datetime) -> Literal["open", "decided", "expired", "closed"]:
    run, until = session.get(RunRow, wait.run_id), (wait.match or {}).get("until")
    if wait.resolution is not None:
        return "decided"
    if until is not None and datetime.fromisoformat(until) <= (wait.resolved_at or now):
        return "expired"
    return "open" if wait.resolved_at is None and run is not None and run.status in OPEN else "closed"


def _approval(session: Session, wait: WaitRow, now: datetime) -> Approval | None:
    run = session.get(RunRow, wait.run_id)
    if run is None:
        return None
    flow = session.get(Flow, run.flow_id)
    asked = wait.match or {}
    until = asked.get("until")
    return Approval(
        run_id=wait.run_id,
        flow_id=run.flow_id,
        flow_name=run.flow_id if flow is None else flow.name,
        node=wait.node,
        iteration=wait.iteration,
        title=str(asked.get("title", "")),
        message=str(asked.get("message", "")),
        asked_at=wait.created_at,
        until=None if until is None else datetime.fromisoformat(until),
        decided=None if wait.resolution is None else wait.resolution["output"],
        state=_state(session, wait, now),
    )
