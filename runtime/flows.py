"""Flows: saving, publishing, exporting and importing them. Editing while drawing is in ``drafts``."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import func
from sqlmodel import Session, col, delete, select

from runtime import flow_queue, schedule_rows
from runtime.document import dump, dumps, new, parse
from runtime.drafts import flow_changed, flow_row, flow_too_large
from runtime.edits import apply
from runtime.errors import Conflict, Invalid, NotFound, Problem, TooLarge
from runtime.flow_ids import decode, free_id, has_id, name_in, renamed, slug, with_id
from runtime.flow_views import FlowChange, FlowSummary, FlowView, LastRun, LiveTrigger, PublishedVersion
from runtime.limits import DOCUMENT_BYTES
from runtime.live_flows import LiveFlows, has_unpublished_changes
from runtime.neighbourhood import Neighbourhood
from runtime.surroundings import Surroundings
from runtime.validation import check
from storage.tables import Flow, FlowEdit, FlowVersion, RunRow, Schedule, Subscription, Webhook

UNDRAWABLE = frozenset({"graph.cycle", "node.id_duplicate", "edge.dangling", "edge.duplicate"})
UNKNOWN_HERE = UNDRAWABLE | {"node.type_unknown"}


class Flows(LiveFlows):
    """Everything that can be done with flows. Raises ``runtime.errors``; a refused call changed nothing."""

    def list(self, state: str | None = None, search: str | None = None) -> list[FlowSummary]:
        """Return every flow, the one changed last first; *search* looks in names and ids."""
        newest_run = (
            select(func.max(RunRow.id))
            .where(RunRow.flow_id == Flow.id, col(RunRow.is_test).is_(False))
            .correlate(Flow)
            .scalar_subquery()
        )
        query = select(Flow, RunRow.id, RunRow.status, RunRow.created_at).outerjoin(
            RunRow, col(RunRow.id) == newest_run
        )
        if state:
            query = query.where(Flow.state == state)
        if search:
            query = query.where(
                col(Flow.name).icontains(search, autoescape=True) | col(Flow.id).icontains(search, autoescape=True)
            )
        around, near = self._around(), self._near()
        with self._database.read() as session:
            found = session.exec(query.order_by(col(Flow.updated_at).desc(), col(Flow.id))).all()
            due, queued = schedule_rows.next_by_flow(session), flow_queue.waiting_by_flow(session)
            return [
                replace(
                    self._summary(flow, around, near, None if run is None else LastRun(run, status, created_at)),
                    next_due_at=due.get(flow.id),
                    queued=queued.get(flow.id, 0),
                )
                for flow, run, status, created_at in found
            ]

    def live_triggers(self) -> builtins.list[LiveTrigger]:
        """Return what starts the live flows, in the order of their names."""
        query = select(Subscription.event, Subscription.match, Flow.id, Flow.name).join(
            Flow, col(Flow.id) == Subscription.flow_id
        )
        with self._database.read() as session:
            live = query.where(Flow.state == "published").order_by(Flow.name, Flow.id, Subscription.node)
            found = session.exec(live).all()
            return [LiveTrigger(event, dict(match), flow_id, name) for event, match, flow_id, name in found]

    def create(self, document: object = None, name: str | None = None) -> FlowView:
        """Return a new flow: of a document, or an empty one called *name*.

        A document without an id gets one from its name; Conflict when its id is taken.
        """
        if document is None:
            return self._add(lambda flow_id: dump(new(flow_id, name or "Untitled flow")), slug(name or "flow"))
        sound = self._sound(with_id(document, slug(name_in(document))))
        flow_id = sound["graph"]["id"]
        if not has_id(document):
            return self._add(lambda free: renamed(sound, free), flow_id)
        with self._database.write() as session:
            if session.get(Flow, flow_id) is not None:
                raise Conflict(
                    Problem("flow.id_taken", f"A flow with the id “{flow_id}” exists. Choose another id, or import it.")
                )
            self._insert(session, sound)
        return self.get(flow_id)

    def save(self, flow_id: str, document: object, *, if_match: int | None = None) -> FlowView:
        """Replace the draft; it may have problems of meaning, which the answer lists, but not of structure.

        Conflict when *if_match* is given and is not the revision that is kept.
        """
        sound = self._sound(with_id(document, flow_id))
        if sound["graph"]["id"] != flow_id:
            raise Invalid(
                Problem("flow.id_mismatch", f"The document says it is “{sound['graph']['id']}”, not “{flow_id}”.")
            )
        with self._order:
            with self._database.write() as session:
                flow = flow_row(session, flow_id)
                if if_match is not None and if_match != flow.revision:
                    raise Conflict(flow_changed(flow.name))
                before = flow.revision
                edited = apply(flow.draft, [{"op": "replace", "document": sound}], self._types)
                if edited.applied:
                    self._store(session, flow, edited.document)
                    self._remember(session, flow_id, edited.applied, edited.inverse)
                revision = flow.revision
            if revision != before:
                self._tell(FlowChange(flow_id, revision, None, None))
        return self.get(flow_id)

    def rename_node(self, flow_id: str, node_id: str, new_id: str) -> FlowView:
        """Give a node of the draft another id, in every expression that names it too; one change to undo.

        NotFound when there is no such node, Invalid when the new id is taken or none.
        """
        for _, problem in self.edit(flow_id, [{"op": "rename_node", "id": node_id, "to": new_id}]).refused:
            raise NotFound(problem) if problem.code == "node.unknown" else Invalid(problem)
        return self.get(flow_id)

    def delete(self, flow_id: str) -> None:
        """Delete a flow. Its runs stay, and those under way finish on the version that they started on.

        What waits because it is paused or limited is cancelled.
        """
        with self._order:
            revision = self._deleted(flow_id)
            while revision is None:
                revision = self._deleted(flow_id)
            self._checked.pop(flow_id, None)
            self._tell_live()
            self._tell(FlowChange(flow_id, revision, None, None))

    def export(self, flow_id: str) -> str:
        """Return the draft as the text of a file; the same draft always gives the same text."""
        with self._database.read() as session:
            draft = flow_row(session, flow_id).draft
        parsed, problems = parse(draft)
        if parsed is None:
            raise Invalid(*problems)
        return dumps(parsed)

    def import_(self, source: str | bytes | dict[str, Any]) -> FlowView:
        """Return a new draft flow made of an exported file. An id that is taken gets a number behind it.

        All or nothing: Invalid with every problem, of structure or of meaning, and nothing is kept.
        """
        given = source if isinstance(source, dict) else decode(source)
        sound = self._sound(with_id(given, slug(name_in(given))), refused=UNKNOWN_HERE)
        return self._add(lambda free: renamed(sound, free), sound["graph"]["id"])

    def duplicate(self, flow_id: str) -> FlowView:
        """Return a new draft with the same nodes, called “… (copy)”."""
        with self._database.read() as session:
            draft = flow_row(session, flow_id).draft
        copy = draft | {"graph": draft["graph"] | {"name": f"{draft['graph']['name']} (copy)"}}
        return self._add(lambda free: renamed(copy, free), f"{flow_id}-copy")

    def versions(self, flow_id: str) -> builtins.list[PublishedVersion]:
        """Return what was published, newest first."""
        with self._database.read() as session:
            live = flow_row(session, flow_id).published_version
            kept = select(FlowVersion.version, FlowVersion.created_at).where(FlowVersion.flow_id == flow_id)
            return [
                PublishedVersion(version, created_at, version == live)
                for version, created_at in session.exec(kept.order_by(col(FlowVersion.version).desc()))
            ]

    def version(self, flow_id: str, number: int) -> dict[str, Any]:
        """Return the document that was published as version *number*."""
        with self._database.read() as session:
            kept = session.get(FlowVersion, (flow_id, number))
            if kept is None:
                raise NotFound(Problem("flow.version_not_found", f"“{flow_id[:80]}” has no version {number}."))
            return kept.document

    def _sound(self, document: object, refused: Collection[str] = UNDRAWABLE) -> dict[str, Any]:
        parsed, problems = parse(document)
        if parsed is not None:
            problems = check(parsed, self._types, **self._around()._asdict())
        if parsed is None or any(problem.code in refused for problem in problems):
            raise Invalid(*problems)
        return dump(parsed)

    def _add(self, document_for: Callable[[str], dict[str, Any]], wanted: str) -> FlowView:
        with self._database.write() as session:
            flow_id = free_id(session, wanted)
            self._insert(session, document_for(flow_id))
        return self.get(flow_id)

    def _deleted(self, flow_id: str) -> int | None:
        """Delete the flow and return its last revision; None while there is more in its queue."""
        with self._database.write() as session:
            flow = flow_row(session, flow_id)
            is_waiting = flow_queue.has_rule(flow)
            if is_waiting and not flow_queue.discard(session, flow_id, flow_queue.DELETED, self._clock()):
                return None
            session.delete(flow)
            for table in (FlowEdit, Subscription, Schedule, Webhook):
                session.exec(delete(table).where(col(table.flow_id) == flow_id))
            return flow.revision + 1

    def _insert(self, session: Session, document: dict[str, Any]) -> None:
        graph, now = document["graph"], self._clock()
        if len(orjson.dumps(document)) > DOCUMENT_BYTES:
            raise TooLarge(flow_too_large())
        session.exec(delete(FlowEdit).where(col(FlowEdit.flow_id) == graph["id"]))
        session.add(Flow(id=graph["id"], name=graph["name"], draft=document, created_at=now, updated_at=now))

    def _summary(self, flow: Flow, around: Surroundings, near: Neighbourhood, last_run: LastRun | None) -> FlowSummary:
        checked = self._look_at(flow.id, flow.revision, flow.draft, around)
        problems = [*checked.problems, *(near.clashes_of(checked.links) if checked.links else ())]
        return FlowSummary(
            id=flow.id,
            name=flow.name,
            description=checked.description,
            state=flow.state,
            node_count=checked.node_count,
            trigger_types=checked.trigger_types,
            updated_at=flow.updated_at,
            published_version=flow.published_version,
            has_unpublished_changes=has_unpublished_changes(flow),
            problem_count=sum(problem.severity == "error" for problem in problems),
            last_run=last_run,
            notice=flow.notice,
        )
