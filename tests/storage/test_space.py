from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.database import Database
from storage.errors import StorageFull
from storage.space import give_back, log_of, make_shrinkable, measure, shorten_log, size_of


@pytest.fixture
def database(tmp_path: Path, new_database: Callable[[Path], Database]) -> Iterator[Database]:
    database = new_database(tmp_path)
    yield database
    database.dispose()


def fill(database: Database, rows: int = 500) -> None:
    with database.write() as session:
        for number in range(rows):
            text = f"INSERT INTO setting (key, value, updated_at) VALUES ('{number}', '{'x' * 5_000}', 0)"
            session.connection().exec_driver_sql(text)


def empty(database: Database) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM setting")


def test_file_becomes_smaller_by_as_many_pages_as_are_given_back(database: Database) -> None:
    fill(database)
    empty(database)
    before = measure(database)

    with database.write() as session:
        left = give_back(session.connection(), 100)

    after = measure(database)
    assert before.can_shrink
    assert before.free_bytes > 2_000_000
    assert left * before.page_bytes == after.free_bytes == before.free_bytes - 100 * before.page_bytes
    assert after.file_bytes == before.file_bytes - 100 * before.page_bytes
    assert shorten_log(database.path)
    assert database.path.stat().st_size == after.file_bytes


def test_giving_back_more_than_is_free_stops_at_nothing(database: Database) -> None:
    fill(database, 20)
    empty(database)

    with database.write() as session:
        left = give_back(session.connection(), 10_000)

    assert left == measure(database).free_bytes == 0


def test_log_is_not_cut_while_somebody_reads_what_was_before(database: Database) -> None:
    fill(database, 1)
    with database.read() as reader:
        reader.connection().exec_driver_sql("SELECT count(*) FROM setting").scalar()
        fill_more = "INSERT INTO setting (key, value, updated_at) VALUES ('later', '{}', 0)"
        with database.write() as writer:
            writer.connection().exec_driver_sql(fill_more)

        is_cut = shorten_log(database.path)

    assert not is_cut
    assert size_of(log_of(database.path)) > 0
    assert shorten_log(database.path)
    assert size_of(log_of(database.path)) == 0


def older_database(path: Path) -> Database:
    """Make a file as an older Pulsewire made it, with rows in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT, updated_at INTEGER)")
    database = Database(f"sqlite:///{path}")
    fill(database)
    return database


def test_an_older_database_is_written_anew_once_and_keeps_its_rows(tmp_path: Path) -> None:
    database = older_database(tmp_path / "pulsewire.db")
    before = measure(database)

    make_shrinkable(database)
    after = measure(database)
    with database.look() as connection:
        version = connection.exec_driver_sql("PRAGMA schema_version").scalar()
        rows = connection.exec_driver_sql("SELECT count(*), sum(length(value)) FROM setting").one()
    make_shrinkable(database)

    assert (before.can_shrink, after.can_shrink) == (False, True)
    assert after.log_bytes == 0
    assert tuple(rows) == (500, 2_500_000)
    with database.look() as connection:
        assert connection.exec_driver_sql("PRAGMA schema_version").scalar() == version  # every rewrite raises it
    database.dispose()


def test_an_older_database_that_is_in_use_stays_as_it_is_and_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("storage.space.BUSY_TIMEOUT_S", 0.01)
    database = older_database(tmp_path / "pulsewire.db")

    with database.write() as session:
        make_shrinkable(database)
        session.connection().exec_driver_sql("DELETE FROM setting WHERE key = '1'")

    assert not measure(database).can_shrink
    assert "at the next start it is tried again" in caplog.text
    with database.look() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM setting").scalar() == 499
    make_shrinkable(database)
    assert measure(database).can_shrink
    database.dispose()


def test_full_disk_while_pages_are_given_back_changes_nothing(database: Database) -> None:
    fill(database)
    empty(database)
    before = measure(database)

    def fill_up() -> None:
        with database.write() as session:
            give_back(session.connection(), 100)
            pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar_one()
            session.connection().exec_driver_sql(f"PRAGMA max_page_count={pages}")
            for number in range(10_000):
                sql = f"INSERT INTO setting (key, value, updated_at) VALUES ('{number}', '{'x' * 5_000}', 0)"
                session.connection().exec_driver_sql(sql)

    with pytest.raises(StorageFull):
        fill_up()

    assert measure(database).file_bytes == before.file_bytes
    with database.look() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
