"""An engine on a database of its own, with node types whose calls the test sees and holds back."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from pydantic import Field
from sqlmodel import Session, select

from backend.datahub import Column, Datahub
from backend.events import Event
from backend.passwords import CHEAP, Passwords
from backend.secrets import SecretBox, load_or_create_key
from nodes import spec
from nodes.spec import Context, HttpResponse, NodeError, NodeType, Output, Params, Plan, TemporaryError, action
from runtime.engine import Engine, NewEvent
from runtime.platform import platform_of
from runtime.sealing import Seals
from runtime.settings import Settings
from storage.database import Database
from storage.tables import EventRow, Flow, FlowVersion, RunRow, StepRow, Subscription


class CallParams(Params):
    text: str = Field("", title="Text")
    number: int = Field(0, title="Number", ge=0, le=10)


class CallOutput(Output):
    text: str


class AnyOutput(Output):
    value: Any = None


@dataclass
class Calls:
    """What nodes were called with; *hold* keeps a call waiting, *fail* makes the next ones fail."""

    seen: list[tuple[str, str]] = field(default_factory=list)  # text, idempotency key
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    arrived: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    errors: dict[str, list[NodeError]] = field(default_factory=dict)

    def hold(self, text: str) -> None:
        self.held[text] = asyncio.Event()

    def release(self, text: str) -> None:
        self.held.pop(text).set()

    def fail(self, text: str, *errors: NodeError) -> None:
        self.errors[text] = list(errors)

    async def called(self, text: str, key: str) -> None:
        self.seen.append((text, key))
        self.arrived[text].set()
        if text in self.held:
            await self.held[text].wait()
        if self.errors.get(text):
            raise self.errors[text].pop(0)


def node_types(calls: Calls) -> dict[str, NodeType]:
    """Return the library and: ``call`` and ``call_once`` (send), ``echo`` (none), ``any`` (none, raw output)."""

    def plan(params: CallParams, ctx: Context) -> Plan:
        return Plan({"kind": "http", "text": params.text}, CallOutput(text="planned"))

    @action(title="Call", category="Test", effect="send", plan=plan)
    async def call(params: CallParams, ctx: Context) -> CallOutput:
        await calls.called(params.text, ctx.idempotency_key)
        return CallOutput(text=params.text)

    @action(title="Call once", category="Test", effect="send", plan=plan, is_repeatable=False)
    async def call_once(params: CallParams, ctx: Context) -> CallOutput:
        await calls.called(params.text, ctx.idempotency_key)
        return CallOutput(text=params.text)

    @action(title="Echo", category="Test")
    def echo(params: CallParams, ctx: Context) -> CallOutput:
        return CallOutput(text=params.text)

    @action(title="Odd", category="Test")
    def odd(params: CallParams, ctx: Context) -> AnyOutput:
        values: Mapping[str, Any] = {"large": "x" * 1_000_001, "object": object(), "infinite": float("inf")}
        if params.text == "bug":
            raise KeyError("secret value")
        return AnyOutput(value=values[params.text])

    return {**spec.load(), **{node.type: node for node in (call, call_once, echo, odd)}}


class NoHttp:
    def check(self, url: str, headers: Mapping[str, str]) -> None: ...

    async def request(self, method: str, url: str, **_: Any) -> HttpResponse:
        raise TemporaryError("there is no network in these tests")

    async def close(self) -> None: ...


class NoMail:
    def preview(self, **message: Any) -> dict[str, Any]:
        return message

    async def send(self, **message: Any) -> tuple[str, str]:
        raise TemporaryError("there is no mail in these tests")


@dataclass
class Clock:
    moment: datetime = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += timedelta(**by)


class Rig:
    """*flow* publishes, *emit* accepts, *run* waits and reads."""

    def __init__(self, directory: Path) -> None:
        self.database = Database(f"sqlite:///{directory}/pulsewire.db")
        self._connections: list[sqlite3.Connection] = []
        sqlalchemy.event.listen(self.database.engine, "connect", lambda raw, _: self._connections.append(raw))
        self.database.migrate()
        self.settings = Settings(data_dir=directory)
        self.calls = Calls()
        self.types = node_types(self.calls)
        self.clock = Clock()
        self.mailer: Any = NoMail()
        self.http: Any = NoHttp()
        self.seals = Seals(SecretBox(load_or_create_key(directory, None)))
        self.tables = Datahub(self.database, _drop)
        self.engine = self._new_engine()

    def _new_engine(self) -> Engine:
        platform = platform_of(
            *(self.database, self.settings, self.seals),
            mailer=self.mailer,
            http=self.http,
            passwords=Passwords(CHEAP),
            clock=self.clock,
        )
        self.platform = platform
        return Engine(self.database, self.settings, self.types, platform=platform, clock=self.clock)

    async def restart(self) -> None:
        """Stop the engine where it is, as a kill would, and start another one on the same database."""
        await self.engine.stop(grace_s=0)
        self.calls.arrived.clear()
        self.engine = self._new_engine()
        await self.engine.start()

    def limit_pages(self, pages: int | None = None) -> None:
        """Let the database grow no further than *pages*, or than it is now; like a disk that is full."""
        for connection in self._connections:
            limit = pages or connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={limit}").fetchone()

    def table(self, name: str, *columns: str) -> None:
        self.tables.create(name, [Column(column, "text") for column in columns])

    def flow(
        self,
        nodes: list[dict[str, Any]],
        edges: list[str],
        *,
        flow_id: str = "f",
        event: str = "go",
        match: dict[str, Any] | None = None,
        limits: dict[str, Any] | None = None,
    ) -> None:
        """Publish nodes and edges (``a.port>b``); a trigger ``start`` on *event* is there already."""
        self.publish(self.document(nodes, edges, flow_id=flow_id, event=event), match, limits)

    def publish(
        self, document: dict[str, Any], match: dict[str, Any] | None = None, limits: dict[str, Any] | None = None
    ) -> None:
        """Make *document* live, with *limits*; what starts it is its first node."""
        flow_id, start = document["graph"]["id"], document["nodes"][0]["params"]
        with self.database.write() as session:
            flow = Flow(id=flow_id, name=flow_id, state="published", draft=document, published_version=1)
            flow.limits = limits
            session.add(flow)
            session.add(FlowVersion(flow_id=flow_id, version=1, document=document))
            if "event" in start:
                listens = Subscription(
                    flow_id=flow_id, node="start", version=1, event=start["event"], match=match or {}
                )
                session.add(listens)

    def document(
        self, nodes: list[dict[str, Any]], edges: list[str], *, flow_id: str = "f", event: str = "go"
    ) -> dict[str, Any]:
        start = {"id": "start", "type": "event", "params": {"event": event}}
        if nodes and nodes[0]["id"] == "start":
            start, nodes = nodes[0], nodes[1:]
        return {
            "format": "pulsewire.flow/1",
            "directed": True,
            "multigraph": True,
            "graph": {"id": flow_id, "name": flow_id, "description": ""},
            "nodes": [{"params": {}, "name": node["id"].title(), **node} for node in (start, *nodes)],
            "edges": [_edge(text) for text in edges],
            "samples": [],
            "layout": {},
        }

    async def emit(self, payload: dict[str, Any] | None = None, name: str = "go") -> int:
        (accepted,) = await self.engine.accept([NewEvent(name, payload or {})])
        return accepted.runs[0]

    async def run(self, run_id: int, until: Callable[[RunRow], bool] | None = None) -> RunRow:
        """Return the run when it has ended, or when *until* is true of it."""
        if until is None:
            assert await self.engine.wait(run_id, 10)
            return self.read(run_id)
        async with asyncio.timeout(10):
            while not until(found := self.read(run_id)):  # noqa: ASYNC110 - rows are read, nothing tells of them
                await asyncio.sleep(0.01)
        return found

    async def done(self, payload: dict[str, Any] | None = None) -> tuple[RunRow, dict[str, StepRow]]:
        run = await self.run(await self.emit(payload))
        assert run.id is not None
        return run, self.steps(run.id)

    def read(self, run_id: int) -> RunRow:
        with self.database.read() as session:
            return session.get_one(RunRow, run_id)

    def steps(self, run_id: int) -> dict[str, StepRow]:
        with self.database.read() as session:
            return {step.node: step for step in session.exec(select(StepRow).where(StepRow.run_id == run_id))}

    def event(self, run: RunRow) -> dict[str, Any]:
        """Return the payload of what started a run."""
        with self.database.read() as session:
            return session.get_one(EventRow, run.event_id).payload

    def runs(self) -> list[RunRow]:
        with self.database.read() as session:
            return list(session.exec(select(RunRow).order_by(RunRow.id)))  # type: ignore[arg-type]


def _edge(text: str) -> dict[str, str]:
    source, target = text.split(">")
    source, _, port = source.partition(".")
    return {"source": source, "target": target, "key": port or "out"}


def _drop(_session: Session, _event: Event) -> None: ...


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.engine.start()
    yield rig
    await rig.engine.stop(grace_s=0)
    rig.database.dispose()
