from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select, update

from storage import journal_writer, lease
from storage.database import Database
from storage.errors import StorageBusy, StorageError, StorageFull
from storage.journal import Fenced, SqliteJournal
from storage.journal_events import EventIdReused, TooManyRuns, store_events
from storage.journal_rows import EventSeed, RunSeed, RunWrite, StepWrite
from storage.tables import EventRow, RunRow, Setting, StepRow


class TwoFlows:
    """Every event named ``order`` starts two flows."""

    def __init__(self) -> None:
        self.refreshes = 0

    def refresh(self, cursor: sqlite3.Cursor) -> None:
        self.refreshes += 1

    def begin(self, cursor: sqlite3.Cursor) -> None: ...

    def held(self) -> dict[str, bool]:
        return {}

    def route(self, event: EventSeed) -> list[RunSeed]:
        return [RunSeed("a", 1, "start"), RunSeed("b", 2, "start")] if event.name == "order" else []


@pytest.fixture
def connections() -> list[sqlite3.Connection]:
    return []


@pytest.fixture
def database(
    tmp_path: Path, connections: list[sqlite3.Connection], new_database: Callable[[Path], Database]
) -> Database:
    database = new_database(tmp_path)
    event.listen(database.engine, "connect", lambda raw, _record: connections.append(raw))
    return database


@pytest.fixture
def router() -> TwoFlows:
    return TwoFlows()


@pytest.fixture
async def journal(database: Database, router: TwoFlows) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(database, router, lambda: time.time_ns() // 1000, queue_limit=1000)
    await journal.start(taken(database))
    yield journal
    await journal.stop()
    database.dispose()


def taken(database: Database) -> lease.Lease:
    with database.write() as session:
        return lease.take(session, datetime.now(UTC))


def seed(event_id: str, name: str = "order", digest: str | None = None) -> EventSeed:
    return EventSeed(event_id, name, {"n": 1}, '{"n":1}', digest, event_id, None, 0, ())


async def accept(journal: SqliteJournal, seed: EventSeed, claims: bool = True) -> list[int]:
    ((answer,),) = [await journal.accept([[seed]], claims=claims)]
    assert isinstance(answer, list)
    return [run.id for run in answer[0].runs]


def rows(database: Database, kind: type) -> list[object]:
    with database.read() as session:
        return list(session.exec(select(kind)).all())


@pytest.mark.parametrize(
    ("groups", "stored"),
    [
        ([1, 1, 1], [True, True, False]),
        ([3, 1], [None, True]),
        ([1, 2, 1], [True, False, True]),
    ],
    ids=["the last has to wait", "one that never fits", "a later one that fits"],
)
def test_one_commit_begins_only_so_many_runs(
    database: Database, router: TwoFlows, groups: list[int], stored: list[bool | None]
) -> None:
    numbers = itertools.count()
    request = [[seed(f"e{next(numbers)}", digest="d") for _ in range(count)] for count in groups]

    with database.writer.connect() as connection, connection.begin():
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        (answer,) = store_events(raw.cursor(), router, [(request, True)], 1, most=4)

    kept = [isinstance(each, list) for each in answer]
    for_good = [isinstance(each, TooManyRuns) and each.is_for_good for each in answer]
    assert kept == [bool(each) for each in stored]
    assert for_good == [each is None for each in stored]
    events = sum(count for count, is_stored in zip(groups, stored, strict=True) if is_stored)
    assert (len(rows(database, EventRow)), len(rows(database, RunRow))) == (events, 2 * events)


def test_one_event_is_stored_however_many_runs_it_starts(database: Database, router: TwoFlows) -> None:
    with database.writer.connect() as connection, connection.begin():
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        ((stored,),) = store_events(raw.cursor(), router, [([[seed("e1")]], True)], 1, most=1)

    assert isinstance(stored, list)
    assert len(rows(database, RunRow)) == 2


async def test_event_and_its_runs_are_there_when_accept_returns(journal: SqliteJournal, database: Database) -> None:
    ids = await accept(journal, seed("e1"))

    stored = rows(database, RunRow)
    assert [(run.id, run.flow_id, run.version, run.status, run.epoch, run.event_id) for run in stored] == [
        (ids[0], "a", 1, "running", 1, "e1"),
        (ids[1], "b", 2, "running", 1, "e1"),
    ]
    assert [(row.id, row.payload, row.path) for row in rows(database, EventRow)] == [("e1", {"n": 1}, [])]


async def test_the_same_id_twice_is_one_event_with_the_runs_of_the_first_time(
    journal: SqliteJournal, database: Database
) -> None:
    both = await journal.accept([[seed("e1", digest="x")], [seed("e1", digest="x")]], claims=True)
    later = await accept(journal, seed("e1", digest="x"))

    assert [answer[0].is_duplicate for answer in both if isinstance(answer, list)] == [False, True]
    assert later == [run.id for run in both[0][0].runs] == [run.id for run in both[1][0].runs]  # type: ignore[index]
    assert len(rows(database, EventRow)) == 1


async def test_an_id_with_another_body_is_refused_with_its_whole_group(
    journal: SqliteJournal, database: Database
) -> None:
    answers = await journal.accept(
        [[seed("e1", digest="x")], [seed("e2", digest="y"), seed("e1", digest="z")], [seed("e3")]], claims=True
    )

    assert isinstance(answers[1], EventIdReused)
    assert sorted(row.id for row in rows(database, EventRow)) == ["e1", "e3"]


async def test_ids_of_runs_are_never_used_twice(journal: SqliteJournal, database: Database) -> None:
    first = await accept(journal, seed("e1"))
    await journal.call(lambda session: session.execute(text("DELETE FROM run")) and None)

    assert min(await accept(journal, seed("e2"))) > max(first)


async def test_a_run_that_is_claimed_again_keeps_the_time_of_its_start(journal: SqliteJournal) -> None:
    run, _ = await accept(journal, seed("e1"), claims=False)

    (first,) = await journal.claim([run])
    (second,) = await journal.claim([run])

    assert (first.epoch, second.epoch) == (1, 2)
    assert first.started_us == second.started_us


async def test_writes_of_an_older_epoch_are_refused(journal: SqliteJournal, database: Database) -> None:
    run, _ = await accept(journal, seed("e1"))
    (state,) = await journal.claim([run])

    journal.put_soon(1, StepWrite(run, "late", "", 1, "succeeded"))
    with pytest.raises(Fenced):
        await journal.put(1, StepWrite(run, "late", "", 1, "succeeded"))
    with pytest.raises(Fenced):
        await journal.finish(1, RunWrite(run, "succeeded", None, None, 1))
    with pytest.raises(Fenced):
        await journal.transact(run, 1, lambda session: (None, StepWrite(run, "late", "", 1, "succeeded")))
    await journal.put(2, StepWrite(run, "good", "", 1, "succeeded"))

    assert state.epoch == 2
    assert [step.node for step in rows(database, StepRow)] == ["good"]


@pytest.mark.parametrize(("rows_of", "status"), [(1, "succeeded"), (2, "running")])
async def test_rows_of_another_epoch_do_not_decide_whether_a_run_may_end(
    journal: SqliteJournal, database: Database, rows_of: int, status: str
) -> None:
    run, _ = await accept(journal, seed("e1"))
    await journal.claim([run])

    journal.put_soon(rows_of, StepWrite(run, "step", "", 1, "succeeded"))
    end = journal.finish(3 - rows_of, RunWrite(run, "succeeded", None, None, 1))
    (refused,) = await asyncio.gather(end, return_exceptions=True)

    assert isinstance(refused, Fenced) == (rows_of == 2)
    assert [found.status for found in rows(database, RunRow) if found.id == run] == [status]


async def test_a_claim_brings_the_event_and_the_steps_so_far(journal: SqliteJournal) -> None:
    run, other = await accept(journal, seed("e1"), claims=False)
    await journal.claim([run])
    await journal.put(1, StepWrite(run, "start", "", 1, "succeeded", "out", None, '{"n":1}'))
    await journal.claim([other])
    await journal.finish(1, RunWrite(other, "succeeded", None, None, 1))

    (state,) = await journal.claim([run, other])

    assert (state.id, state.epoch, state.payload, state.event_id, state.root_id) == (run, 2, {"n": 1}, "e1", "e1")
    assert [(step.node, step.port, step.output) for step in state.steps] == [("start", "out", {"n": 1})]


async def test_a_later_row_of_a_step_keeps_the_input_of_the_first(journal: SqliteJournal, database: Database) -> None:
    run, _ = await accept(journal, seed("e1"))

    journal.put_soon(1, StepWrite(run, "call", "", 1, "running", input='{"url":"x"}'))
    await journal.put(1, StepWrite(run, "call", "", 1, "succeeded", "out", None, '{"status":200}'))

    (step,) = rows(database, StepRow)
    assert (step.status, step.input, step.output) == ("succeeded", {"url": "x"}, {"status": 200})


async def test_rows_of_many_kinds_end_as_the_last_of_each_step_says(journal: SqliteJournal, database: Database) -> None:
    run, _ = await accept(journal, seed("e1"))

    journal.put_soon(
        *(1, StepWrite(run, "plain", "", 1, "succeeded", "out", "{}", '{"n":1}')),
        StepWrite(run, "again", "", 1, "waiting", None, "{}", None, '{"code":"x"}'),
        StepWrite(run, "again", "", 2, "succeeded", "out", None, '{"n":2}'),
        StepWrite(run, "undone", "", 1, "succeeded", "out", None, '{"n":3}'),
        StepWrite(run, "undone", "", 2, "failed", None, None, None, '{"code":"y"}'),
    )
    end = RunWrite(run, "succeeded", None, None, 5)
    await journal.finish(
        1, end, [StepWrite(run, "last", "0", 1, "succeeded", "done", "{}", '{"n":4}', None, None, 3, 4)]
    )

    found = {step.node: step for step in rows(database, StepRow)}
    assert {name: step.status for name, step in found.items()} == {
        "plain": "succeeded", "again": "succeeded", "undone": "failed", "last": "succeeded",
    }  # fmt: skip
    assert (found["again"].attempt, found["again"].error, found["again"].output) == (2, None, {"n": 2})
    assert (found["undone"].output, found["undone"].error) == (None, {"code": "y"})
    assert (found["last"].iteration, found["last"].port, found["last"].output) == ("0", "done", {"n": 4})
    assert rows(database, RunRow)[0].status == "succeeded"


async def test_a_transaction_writes_its_effect_and_its_step_or_neither(
    journal: SqliteJournal, database: Database
) -> None:
    run, _ = await accept(journal, seed("e1"))

    def good(session: Session) -> tuple[str, StepWrite]:
        session.add(Setting(key="good", value={}))
        return "made", StepWrite(run, "good", "", 1, "succeeded")

    def bad(session: Session) -> tuple[str, StepWrite]:
        session.add(Setting(key="bad", value={}))
        session.flush()
        raise KeyError("no such thing")

    results = await asyncio.gather(
        journal.transact(run, 1, bad), journal.transact(run, 1, good), return_exceptions=True
    )

    assert [type(result) for result in results] == [KeyError, str]
    assert [setting.key for setting in rows(database, Setting)] == ["good"]
    assert [step.node for step in rows(database, StepRow)] == ["good"]


async def test_subscriptions_are_read_again_only_after_another_process_has_written(
    journal: SqliteJournal, router: TwoFlows, database: Database
) -> None:
    await accept(journal, seed("e1"))
    await accept(journal, seed("e2"))
    before = router.refreshes
    with database.write() as session:
        session.add(Setting(key="other", value={}))
    await accept(journal, seed("e3"))

    assert (before, router.refreshes) == (1, 2)


async def test_a_full_disk_refuses_events_and_keeps_steps_until_there_is_room(
    journal: SqliteJournal, database: Database, connections: list[sqlite3.Connection]
) -> None:
    run, _ = await accept(journal, seed("e1"))
    pages = await journal.call(lambda session: session.execute(text("PRAGMA page_count")).scalar_one())

    limit_pages(connections, pages)
    big = '{"text":"' + "x" * 100_000 + '"}'
    step = journal.put(1, StepWrite(run, "big", "", 1, "succeeded", "out", None, big))
    with pytest.raises(StorageFull):
        await journal.accept([[seed("more")]], claims=True)
    was_full, was_done = journal.is_full, step.done()
    limit_pages(connections, 1_000_000)
    await step
    await accept(journal, seed("again"))

    assert (was_full, was_done, journal.is_full) == (True, False, False)
    assert [row.node for row in rows(database, StepRow)] == ["big"]
    assert sorted(row.id for row in rows(database, EventRow)) == ["again", "e1"]


async def test_a_step_that_finds_no_room_for_its_rows_waits_for_it_with_the_others(
    journal: SqliteJournal, database: Database, connections: list[sqlite3.Connection]
) -> None:
    run, other = await accept(journal, seed("e1"))
    pages = await journal.call(lambda session: session.execute(text("PRAGMA page_count")).scalar_one())

    def add(session: Session) -> tuple[None, StepWrite]:
        session.add(Setting(key="large", value={"text": "x" * 100_000}))
        session.flush()  # SQLite ends the transaction of all of them here
        return None, StepWrite(run, "add", "", 1, "succeeded")

    limit_pages(connections, pages)
    added = journal.transact(run, 1, add)
    finished = journal.finish(1, RunWrite(other, "succeeded", None, None, 1), [StepWrite(other, "n", "", 1, "skipped")])
    with pytest.raises(StorageFull):
        await journal.accept([[seed("more")]], claims=True)
    were_done = added.done() or finished.done()
    limit_pages(connections, 1_000_000)
    await asyncio.gather(added, finished)

    assert not were_done
    assert sorted(row.node for row in rows(database, StepRow)) == ["add", "n"]
    assert [row.key for row in rows(database, Setting)] == ["large"]


def limit_pages(connections: list[sqlite3.Connection], pages: int) -> None:
    for connection in connections:
        connection.execute(f"PRAGMA max_page_count={pages}").fetchone()


async def test_a_lock_held_by_another_process_is_waited_for(journal: SqliteJournal, database: Database) -> None:
    with database.write() as session:
        session.add(Setting(key="slow", value={}))
        accepted = asyncio.create_task(accept(journal, seed("e1")))
        await asyncio.sleep(0.2)
        assert not accepted.done()

    assert len(await accepted) == 2


async def test_room_on_the_disk_is_noticed_although_nothing_waits_to_be_written(
    journal: SqliteJournal,
    database: Database,
    connections: list[sqlite3.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_writer, "PROBE_S", 0.02)
    large = seed("e1")._replace(payload_text='{"text":"' + "x" * 100_000 + '"}')
    pages = await journal.call(lambda session: session.execute(text("PRAGMA page_count")).scalar_one())

    limit_pages(connections, pages)
    with pytest.raises(StorageFull):
        await journal.accept([[large]], claims=True)
    was_full = journal.is_full
    limit_pages(connections, 1_000_000)
    async with asyncio.timeout(5):
        while journal.is_full:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)

    assert was_full


@pytest.mark.parametrize("by_whom", ["nobody's", "another run's"])
async def test_a_write_queued_behind_a_cancel_in_the_same_batch_is_refused(
    journal: SqliteJournal, database: Database, by_whom: str
) -> None:
    run, other = await accept(journal, seed("e1"))

    def cancel(session: Session) -> tuple[None, None]:
        session.execute(update(RunRow).where(col(RunRow.id) == run).values(epoch=RunRow.epoch + 1))
        return None, None

    is_run = by_whom == "another run's"
    cancelled = journal.transact(other, 1, cancel) if is_run else journal.call(cancel)
    late = journal.transact(run, 1, lambda session: (None, StepWrite(run, "late", "", 1, "succeeded")))

    with pytest.raises(Fenced):
        await late
    await cancelled
    assert rows(database, StepRow) == []


async def test_a_transaction_that_breaks_a_constraint_fails_alone(journal: SqliteJournal, database: Database) -> None:
    run, _ = await accept(journal, seed("e1"))

    def add(session: Session) -> tuple[None, StepWrite]:
        session.execute(text("INSERT INTO setting (key, value, updated_at) VALUES ('one', '{}', 0)"))
        return None, StepWrite(run, "add", "", 1, "succeeded")

    answers = await asyncio.gather(
        *(journal.transact(run, 1, add) for _ in range(3)), accept(journal, seed("e2")), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [type(None), IntegrityError, IntegrityError, list]
    assert (len(rows(database, Setting)), len(rows(database, StepRow)), len(rows(database, EventRow))) == (1, 1, 2)


async def test_a_step_that_ends_the_shared_transaction_does_not_undo_what_others_were_told(
    journal: SqliteJournal, database: Database
) -> None:
    def end_it(session: Session) -> None:  # as SQLite does by itself when its memory runs out
        session.connection().exec_driver_sql("ROLLBACK")

    accepted, ended = await asyncio.gather(accept(journal, seed("e1")), journal.call(end_it), return_exceptions=True)

    assert isinstance(ended, Exception)
    assert accepted == [run.id for run in rows(database, RunRow)]  # type: ignore[attr-defined]


async def test_everyone_who_waits_is_told_when_the_database_can_no_longer_be_written(journal: SqliteJournal) -> None:
    def damage(_session: Session) -> None:
        error = sqlite3.DatabaseError("malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    answers = [journal.call(damage), asyncio.ensure_future(accept(journal, seed("e1")))]
    async with asyncio.timeout(5):
        found = await asyncio.gather(*answers, return_exceptions=True)

    assert [type(each) for each in found] == [StorageError, StorageError]
    assert journal.broken.is_set()
    with pytest.raises(StorageError):
        await journal.barrier()


async def test_after_a_partial_failure_a_run_does_not_end_before_its_steps_are_there(
    journal: SqliteJournal, database: Database, connections: list[sqlite3.Connection]
) -> None:
    run, _ = await accept(journal, seed("e1"))
    pages = await journal.call(lambda session: session.execute(text("PRAGMA page_count")).scalar_one())

    limit_pages(connections, pages)
    unfit = journal.put(1, StepWrite(run, "unfit", "", 1, "succeeded", port=object()))  # type: ignore[arg-type]
    big = journal.put(1, StepWrite(run, "big", "", 1, "succeeded", "out", None, '"' + "x" * 100_000 + '"'))
    end = journal.finish(1, RunWrite(run, "succeeded", None, None, 1))
    with pytest.raises(sqlite3.Error):
        await unfit
    was_done, status = (big.done(), end.done()), rows(database, RunRow)[0].status  # type: ignore[attr-defined]
    limit_pages(connections, 1_000_000)
    await asyncio.gather(big, end)

    assert (was_done, status) == ((False, False), "running")
    assert [step.node for step in rows(database, StepRow)] == ["big"]  # type: ignore[attr-defined]


async def test_a_lock_held_longer_than_sqlite_waits_loses_nothing(
    journal: SqliteJournal, database: Database, connections: list[sqlite3.Connection]
) -> None:
    run, _ = await accept(journal, seed("e1"))
    for connection in connections:
        connection.execute("PRAGMA busy_timeout=20").fetchone()

    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    step = journal.put(1, StepWrite(run, "one", "", 1, "succeeded"))
    work = journal.transact(run, 1, lambda session: ("done", StepWrite(run, "two", "", 1, "succeeded")))
    refused = [await asyncio.gather(accept(journal, seed("e2")), return_exceptions=True) for _ in range(3)]
    was_done = step.done() or work.done()
    other.execute("ROLLBACK")
    other.close()

    assert [type(error) for (error,) in refused] == [StorageBusy] * 3
    assert (was_done, await step, await work) == (False, None, "done")
    assert len(await accept(journal, seed("e2"))) == 2
    assert [step.node for step in rows(database, StepRow)] == ["one", "two"]  # type: ignore[attr-defined]
