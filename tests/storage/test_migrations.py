from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlmodel import SQLModel

import storage.tables  # noqa: F401 - fills the metadata
from storage.database import VERSIONS, Database
from storage.errors import NewerSchema, StorageError

HEAD = max(path.name for path in VERSIONS.glob("[0-9]*_*.py"))[:4]


def schema_of(path: Path) -> dict[str, object]:
    """Return what the tables hold; in which order columns came, and defaults for rows of before, do not matter."""
    with sqlite3.connect(path) as connection:

        def found(query: str) -> list[tuple[object, ...]]:
            return sorted(connection.execute(query).fetchall(), key=repr)

        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version'"
        schema: dict[str, object] = {
            str(name): (
                found(f"SELECT name, type, \"notnull\", pk FROM pragma_table_info('{name}')"),
                found(f'SELECT "table", "from", "to", on_delete FROM pragma_foreign_key_list(\'{name}\')'),
                found(f"SELECT name, \"unique\", origin, partial FROM pragma_index_list('{name}') WHERE origin = 'c'"),
                found(
                    f"SELECT group_concat(part.name) FROM pragma_index_list('{name}') AS list, "
                    "pragma_index_info(list.name) AS part GROUP BY list.name"
                ),
                found(f"SELECT wr, strict FROM pragma_table_list('{name}')"),
            )
            for (name,) in found(names)
        }
        schema["autoincrement"] = found("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
    connection.close()
    return schema


def test_migrations_make_the_schema_that_the_tables_declare(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'migrated.db'}")
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")

    database.migrate()
    SQLModel.metadata.create_all(declared)

    database.dispose()
    declared.dispose()
    assert schema_of(tmp_path / "migrated.db") == schema_of(tmp_path / "declared.db")


def test_two_processes_starting_at_once_migrate_once(tmp_path: Path) -> None:
    program = (
        "import sys; sys.stdin.readline()\n"
        "from storage.database import Database\n"
        "database = Database(sys.argv[1]); database.migrate(); database.dispose()\n"
        "print('alembic' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{tmp_path / 'new.db'}"]
    root = Path(__file__).parents[2]
    starters = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(2)
    ]

    for starter in starters:
        assert starter.stdin
        starter.stdin.write("go\n")
        starter.stdin.flush()
    printed = [starter.communicate(timeout=60)[0].strip() for starter in starters]

    assert [starter.returncode for starter in starters] == [0, 0]
    assert sorted(printed) == ["False", "True"]  # only the one that migrated needed Alembic
    with sqlite3.connect(tmp_path / "new.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    connection.close()


def test_start_at_head_does_not_import_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'pulsewire.db'}"
    database = Database(url)
    database.migrate()
    database.dispose()

    program = (
        "import sys; from storage.database import Database\n"
        "Database(sys.argv[1]).migrate(); print([name for name in ('alembic', 'filelock') if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program, url], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    ).stdout

    assert printed.strip() == "[]"


def test_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'pulsewire.db'}")
    database.migrate()
    with database.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(NewerSchema, match="9999"):
        database.migrate()

    with database.read() as session:
        assert session.connection().exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "9999"
    database.dispose()


def test_killed_migration_leaves_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'pulsewire.db'}")
    program = (
        "import os, sys\n"
        "from alembic.operations import Operations\n"
        "from storage.database import Database\n"
        "first = Operations.create_index\n"
        "Operations.create_index = lambda *a, **k: os._exit(9)\n"
        "Database(sys.argv[1]).migrate()\n"
    )

    killed = subprocess.run(
        [sys.executable, "-c", program, f"sqlite:///{database.path}"], cwd=Path(__file__).parents[2], check=False
    )

    assert killed.returncode == 9
    with database.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 0
    database.migrate()
    with database.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM flow").scalar() == 0
    database.dispose()


def test_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pulsewire.db"
    path.write_bytes(b"Dear diary, " * 1000)
    database = Database(f"sqlite:///{path}")

    with pytest.raises(StorageError, match="not a database"):
        database.migrate()

    assert path.read_bytes() == b"Dear diary, " * 1000
    database.dispose()
