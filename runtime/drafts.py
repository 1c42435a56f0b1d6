"""Drafts while people draw: operations on them, undo and redo kept in the database, and listeners."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlmodel import Session, col, delete, select

from nodes.spec import NodeType
from runtime import edits
from runtime.document import dump, parse
from runtime.errors import Conflict, Invalid, NotFound, Problem, TooLarge
from runtime.flow_links import FlowLinks, links_of
from runtime.flow_views import EditResult, FlowChange
from runtime.limits import DOCUMENT_BYTES
from runtime.neighbourhood import Neighbourhood
from runtime.neighbours import Neighbours
from runtime.surroundings import Surroundings, surroundings
from runtime.validation import check
from storage.database import Database
from storage.tables import Flow, FlowEdit

HISTORY_EDITS = 200  # kept per flow
MERGE_S = 5  # a change with the merge key of the one before joins it within this time

Clock = Callable[[], datetime]
Listener = Callable[[FlowChange], None]


def utcnow() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Checked:
    """What was found out about one revision of a draft, in the surroundings of that moment."""

    revision: int
    around: Surroundings
    problems: tuple[Problem, ...]
    links: FlowLinks | None  # None when the structure is unsound
    description: str
    node_count: int
    trigger_types: tuple[str, ...]


class Drafts:
    """The drafts of all flows. Safe to call from several threads; each change is one transaction."""

    def __init__(
        self,
        database: Database,
        types: Mapping[str, NodeType],
        *,
        clock: Clock = utcnow,
        environment: frozenset[str] | None = None,
    ) -> None:
        self._database = database
        self._types = types
        self._clock = clock
        self._environment = environment
        self._order = threading.RLock()  # listeners hear of changes in the order of revisions
        self._listeners: list[Listener] = []
        self._live_listeners: list[Callable[[], None]] = []
        self._checked: dict[str, Checked] = {}
        self._neighbours = Neighbours(types)

    def edit(
        self,
        flow_id: str,
        operations: list[dict[str, Any]],
        *,
        base_revision: int | None = None,
        merge_key: str | None = None,
        origin: str | None = None,
    ) -> EditResult:
        """Apply *operations* to the draft and remember how to undo them.

        Operations of others since *base_revision* stay: each operation is applied to the draft as it is now.
        Changes that follow each other quickly with one *merge_key* are undone as one.
        """

        def change(session: Session, flow: Flow) -> edits.Edited:
            if base_revision is not None and base_revision > flow.revision:
                raise Conflict(flow_changed(flow.name))
            edited = edits.apply(flow.draft, operations, self._types)
            if edited.applied:
                self._store(session, flow, edited.document)
                self._remember(session, flow.id, edited.applied, edited.inverse, merge_key)
            return edited

        return self._change(flow_id, change, origin)

    def undo(self, flow_id: str, origin: str | None = None) -> EditResult:
        """Take back the newest change of the draft, whoever made it; nothing applied when there is none."""
        return self._travel(flow_id, origin, is_undo=True)

    def redo(self, flow_id: str, origin: str | None = None) -> EditResult:
        """Apply the change that was undone last; nothing applied when there is none."""
        return self._travel(flow_id, origin, is_undo=False)

    def history_state(self, flow_id: str) -> tuple[bool, bool]:
        """Return whether there is something to undo, and something to redo."""
        with self._database.read() as session:
            return (
                _neighbour(session, flow_id, is_undo=True) is not None,
                _neighbour(session, flow_id, is_undo=False) is not None,
            )

    def revision(self, flow_id: str) -> int:
        """Return the draft's revision alone, to notice changes made by other processes."""
        with self._database.read() as session:
            found = session.exec(select(Flow.revision).where(Flow.id == flow_id)).first()
        if found is None:
            raise NotFound(unknown_flow(flow_id))
        return found

    def on_change(self, listener: Listener) -> Callable[[], None]:
        """Call *listener* after each change made in this process, in the thread of the change; return what stops it."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def on_live(self, listener: Callable[[], None]) -> None:
        """Call *listener* after each change made in this process of what is live, in the thread of the change."""
        self._live_listeners.append(listener)

    def check(self, document: dict[str, Any]) -> list[Problem]:
        """Return every problem of a document, of its structure or, when that is sound, of its meaning."""
        parsed, problems = parse(document)
        if parsed is None:
            return problems
        problems = check(parsed, self._types, **self._around()._asdict())
        return [*problems, *self._near().problems_of(links_of(dump(parsed), self._types))]

    def _travel(self, flow_id: str, origin: str | None, *, is_undo: bool) -> EditResult:
        def change(session: Session, flow: Flow) -> edits.Edited:
            edit = _neighbour(session, flow_id, is_undo=is_undo)
            edited = edits.apply(
                flow.draft, [] if edit is None else edit.inverse if is_undo else edit.operations, self._types
            )
            if edit is not None:
                edit.is_undone = is_undo
                session.add(edit)
            if edited.applied:
                self._store(session, flow, edited.document)
            return edited

        return self._change(flow_id, change, origin)

    def _change(self, flow_id: str, change: Callable[[Session, Flow], edits.Edited], origin: str | None) -> EditResult:
        with self._order:
            with self._database.write() as session:
                flow = flow_row(session, flow_id)
                before = flow.revision
                edited = change(session, flow)
                revision, document = flow.revision, flow.draft
            if revision != before:
                self._tell(FlowChange(flow_id, revision, edited.applied, origin))
        problems = self._problems(flow_id, revision, document, self._around(), self._near())
        return EditResult(revision, edited.applied, edited.refused, list(problems))

    def _store(self, session: Session, flow: Flow, document: dict[str, Any]) -> None:
        if len(orjson.dumps(document)) > DOCUMENT_BYTES:
            raise TooLarge(flow_too_large())
        parsed, problems = parse(document)
        if parsed is None:
            raise Invalid(*problems)
        flow.draft = document
        flow.name = parsed.graph.name
        flow.revision += 1
        flow.updated_at = self._clock()
        session.add(flow)

    def _remember(
        self,
        session: Session,
        flow_id: str,
        operations: list[dict[str, Any]],
        inverse: list[dict[str, Any]],
        merge_key: str | None = None,
    ) -> None:
        now = self._clock()
        session.exec(delete(FlowEdit).where(col(FlowEdit.flow_id) == flow_id, col(FlowEdit.is_undone)))
        last = _neighbour(session, flow_id, is_undo=True)
        if last and merge_key and last.merge_key == merge_key and now - last.edited_at < timedelta(seconds=MERGE_S):
            if _shape(last.operations) == _shape(operations):
                last.operations = operations
            else:
                last.operations, last.inverse = last.operations + operations, inverse + last.inverse
            last.edited_at = now
            session.add(last)
            return
        session.add(
            FlowEdit(flow_id=flow_id, operations=operations, inverse=inverse, merge_key=merge_key, edited_at=now)
        )
        newest = select(FlowEdit.id).where(FlowEdit.flow_id == flow_id).order_by(col(FlowEdit.id).desc())
        oldest_kept = session.exec(newest.offset(HISTORY_EDITS - 1).limit(1)).first()
        if oldest_kept is not None:
            session.exec(delete(FlowEdit).where(col(FlowEdit.flow_id) == flow_id, col(FlowEdit.id) < oldest_kept))

    def _tell(self, change: FlowChange) -> None:
        for listener in tuple(self._listeners):
            listener(change)

    def _tell_live(self) -> None:
        for listener in self._live_listeners:
            listener()

    def _around(self) -> Surroundings:
        with self._database.read() as session:
            return surroundings(session, self._environment)

    def _near(self) -> Neighbourhood:
        with self._database.read() as session:
            return self._neighbours.at(session)

    def _problems(
        self, flow_id: str, revision: int, document: dict[str, Any], around: Surroundings, near: Neighbourhood
    ) -> tuple[Problem, ...]:
        """Return what is wrong with the draft, by itself and between it and the flows *near* it."""
        found = self._look_at(flow_id, revision, document, around)
        return (*found.problems, *(near.problems_of(found.links) if found.links else ()))

    def _look_at(self, flow_id: str, revision: int, document: dict[str, Any], around: Surroundings) -> Checked:
        known = self._checked.get(flow_id)
        if known and known.revision == revision and known.around == around:
            return known
        parsed, problems = parse(document)
        if parsed is not None:
            problems = check(parsed, self._types, **around._asdict())
        nodes = document.get("nodes", [])
        found = Checked(
            revision,
            around,
            tuple(problems),
            None if parsed is None else links_of(document, self._types),
            document.get("graph", {}).get("description", ""),
            len(nodes),
            tuple(dict.fromkeys(node["type"] for node in nodes if self._is_trigger(node["type"]))),
        )
        self._checked[flow_id] = found
        return found

    def _is_trigger(self, type_name: str) -> bool:
        return type_name in self._types and self._types[type_name].kind == "trigger"


def flow_row(session: Session, flow_id: str) -> Flow:
    flow = session.get(Flow, flow_id)
    if flow is None:
        raise NotFound(unknown_flow(flow_id))
    return flow


def _neighbour(session: Session, flow_id: str, *, is_undo: bool) -> FlowEdit | None:
    edits_of_flow = select(FlowEdit).where(FlowEdit.flow_id == flow_id, col(FlowEdit.is_undone).is_(not is_undo))
    order = col(FlowEdit.id).desc() if is_undo else col(FlowEdit.id).asc()
    return session.exec(edits_of_flow.order_by(order).limit(1)).first()


def _shape(operations: list[dict[str, Any]]) -> object:
    """Return what *operations* touch, without the values: of two with one shape, the later says it all."""
    shapes = []
    for operation in operations:
        if operation.get("op") not in ("move", "patch_node", "patch_flow"):
            return object()
        touched = {k: v for k, v in operation.items() if k not in ("at", "set")}
        for key in ("at", "set"):
            values = operation.get(key) or {}
            touched[key] = sorted(values)
            if isinstance(values, dict) and isinstance(values.get("param"), dict):
                touched["param"] = sorted(values["param"])
        if "param" in operation:
            touched["param"] = sorted(operation["param"])
        shapes.append(touched)
    return shapes


def unknown_flow(flow_id: str) -> Problem:
    return Problem("flow.not_found", f"There is no flow “{flow_id[:80]}”.")


def flow_changed(name: str) -> Problem:
    return Problem(
        "flow.changed",
        f"“{name}” was changed by someone else since you read it, and nothing was saved. "
        "Load it again and repeat your change.",
    )


def flow_too_large() -> Problem:
    return Problem("flow.too_large", f"The flow is larger than {DOCUMENT_BYTES:,} bytes. Divide it into several flows.")
