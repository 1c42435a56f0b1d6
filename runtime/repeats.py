"""Running again: a new run with the data of an old one, on the version of then or on the one of now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import update
from sqlmodel import Session, col

from nodes.spec import NodeType
from runtime.document import Document, dump, parse
from runtime.errors import Conflict, Invalid, NotFound, Problem
from runtime.graph import reachable_from
from runtime.kept_steps import Place, kept, read_settled, take_over
from runtime.validation import check
from storage.tables import Flow, FlowVersion, RunRow, StepRow

Version: TypeAlias = Literal["then", "now"]
Types: TypeAlias = Mapping[str, NodeType]
Allow: TypeAlias = Callable[[Mapping[str, Any] | None], None]
"""Raises Forbidden when whoever asks may not run a document."""


@dataclass(frozen=True)
class Repeat:
    """How a run is done again.

    *from_* is the node it begins at; *from_failed*: it begins where the old run got stuck. Without either it begins
    at its trigger. *payload* replaces the old one. *version* is that of ``then``, or of ``now``: the live version, for
    a test the draft.
    """

    from_: str | None = None
    payload: dict[str, Any] | None = None
    from_failed: bool = False
    version: Version = "then"


@dataclass(frozen=True)
class Prepared:
    """A run that may be queued, and the steps of *of* that it takes over."""

    run: RunRow
    of: int
    places: list[Place]
    payload: dict[str, Any] | None  # another than that of then


def prepare(
    session: Session, run_id: int, asked: Repeat, types: Types, now: datetime, allow: Allow | None = None
) -> Prepared:
    """Return the run that does an old one again; what takes long is done here, without the write lock.

    Raises NotFound, Conflict when the old run is still going or the flow no longer has what is needed, Invalid, and
    what *allow* raises.
    """
    old = run_row(session, run_id)
    if old.ended_at is None:
        raise Conflict(Problem("run.not_ended", f"Run {run_id} is still going. Cancel it, or wait."))
    if asked.from_failed and old.status == "succeeded":
        raise Conflict(Problem("run.nothing_failed", f"Nothing failed in run {run_id}. Retry it from the start."))
    former = _read(document_of(session, old))
    new = RunRow(
        flow_id=old.flow_id,
        version=old.version,
        document=old.document,
        trigger=old.trigger,
        event_id=old.event_id,
        payload=old.payload if asked.payload is None else asked.payload,
        is_test=old.is_test,
        is_simulated=old.is_simulated,
        parent_run=run_id,
        scope=old.scope,
        key=old.key,
        created_at=now,
    )
    document = former
    if asked.version == "now":
        new.version, new.document, document = _now(session, old, former, types)
    if document is None:
        message = f"The version that run {run_id} worked on is no longer kept. Retry it on the version of now."
        raise Conflict(Problem("flow.version_gone", message))
    if allow is not None:
        allow(dump(document))
    scope = old.scope or {}
    begin = asked.from_ or scope.get("only") or scope.get("from")
    if begin is not None:
        _require_step(document, old, begin, asked.version)
    places: list[Place] = []
    if begin is not None or asked.from_failed:
        places = kept(
            document,
            types,
            read_settled(session, run_id),
            begin=() if begin is None else (begin,),
            former=None if document is former else former,
            with_items=begin is None and asked.payload is None and document is former,
        )
    return Prepared(new, run_id, places, asked.payload)


def store(session: Session, prepared: Prepared) -> int:
    """Queue a prepared run and return its id; raises NotFound when the old one is gone by now."""
    run_row(session, prepared.of)
    run = prepared.run
    session.add(run)
    session.flush()
    assert run.id is not None
    take_over(session, prepared.places, of=prepared.of, into=run.id)
    if prepared.payload is not None:  # the trigger's output is what the run was started with
        trigger = update(StepRow).where(col(StepRow.run_id) == run.id, col(StepRow.node) == run.trigger)
        session.connection().execute(trigger.values(output=prepared.payload, sealed=None))
    return run.id


def run_row(session: Session, run_id: int) -> RunRow:
    """Return a run; raises NotFound."""
    run = session.get(RunRow, run_id) if 0 < run_id < 2**63 else None
    if run is None:
        raise NotFound(Problem("run.not_found", f"There is no run {run_id}."))
    return run


def document_of(session: Session, run: RunRow) -> dict[str, Any] | None:
    """Return what a run works on, None when it is no longer kept."""
    if run.document is not None or run.version is None:
        return run.document
    version = session.get(FlowVersion, (run.flow_id, run.version))
    return version.document if version else None


def _now(
    session: Session, old: RunRow, former: Document | None, types: Types
) -> tuple[int | None, dict[str, Any] | None, Document | None]:
    """Return version, document of a draft, and the document parsed, on which a run is repeated now."""
    flow = session.get(Flow, old.flow_id)
    if flow is None:
        raise Conflict(Problem("flow.not_found", "The flow was deleted. Retry the run on the version of then."))
    if old.is_test:
        document = _read(flow.draft)
        _require_trigger(document, old, former, f"The draft of “{flow.name}”")
        _require_sound(document, old.trigger, types)
        return None, None if document is None else dump(document), document
    if flow.state != "published":
        todo = "Resume it" if flow.state == "paused" else "Publish it"
        raise Conflict(Problem("flow.not_live", f"“{flow.name}” is not live. {todo}, or retry on the version of then."))
    document = _read(session.get_one(FlowVersion, (flow.id, flow.published_version)).document)
    _require_trigger(document, old, former, f"The live version of “{flow.name}”")
    return flow.published_version, None, document


def _require_trigger(document: Document | None, old: RunRow, former: Document | None, what: str) -> None:
    trigger = document.node(old.trigger) if document else None
    then = former.node(old.trigger) if former else None
    if trigger is None or (then is not None and then.type != trigger.type):
        name = then.name if then else old.trigger
        message = f"{what} no longer has the trigger “{name}”. Retry the run on the version of then."
        raise Conflict(Problem("run.trigger_gone", message))


def _require_sound(document: Document | None, trigger: str, types: Types) -> None:
    if document is None:
        return
    takes_part = reachable_from([trigger], ((edge.source, edge.target) for edge in document.edges))
    errors = [each for each in check(document, types) if each.severity == "error" and each.node in {None, *takes_part}]
    if errors:
        raise Invalid(*errors)


def _require_step(document: Document, old: RunRow, node: str, version: Version) -> None:
    takes_part = reachable_from([old.trigger], ((edge.source, edge.target) for edge in document.edges))
    if node in takes_part:
        return
    if version == "now":
        message = f"The version of now has no step “{node[:80]}” behind the trigger. Retry it on that of then."
        raise Conflict(Problem("run.node_gone", message, param="from"))
    raise Invalid(Problem("run.node_unknown", f"Run {old.id} has no step “{node[:80]}”.", param="from"))


def _read(data: dict[str, Any] | None) -> Document | None:
    return None if data is None else parse(data)[0]
