from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage import lease
from storage.database import Database
from storage.errors import StorageError
from storage.journal import SqliteJournal
from storage.journal_rows import EventSeed, RunSeed
from storage.tables import EngineLease, Setting

NOW = datetime(2026, 5, 4, tzinfo=UTC)


class NoFlows:
    def refresh(self, cursor: object) -> None: ...

    def begin(self, cursor: object) -> None: ...

    def held(self) -> dict[str, bool]:
        return {}

    def route(self, event: EventSeed) -> list[RunSeed]:
        return []


@pytest.fixture
def database(tmp_path: Path, new_database: Callable[[Path], Database]) -> Iterator[Database]:
    database = new_database(tmp_path)
    yield database
    database.dispose()


def journal_on(database: Database) -> SqliteJournal:
    return SqliteJournal(database, NoFlows(), lambda: time.time_ns() // 1000, queue_limit=1000)


def take(database: Database, over: lease.Standing | None = None) -> lease.Lease:
    with database.write() as session:
        return lease.take(session, NOW, over)


def settings_in(database: Database) -> list[str]:
    with database.read() as session:
        return [row[0] for row in session.connection().exec_driver_sql("SELECT key FROM setting").all()]


def test_every_owner_raises_the_epoch(database: Database) -> None:
    assert [take(database).epoch for _ in range(3)] == [1, 2, 3]


async def test_a_journal_whose_lease_another_took_commits_nothing_more(database: Database) -> None:
    journal = journal_on(database)
    await journal.start(take(database))
    await journal.call(lambda session: session.add(Setting(key="before", value={})))

    take(database)
    with pytest.raises(StorageError):
        await journal.call(lambda session: session.add(Setting(key="after", value={})))

    assert journal.broken.is_set()
    assert settings_in(database) == ["before"]
    await journal.stop()


async def test_a_journal_that_has_nothing_to_write_renews_its_lease_and_sees_that_it_is_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.02)
    journal = journal_on(database)
    await journal.start(take(database))

    seen = {lease.standing(database)}
    async with asyncio.timeout(5):
        while len(seen) < 3:
            await asyncio.sleep(0.01)
            seen.add(lease.standing(database))
        take(database)
        await journal.broken.wait()

    await journal.stop()


def test_a_lease_that_was_renewed_meanwhile_is_not_taken_over(database: Database) -> None:
    take(database)
    seen = lease.standing(database)
    with database.write() as session:
        session.get_one(EngineLease, lease.ENGINE).beat_at = NOW + timedelta(seconds=1)

    with pytest.raises(lease.LeaseHeld):
        take(database, seen)

    assert take(database, lease.standing(database)).epoch == 2


def test_only_an_owner_that_did_not_say_goodbye_was_cut_off(database: Database) -> None:
    first = take(database)
    second = take(database)
    with database.write() as session:
        lease.end(session, second)
    third = take(database)

    assert [each.was_cut_off for each in (first, second, third)] == [False, True, False]


def test_an_owner_that_lost_its_lease_says_no_goodbye_for_another(database: Database) -> None:
    first = take(database)
    take(database)
    with database.write() as session:
        lease.end(session, first)

    assert take(database).was_cut_off


def test_a_machine_that_was_started_again_explains_why_an_owner_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    take(database)
    (tmp_path / "boot_id").write_text("0f0f0f0f-another-boot")
    monkeypatch.setattr(lease, "BOOT_ID", tmp_path / "boot_id")

    assert not take(database).was_cut_off
