from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime import engine_lock, engine_turn
from runtime.engine_turn import Turn, await_turn
from storage import lease
from storage.database import Database
from storage.tables import EngineLease


@pytest.fixture
def database(tmp_path: Path, new_database: Callable[[Path], Database], monkeypatch) -> Iterator[Database]:
    monkeypatch.setattr(engine_turn, "WAIT_S", 0.1)
    monkeypatch.setattr(lease, "LEASE_S", 0.4)
    database = new_database(tmp_path)
    yield database
    database.dispose()


@pytest.fixture
def held(database: Database) -> Iterator[int]:
    descriptor = engine_lock.take(database.path)
    assert descriptor is not None
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def beats(database: Database) -> Iterator[threading.Event]:
    """Renew the lease, as an engine does that is at work."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.03):
            with database.write() as session:
                session.get_one(EngineLease, lease.ENGINE).beat_at = datetime.now(UTC)

    owned(database)
    thread = threading.Thread(target=beat)
    thread.start()
    yield over
    over.set()
    thread.join()


def owned(database: Database) -> None:
    with database.write() as session:
        lease.take(session, datetime.now(UTC))


def test_who_gets_the_lock_begins_at_once_whatever_the_lease_says(database: Database) -> None:
    owned(database)

    turn = await_turn(database)

    assert turn is not None
    assert turn.lock is not None
    assert turn.over is None
    os.close(turn.lock)


def test_beside_an_engine_that_renews_its_lease_there_is_no_turn(database: Database, held: int, beats) -> None:
    assert await_turn(database) is None
    assert engine_turn.is_taken(database)


def test_an_engine_that_was_never_seen_with_a_lease_is_not_replaced(database: Database, held: int) -> None:
    assert await_turn(database) is None


def test_an_engine_that_does_not_renew_its_lease_may_be_replaced(database: Database, held: int) -> None:
    owned(database)

    assert await_turn(database) == Turn(None, lease.standing(database))
    assert not engine_turn.is_taken(database)


def test_the_lock_is_the_new_owners_even_while_the_stopped_one_keeps_its_own(database: Database, held: int) -> None:
    fresh = engine_lock.replace(database.path)

    is_held = engine_lock.is_held(database.path)
    os.close(fresh)

    assert is_held
    assert not engine_lock.is_held(database.path)
