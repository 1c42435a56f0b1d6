from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import func, select

from storage.database import Database
from storage.errors import StorageBusy, StorageError, StorageFull
from storage.tables import Setting, UserRow


@pytest.fixture
def database(tmp_path: Path, new_database: Callable[[Path], Database]) -> Iterator[Database]:
    database = new_database(tmp_path)
    yield database
    database.dispose()


def settings_in(database: Database) -> int:
    with database.read() as session:
        return session.exec(select(func.count()).select_from(Setting)).one()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000)],
)
def test_every_connection_is_durable(database: Database, pragma: str, value: object) -> None:
    with database.read() as session:
        assert session.connection().exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:hidden@db/pulsewire", "postgresql URLs are not supported"),
        ("sqlite://", "must be a file"),
        ("data.db", "not a database URL"),
    ],
    ids=["postgresql", "memory", "path"],
)
def test_other_urls_are_refused_without_showing_a_password(url: str, words: str) -> None:
    with pytest.raises(StorageError, match=words) as caught:
        Database(url)

    assert "argon2id" not in str(caught.value)


def test_error_rolls_the_whole_transaction_back(database: Database) -> None:
    def fail_late() -> None:
        with database.write() as session:
            session.add(Setting(key="a", value={}))
            session.flush()
            raise KeyError("later")

    with pytest.raises(KeyError):
        fail_late()

    assert settings_in(database) == 0


def test_reader_sees_one_moment_while_another_writes(database: Database) -> None:
    with database.read() as reader:
        before = reader.exec(select(func.count()).select_from(Setting)).one()
        with database.write() as writer:
            writer.add(Setting(key="a", value={}))
        during = reader.exec(select(func.count()).select_from(Setting)).one()

    assert (before, during, settings_in(database)) == (0, 0, 1)


def test_writers_of_several_threads_wait_for_each_other(database: Database) -> None:
    def count_up() -> None:
        for _ in range(20):
            with database.write() as session:
                row = session.get(Setting, "n") or Setting(key="n", value={"n": 0})
                row.value = {"n": row.value["n"] + 1}
                session.add(row)

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.read() as session:
        row = session.get(Setting, "n")
    assert row
    assert row.value == {"n": 80}


def test_full_disk_changes_nothing_and_later_writes_go_on(database: Database) -> None:
    def fill() -> None:
        with database.write() as session:
            pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar_one()
            session.connection().exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")
            for number in range(100):
                session.add(Setting(key=str(number), value={"text": "x" * 4000}))
                session.flush()

    with pytest.raises(StorageFull, match="Free some space"):
        fill()

    assert settings_in(database) == 0
    database.dispose()  # the limit belongs to the connection
    with database.write() as session:
        session.add(Setting(key="a", value={}))
    assert settings_in(database) == 1


def test_database_that_stays_locked_is_reported_as_busy(database: Database) -> None:
    other = Database(f"sqlite:///{database.path}")
    with other.read() as session:
        session.connection().exec_driver_sql("PRAGMA busy_timeout=20")  # stays with the pooled connection

    with database.write(), pytest.raises(StorageBusy), other.write():
        raise AssertionError("two writers at once")

    other.dispose()


def test_error_tells_no_values_to_whoever_logs_it(database: Database) -> None:
    with database.write() as session:
        session.add(UserRow(id="1", email="anna@example.com", folded_email="anna@example.com"))

    with pytest.raises(IntegrityError, match="folded_email") as caught, database.write() as session:
        session.add(
            UserRow(id="2", email="ANNA@example.com", folded_email="anna@example.com", password_hash="$argon2id$")
        )

    assert "argon2id" not in str(caught.value)
    assert "example.com" not in str(caught.value)
