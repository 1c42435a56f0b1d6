"""What becomes of the runs of an event: the writer and sessions decide alike, within limits, and loops are stopped."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from runtime import limits, outbox
from runtime.chains import Chains
from runtime.outbox import NewEvent, Subscriptions
from runtime.rules import Rule, read_rules
from storage.database import Database
from storage.journal_events import store_events
from storage.tables import EventRow, Flow, FlowVersion, RunRow, Subscription

TABLES = (Flow, FlowVersion, Subscription, EventRow, RunRow)
Row = tuple[Any, ...]


@dataclass
class Clock:
    now_us: int = 1_000_000_000

    def __call__(self) -> int:
        return self.now_us


@dataclass
class World:
    """A database into which events come by one of the two ways."""

    database: Database
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.chains = Chains(self.clock)
        self.router = Subscriptions(self.chains)

    def flow(self, flow_id: str, state: str = "published", **settings: Any) -> None:
        with self.database.write() as session:
            draft = {"nodes": [], "edges": []}
            session.add(Flow(id=flow_id, name=flow_id, state=state, draft=draft, limits=settings or None))
            session.add(Subscription(flow_id=flow_id, node="start", version=1, event="go", match={}))

    def set_state(self, flow_id: str, state: str) -> None:
        with self.database.write() as session:
            session.get_one(Flow, flow_id).state = state

    def record(self, *events: NewEvent) -> list[int]:
        """Bring events in a session, as a step does."""
        with self.database.write() as session:
            found = [outbox.record(session, e.name, e.payload, causality=e, chains=self.chains)[1] for e in events]
        return [run_id for ids in found for run_id in ids]

    def store(self, *events: NewEvent, claims: bool = True) -> None:
        """Bring events as the journal's writer does."""
        with self._cursor() as cursor:
            self.router.refresh(cursor)
            self.router.begin(cursor)
            store_events(cursor, self.router, [([[outbox.seed(event) for event in events]], claims)], self.clock())

    def _cursor(self) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def opened() -> Iterator[sqlite3.Cursor]:
            with self.database.writer.connect() as connection, connection.begin():
                raw = connection.connection.driver_connection
                assert isinstance(raw, sqlite3.Connection)
                yield raw.cursor()

        return opened()

    def runs(self) -> list[Row]:
        with self.database.read() as session:
            return [
                (run.flow_id, run.status, run.error and run.error["code"])
                for run in session.exec(select(RunRow).order_by(RunRow.id))  # type: ignore[arg-type]
            ]

    def flows(self) -> list[Row]:
        with self.database.read() as session:
            flows = session.exec(select(Flow).order_by(Flow.id)).all()
            return [(flow.id, flow.state, flow.notice and flow.notice["code"]) for flow in flows]

    def clear(self) -> None:
        with self.database.write() as session:
            for table in TABLES:
                session.connection().exec_driver_sql(f"DELETE FROM {table.__tablename__}")
        self.__post_init__()


def caused(*path: str, root: str = "r") -> NewEvent:
    return NewEvent("go", {}, root_id=root, depth=len(path), path=path)


@pytest.fixture
def world(tmp_path: Path, new_database: Callable[[Path], Database]) -> Iterator[World]:
    database = new_database(tmp_path / "one")
    yield World(database)
    database.dispose()


@pytest.fixture(params=["record", "store"])
def bring(request: pytest.FixtureRequest, world: World) -> Callable[..., Any]:
    """Brings events into ``world``, by each of the two ways."""
    return world.record if request.param == "record" else world.store


def test_runs_of_paused_and_limited_flows_are_queued_and_others_begin(world: World) -> None:
    world.flow("free")
    world.flow("limited", runs_at_once=1)
    world.flow("paused", "paused")
    world.flow("kept", keep_days=3)

    world.store(NewEvent("go", {}))

    with world.database.read() as session:
        found = {run.flow_id: (run.status, run.epoch) for run in session.exec(select(RunRow))}
    assert found == {"free": ("running", 1), "limited": ("queued", 0), "paused": ("queued", 0), "kept": ("running", 1)}


def test_only_what_limits_starts_makes_a_rule(world: World) -> None:
    world.flow("free")
    world.flow("kept", keep_days=3, timeout_s=5)
    world.flow("keyed", "paused", key="$param.id", runs_at_once_per_key=2, rate_runs=5, rate_s=10)

    with world._cursor() as cursor:
        rules = read_rules(cursor)

    assert rules == {"keyed": Rule(True, None, "$param.id", 2, 5, 10)}


def test_limits_that_this_version_cannot_read_stop_nothing(world: World) -> None:
    world.flow("newer", runs_at_once="many", colour="red")

    world.store(NewEvent("go", {}))

    assert world.runs() == [("newer", "running", None)]


def test_a_full_queue_refuses_the_next_run_and_says_so(
    world: World, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELD_RUNS", 3)
    world.flow("paused", "paused")
    world.flow("free")

    bring(*(NewEvent("go", {}) for _ in range(2)))
    bring(*(NewEvent("go", {}) for _ in range(2)))

    assert [run[1:] for run in world.runs() if run[0] == "paused"] == [
        *[("queued", None)] * 3,
        ("failed", "flow.queue_full"),
    ]
    assert all(run[2] is None for run in world.runs() if run[0] == "free")


def test_a_place_in_the_queue_that_came_free_is_found(
    world: World, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HELD_RUNS", 2)
    world.flow("paused", "paused")
    bring(*(NewEvent("go", {}) for _ in range(3)))
    with world.database.write() as session:
        session.exec(select(RunRow)).first().status = "cancelled"  # type: ignore[union-attr]

    bring(NewEvent("go", {}))

    assert [run[2] for run in world.runs()] == [None, None, "flow.queue_full", None]


def test_a_flow_that_other_runs_start_too_often_is_paused_keeps_its_queue_and_says_why(
    world: World, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BREAKER_RUNS", 4)
    world.flow("loop")

    for n in range(6):
        bring(caused("other", root=f"r{n}"))

    assert world.flows() == [("loop", "paused", "flow.too_often")]
    with world.database.read() as session:
        (notice,) = session.exec(select(Flow.notice)).all()
        waiting = [run.status for run in session.exec(select(RunRow)) if run.status == "queued"]
    assert notice is not None
    assert "started this flow 4 times within 60 s" in notice["message"]
    assert "resume it" in notice["message"]
    assert len(world.runs()) == 6
    assert all(run[2] is None for run in world.runs())
    assert len(waiting) >= 2


def test_starts_that_lie_apart_do_not_pause_a_flow(
    world: World, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BREAKER_RUNS", 4)
    world.flow("busy")

    for n in range(12):
        world.clock.now_us += 20_000_000
        bring(caused("other", root=f"r{n}"))

    assert world.flows() == [("busy", "published", None)]


def test_events_that_no_run_has_caused_never_pause_a_flow(
    world: World, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BREAKER_RUNS", 4)
    world.flow("busy")

    bring(*(NewEvent("go", {}) for _ in range(20)))

    assert world.flows() == [("busy", "published", None)]


def test_a_resumed_flow_may_be_started_as_often_again(
    world: World, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BREAKER_RUNS", 4)
    world.flow("loop")
    bring(*(caused("other", root=f"r{n}") for n in range(6)))
    world.set_state("loop", "published")

    bring(*(caused("other", root=f"s{n}") for n in range(4)))
    before = world.flows()
    bring(caused("other", root="t"))

    assert before[0][1] == "published"
    assert world.flows()[0][1] == "paused"


def test_what_a_cause_leads_to_beyond_the_events_of_its_own_runs_ends(
    world: World, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ROOT_RUNS", 3)
    world.flow("b")

    bring(*(caused("a") for _ in range(10)))
    bring(*(caused("a", "c") for _ in range(5)))
    bring(*(caused("a", "c", root="another") for _ in range(3)))

    assert [run[2] for run in world.runs()] == [None] * 13 + ["event.loop"] * 2 + [None] * 3


def test_a_budget_that_was_spent_before_a_restart_stays_spent(
    world: World, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ROOT_RUNS", 3)
    world.flow("b")
    bring(*(caused("a", "c") for _ in range(2)))

    world.__post_init__()
    again = world.record if bring == world.record else world.store
    again(*(caused("a", "c") for _ in range(2)))

    assert [run[2] for run in world.runs()] == [None, None, None, "event.loop"]


def test_a_chain_that_is_stopped_is_told_on_the_flow_and_the_flow_stays_live(
    world: World, bring: Callable[..., Any]
) -> None:
    world.flow("self")

    bring(caused("self", "self", "self"))

    assert world.runs() == [("self", "failed", "event.loop")]
    assert world.flows() == [("self", "published", "event.loop")]


def test_a_flow_whose_chains_are_stopped_again_and_again_is_paused(
    world: World, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOOP_STOPS", 3)
    world.flow("self")
    world.flow("other")

    for n in range(3):
        bring(caused("self", "self", "self", root=f"r{n}"))

    assert world.flows() == [("other", "published", None), ("self", "paused", "flow.loop")]


def test_a_transaction_that_is_undone_pauses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BREAKER_RUNS", 1)
    world.flow("loop")

    def undone() -> None:
        with world.database.write() as session:
            for n in range(3):
                outbox.record(session, "go", {}, causality=caused("other", root=f"r{n}"), chains=world.chains)
            raise KeyError

    with pytest.raises(KeyError):
        undone()
    world.store(NewEvent("go", {}))

    assert world.flows() == [("loop", "published", None)]
    assert world.runs() == [("loop", "running", None)]


FLOWS = ("a", "b", "c")
STATES = st.sampled_from([("published", {}), ("paused", {}), ("published", {"runs_at_once": 1})])
PATHS = st.lists(st.sampled_from(FLOWS), max_size=5).map(tuple)
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("events"), st.lists(st.tuples(PATHS, st.sampled_from(["r", "s"])), min_size=1, max_size=5)),
        st.tuples(st.just("wait"), st.integers(1, 40)),
        st.tuples(st.sampled_from(["pause", "resume"]), st.sampled_from(FLOWS)),
    ),
    max_size=14,
)


@pytest.fixture(scope="module")
def both(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, World]]:
    from shutil import copyfile

    folder = tmp_path_factory.mktemp("both")
    databases = []
    for name in ("one", "two"):
        copyfile(migrated, folder / f"{name}.db")
        databases.append(Database(f"sqlite:///{folder / name}.db"))
    yield World(databases[0]), World(databases[1])
    for database in databases:
        database.dispose()


@settings(deadline=None, max_examples=60)
@given(states=st.tuples(STATES, STATES, STATES), moves=MOVES, at_once=st.booleans())
def test_the_writer_and_sessions_decide_alike(
    both: tuple[World, World], states: tuple[Any, ...], moves: list[tuple[str, Any]], at_once: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        most = 1_000 if at_once else 4  # a flow that is paused within a batch has not counted the batch
        for name, value in {"BREAKER_RUNS": 5, "ROOT_RUNS": 4, "HELD_RUNS": most, "LOOP_STOPS": 3}.items():
            patch.setattr(limits, name, value)
        for world in both:
            world.clear()
            for flow_id, (state, rules) in zip(FLOWS, states, strict=True):
                world.flow(flow_id, state, **rules)
        for move, what in moves:
            for world in both:
                if move == "events":
                    events = [caused(*path, root=root) for path, root in what]
                    if world is both[0]:
                        world.record(*events)
                    else:
                        for batch in [events] if at_once else [[event] for event in events]:
                            world.store(*batch, claims=False)
                elif move == "wait":
                    world.clock.now_us += what * 1_000_000
                else:
                    world.set_state(what, "paused" if move == "pause" else "published")
        assert both[0].runs() == both[1].runs()
        assert both[0].flows() == both[1].flows()
