from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlmodel import Session

from backend.datahub import Datahub
from backend.events import Event
from storage.database import Database


class Fired(list[Event]):
    """Every event that was committed, in order; ``pokes`` counts the calls after a commit."""

    pokes = 0
    hears_rows = True  # while a flow listens to rows, one operation may change 1,000 of them


@pytest.fixture
def database(tmp_path: Path, new_database: Callable[[Path], Database]) -> Iterator[Database]:
    database = new_database(tmp_path)
    yield database
    database.dispose()


@pytest.fixture
def fired() -> Fired:
    return Fired()


@pytest.fixture
def datahub(database: Database, fired: Fired) -> Datahub:
    recorded: list[Event] = []

    def record(session: Session, event: Event) -> None:
        assert session.in_transaction()
        recorded.append(event)

    def committed() -> None:
        fired.extend(recorded)
        recorded.clear()
        fired.pokes += 1

    return Datahub(database, record, committed, listens=lambda _session, _name, _known: fired.hears_rows)


@pytest.fixture
def nobody_listens(fired: Fired) -> None:
    """Have no flow that starts for rows, so that there may be many."""
    fired.hears_rows = False
