"""One open page's copy of a draft: edits go to the service in order, changes made elsewhere come in."""

from __future__ import annotations

import asyncio
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

from editor.widgets import Refused
from runtime.errors import NotFound, Problem
from runtime.flow_views import EditResult, FlowChange, FlowView, ScheduleView

if TYPE_CHECKING:
    from runtime.service import Service

Json: TypeAlias = Any
Operations: TypeAlias = list[dict[str, Json]]


class Draft:
    """What a page knows about a flow. *on_change* is called in the page's loop whenever ``view`` was replaced."""

    def __init__(self, service: Service, view: FlowView, history: tuple[bool, bool]) -> None:
        self.flow_id = view.id
        self.view = view
        self.can_undo, self.can_redo = history
        self.origin = uuid4().hex
        self.renamed: dict[str, str] = {}  # former ids of nodes and those of now, while ``on_change`` is called
        self.in_flight = 0  # edits of this page that the service has not answered
        self.on_change: Callable[[], None] = _nothing
        self.on_standing: Callable[[], None] = _nothing  # the draft is as it was, but what runs wait for is not
        self.on_gone: Callable[[], None] = _nothing
        self.on_refused: Callable[[list[Problem]], None] = _ignore
        self._flows = service.flows
        self._order = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._is_stale = False
        self._stop: Callable[[], None] = _nothing

    @property
    def document(self) -> dict[str, Json]:
        """The draft as last read; treat as read-only."""
        return self.view.draft

    def node(self, node_id: str | None) -> dict[str, Json] | None:
        """Return a node of the draft."""
        return next((node for node in self.document["nodes"] if node["id"] == node_id), None)

    def problems_of(self, node_id: str) -> list[Problem]:
        """Return what is wrong with one node."""
        return [problem for problem in self.view.problems if problem.node == node_id]

    def listen(self) -> None:
        """Begin to follow changes that others make in this process."""
        self._stop = self._flows.on_change(self._heard)

    def close(self) -> None:
        """Stop following; that the flow is gone is no news any more."""
        self._stop()
        self.on_gone = _nothing

    def edit(self, operations: Operations, merge_key: str | None = None) -> Coroutine[Any, Any, None]:
        """Apply *operations* to the draft and read it again; what was refused is told to ``on_refused``.

        Await it, or start it as a task. From the call on the person is ahead of ``view``, and ``in_flight`` says so:
        a reading that is answered before the task has begun must not put the old value back into a field.
        """
        return self._begin(
            lambda: (
                self._flows.edit(self.flow_id, operations, merge_key=merge_key, origin=self.origin)
                if operations
                else None
            )
        )

    async def undo(self) -> None:
        """Take back the newest change."""
        await self._begin(lambda: self._flows.undo(self.flow_id, self.origin))

    async def redo(self) -> None:
        """Apply again what was taken back last."""
        await self._begin(lambda: self._flows.redo(self.flow_id, self.origin))

    async def act(self, action: Callable[[str], object]) -> bool:
        """Call *action* with the flow's id in a thread and read the flow again; the refusal is raised."""
        async with self._order:
            await to_thread(action, self.flow_id)
            await self._read()
        return True

    async def settled(self) -> None:
        """Wait until every edit that was begun is answered."""
        while self.in_flight:
            await asyncio.sleep(0)  # an edit in a task of its own gets into the queue
            async with self._order:
                pass

    async def look(self) -> None:
        """Read the flow again if another process changed it, or its runs wait."""
        try:
            found = await to_thread(self._flows.standing, self.flow_id)
        except NotFound:
            self.on_gone()
            return
        view = self.view
        if (found.revision, found.state) != (view.revision, view.state):
            await self.refresh()
        elif (found.notice, found.queued) != (view.notice, view.queued):
            self.view = replace(view, notice=found.notice, queued=found.queued)
            self.on_standing()

    async def schedules(self) -> tuple[ScheduleView, ...]:
        """Return the schedules of the live version as they are now."""
        try:
            return await to_thread(self._flows.schedules, self.flow_id)
        except NotFound:
            return ()

    async def refresh(self) -> None:
        """Read the draft again."""
        async with self._order:
            await self._read()

    def _begin(self, call: Callable[[], EditResult | None]) -> Coroutine[Any, Any, None]:
        self.in_flight += 1
        return self._change(call)

    async def _change(self, call: Callable[[], EditResult | None]) -> None:
        try:
            async with self._order:
                try:
                    result = await to_thread(call)
                finally:
                    self.in_flight -= 1
                self._note(result.applied if result else ())
                await self._read()
        except Refused as refusal:
            self.on_refused(list(getattr(refusal, "problems", [])) or [Problem("edit.refused", str(refusal))])
            return
        if result is not None and result.refused:
            self.on_refused([problem for _operation, problem in result.refused])

    async def _read(self) -> None:
        try:
            found = await to_thread(self._load)
        except NotFound:
            self.on_gone()
            return
        before = self.document
        self.view, (self.can_undo, self.can_redo) = found
        self.renamed = _new_ids(before, self.document) | self.renamed
        self.on_change()
        self.renamed = {}

    def _note(self, operations: Iterable[dict[str, Json]]) -> None:
        for operation in operations:
            if operation["op"] == "rename_node":
                was, now = operation["id"], operation["to"]
                self.renamed = {former: now if id_ == was else id_ for former, id_ in self.renamed.items()} | {was: now}

    def _load(self) -> tuple[FlowView, tuple[bool, bool]]:
        return self._flows.get(self.flow_id), self._flows.history_state(self.flow_id)

    def _heard(self, change: FlowChange) -> None:
        if change.flow_id == self.flow_id and change.origin != self.origin:
            self._loop.call_soon_threadsafe(self._poke, change.operations or ())

    def _poke(self, operations: Iterable[dict[str, Json]]) -> None:
        self._note(operations)
        if self._is_stale:
            return  # one reading is on its way already
        self._is_stale = True
        task = self._loop.create_task(self._catch_up())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _catch_up(self) -> None:
        self._is_stale = False
        await self.refresh()


def _new_ids(before: Mapping[str, Json], now: Mapping[str, Json]) -> dict[str, str]:
    """Return the nodes that are gone and those that stand in their place, with their type and name: by former id.

    Who changed the flow in another process, or as a whole, did not say that a node only has another id now.
    """
    gone, new = _ids(before) - _ids(now), _ids(now) - _ids(before)
    if not gone or not new:
        return {}
    former, present = _in_place(before, gone), _in_place(now, new)
    return {former[place]: present[place] for place in former.keys() & present.keys()}


def _ids(document: Mapping[str, Json]) -> set[str]:
    return {node["id"] for node in document["nodes"]}


def _in_place(document: Mapping[str, Json], ids: set[str]) -> dict[Json, str]:
    """Return the ids of these nodes by type, name and place."""
    places = document["layout"]
    nodes = (node for node in document["nodes"] if node["id"] in ids)
    return {(node["type"], node["name"], *places.get(node["id"], ())): node["id"] for node in nodes}


def _nothing() -> None: ...


def _ignore(_problems: list[Problem]) -> None: ...


Action: TypeAlias = Callable[[], Awaitable[None]]
