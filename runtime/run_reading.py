"""Reading runs out of their rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, and_, case, cast, false, func
from sqlmodel import Session, col, select

from nodes.spec import NodeType
from runtime import wording
from runtime.document import Document, parse
from runtime.engine_rows import INSTALLATION
from runtime.errors import NotFound, Problem
from runtime.graph import build, loops_in
from runtime.kept_steps import Shape
from runtime.repeats import document_of, run_row
from runtime.rules import reason_to_wait
from runtime.run_views import ItemPage, ItemView, RunSummary, RunView, StepView, WaitView
from storage.tables import EventRow, Flow, RunRow, Setting, StepRow, WaitRow

CHAIN = 20  # retries of retries that are followed
LOOP_STEPS = 300  # inside loops, that come with their run
Types = Mapping[str, NodeType]


def summaries(session: Session, rows: Iterable[tuple[RunRow, str | None, str | None]]) -> list[RunSummary]:
    """Return the lines of a list of runs, each given with the names of its flow and event."""
    found = list(rows)
    again = _retries(session, [run.id for run, *_ in found if run.id is not None])
    return [RunSummary(**_summary(run, flow, event, again)) for run, flow, event in found]


def read_run(session: Session, run_id: int, types: Types) -> RunView:
    """Return one run with its steps; raises NotFound."""
    run = run_row(session, run_id)
    flow = session.get(Flow, run.flow_id)
    event = session.get(EventRow, run.event_id) if run.event_id else None
    data = document_of(session, run)
    document = _parsed(data)
    steps = select(StepRow).where(StepRow.run_id == run_id)
    rows = list(session.exec(steps.where(StepRow.iteration == "")).all())
    repeated = _repeated(session, run_id)
    if repeated:
        inside = steps.where(StepRow.iteration != "").order_by(_number(""), col(StepRow.iteration), col(StepRow.node))
        rows += session.exec(inside.limit(LOOP_STEPS)).all()
    order = _order(document)
    place = {node: index for index, node in enumerate(order)}
    views = Steps(session, run, document, types).views(rows)
    return RunView(
        **_summary(run, flow.name if flow else None, event.name if event else None, _retries(session, [run_id])),
        payload=run.payload if run.payload is not None else (event.payload if event else {}),
        output=run.output,
        steps=tuple(sorted(views, key=lambda step: (place.get(step.node, len(place)), _natural(step.iteration)))),
        document=data,
        scope=run.scope,
        order=tuple(order),
        repeated={node: repeated[node] for node in sorted(repeated, key=lambda node: place.get(node, len(place)))},
        caused_by=event.parent_run if event else None,
        chain=_chain(session, run),
        key=run.key or None,
        held=None if flow is None else _held(run, flow),
    )


def _held(run: RunRow, flow: Flow) -> str | None:
    is_fresh = run.status == "queued" and run.started_at is None and not run.is_test
    return reason_to_wait(flow) if is_fresh else None


def read_item(session: Session, run_id: int, iteration: str, types: Types) -> list[StepView]:
    """Return the steps of one item of a loop, in the order of the graph; those of loops inside of it are left out."""
    run = run_row(session, run_id)
    document = _parsed(document_of(session, run))
    rows = session.exec(select(StepRow).where(StepRow.run_id == run_id, StepRow.iteration == iteration)).all()
    place = {node: index for index, node in enumerate(_order(document))}
    views = Steps(session, run, document, types).views(rows)
    return sorted(views, key=lambda step: place.get(step.node, len(place)))


def read_items(
    session: Session,
    run_id: int,
    loop: str,
    types: Types,
    *,
    within: str = "",
    status: str | None = None,
    offset: int = 0,
    limit: int = 50,
) -> ItemPage:
    """Return how the items of a loop fared, in their order; *within* is the item around an inner loop.

    Raises NotFound where the run's flow is known and has no such loop.
    """
    document = _parsed(document_of(session, run_row(session, run_id)))
    if document is not None and loop not in loops_in(document, types):
        raise NotFound(Problem("loop.not_found", f"Run {run_id} has no loop “{wording.shown(loop)}”."))
    body = Shape(document, types).body(loop) if document else frozenset()
    prefix = f"{within}." if within else ""
    number = _number(prefix)
    ranked = select(number.label("number"), func.max(_RANK).label("rank"))
    ranked = ranked.where(StepRow.run_id == run_id, col(StepRow.node).in_(body))
    ranked = ranked.where(col(StepRow.iteration) > prefix, col(StepRow.iteration) < f"{prefix}:")  # digits come before
    grouped = ranked.group_by(number).subquery()
    by_rank = session.execute(select(grouped.c.rank, func.count()).group_by(grouped.c.rank)).all()
    counts = {RANKS[rank]: count for rank, count in by_rank}
    query = select(grouped.c.number, grouped.c.rank).order_by(grouped.c.number).offset(offset).limit(limit)
    if status is not None:
        query = query.where(grouped.c.rank == RANKS.index(status) if status in RANKS else false())
    found = {f"{prefix}{place}": RANKS[rank] for place, rank in session.execute(query).all()}
    details = _details(session, run_id, body, list(found))
    items = tuple(ItemView(iteration, each, *details[iteration]) for iteration, each in found.items())
    return ItemPage(items, sum(counts.values()) if status is None else counts.get(status, 0), counts)


class Steps:
    """Makes what people see of the steps of one run."""

    def __init__(self, session: Session, run: RunRow, document: Document | None, types: Types) -> None:
        self._run = run
        self._sends = {
            node.id
            for node in (document.nodes if document else ())
            if getattr(types.get(node.type), "effect", "") == "send"
        }
        self._limits = {node.id: node.timeout_s for node in (document.nodes if document else ())}
        self._installation = installation(session)
        query = select(WaitRow).where(WaitRow.run_id == run.id, WaitRow.kind == "approval")
        self._waits = {(wait.node, wait.iteration): wait for wait in session.exec(query)}

    def views(self, rows: Iterable[StepRow]) -> list[StepView]:
        return [self._view(row) for row in rows]

    def _view(self, row: StepRow) -> StepView:
        wait, effect = self._waits.get((row.node, row.iteration)), row.effect or {}
        is_kept = self._run.parent_run is not None and _is_before(row.started_at, self._run.created_at)
        return StepView(
            node=row.node,
            iteration=row.iteration,
            status=row.status,
            attempt=row.attempt,
            port=row.port,
            input=row.input,
            output=row.output,
            error=row.error,
            effect=row.effect,
            started_at=row.started_at,
            ended_at=row.ended_at,
            wait=_wait(row, wait, self._limits.get(row.node)) if row.status == "waiting" else None,
            key=None if is_kept else self._key(row),
            is_kept=is_kept,
            called=effect.get("run") if effect.get("kind") == "run" else None,
        )

    def _key(self, row: StepRow) -> str | None:
        was_called = row.status in ("planned", "running", "waiting", "succeeded", "failed", "unknown") and row.input
        is_question = (row.effect or {}).get("kind") == "approval"
        if row.node not in self._sends or self._run.is_simulated or is_question or not was_called:
            return None
        return f"{self._installation}-{self._run.id}:{row.node}:{row.iteration}"


def installation(session: Session) -> str:
    """Return the installation's id, empty before an engine has been here."""
    made = session.get(Setting, INSTALLATION)
    return made.value["id"] if made else ""


RANKS = ("skipped", "succeeded", "planned", "waiting", "running", "failed", "unknown")  # the last one tells of all
_RANK = case(
    (and_(col(StepRow.status) == "failed", col(StepRow.port).is_not(None)), RANKS.index("succeeded")),
    *((col(StepRow.status) == status, rank) for rank, status in enumerate(RANKS)),
    else_=RANKS.index("running"),
)


def _number(prefix: str) -> Any:
    """Return the SQL of an item's place within the item *prefix* of the loop around it."""
    return cast(func.substr(StepRow.iteration, len(prefix) + 1), Integer)


def _details(
    session: Session, run_id: int, body: Collection[str], iterations: list[str]
) -> dict[str, tuple[datetime | None, datetime | None, str | None]]:
    """Return for each item when its first step began, when its last one ended, and what the failed one says."""
    query = select(StepRow).where(StepRow.run_id == run_id)
    query = query.where(col(StepRow.node).in_(body), col(StepRow.iteration).in_(iterations))
    steps: dict[str, list[StepRow]] = {iteration: [] for iteration in iterations}
    for step in session.exec(query):
        steps[step.iteration].append(step)
    return {
        iteration: (
            min((step.started_at for step in found if step.started_at), default=None),
            max((step.ended_at for step in found if step.ended_at), default=None),
            next((str(step.error.get("message", "")) for step in found if step.error and step.port is None), None),
        )
        for iteration, found in steps.items()
    }


def _repeated(session: Session, run_id: int) -> dict[str, dict[str, int]]:
    query = select(StepRow.node, StepRow.status, func.count()).where(StepRow.run_id == run_id, StepRow.iteration != "")
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for node, status, count in session.exec(query.group_by(col(StepRow.node), col(StepRow.status))):
        found[node][status] = count
    return found


def _retries(session: Session, run_ids: list[int]) -> dict[int, tuple[int, ...]]:
    """Return the runs that repeat each of these, the first one first; tests that took steps over are none."""
    found: dict[int, tuple[int, ...]] = {}
    query = select(RunRow.parent_run, RunRow.id).where(col(RunRow.parent_run).in_(run_ids))
    for parent, run_id in session.exec(query.where(col(RunRow.scope).is_(None)).order_by(col(RunRow.id))):
        if parent is not None and run_id is not None:
            found[parent] = (*found.get(parent, ()), run_id)
    return found


def _chain(session: Session, run: RunRow) -> tuple[int, ...]:
    """Return the runs that *run* repeats, the first one first; as far as they are kept."""
    found: list[int] = []
    at: RunRow | None = run
    while at is not None and at.parent_run is not None and len(found) < CHAIN:
        found.insert(0, at.parent_run)
        at = session.get(RunRow, at.parent_run)
    return tuple(found)


def _parsed(data: dict[str, Any] | None) -> Document | None:
    return parse(data)[0] if data else None


def _order(document: Document | None) -> list[str]:
    if document is None:
        return []
    import networkx

    graph = build(document)
    return list(networkx.topological_sort(graph)) if networkx.is_directed_acyclic_graph(graph) else list(graph)


def _natural(iteration: str) -> tuple[int, ...]:
    return tuple(int(item) for item in iteration.split(".")) if iteration else ()


def _wait(row: StepRow, wait: WaitRow | None, limit_s: float | None) -> WaitView:
    error, effect = row.error or {}, row.effect or {}
    if "retry_at" in error:
        return WaitView("retry", _moment(error["retry_at"]), message=error.get("message"))
    kind, until = effect.get("kind"), _moment(effect.get("until"))
    if limit_s is not None and row.started_at is not None:  # the step's own time-out
        limit = row.started_at + timedelta(seconds=limit_s)
        until = limit if until is None else min(until, limit)
    if kind == "event":
        return WaitView("event", until, event=effect.get("event"))
    if kind == "run":
        return WaitView("run", until, run=effect.get("run"))
    if kind == "approval":
        message = (wait.match if wait else None) or {}
        return WaitView("approval", until, title=effect.get("title"), message=message.get("message"))
    return WaitView("time", until)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _is_before(moment: datetime | None, other: datetime) -> bool:
    return moment is not None and moment < other


def _summary(
    run: RunRow, flow_name: str | None, event_name: str | None, again: Mapping[int, tuple[int, ...]]
) -> dict[str, Any]:
    return {
        "id": run.id,
        "flow": run.flow_id,
        "flow_name": flow_name,
        "version": run.version,
        "status": run.status,
        "trigger": run.trigger,
        "event_id": run.event_id,
        "event_name": event_name,
        "is_test": run.is_test,
        "is_simulated": run.is_simulated,
        "parent_run": run.parent_run,
        "error": run.error,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "is_dead": run.is_dead,
        "retried_by": again.get(run.id or 0, ()),
    }
