"""A write transaction whose storage errors are the backend's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlmodel import Session

from backend.errors import Fault, StorageBusy, StorageFull
from storage import errors
from storage.database import Database


@contextmanager
def writing(database: Database) -> Iterator[Session]:
    """Give ``database.write()``; raises StorageFull or StorageBusy of the backend, and then nothing was changed."""
    try:
        with database.write() as session:
            yield session
    except errors.StorageFull as error:
        raise StorageFull(Fault("storage.full", str(error))) from error
    except errors.StorageBusy as error:
        raise StorageBusy(Fault("storage.busy", str(error))) from error
