"""The events of changed rows: one for each row, in the transaction of the change, where somebody listens.

Whether anybody does is asked once per operation; where nobody does, nothing is read and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import orjson
from sqlmodel import Session

from backend.datahub_rows import Row, Rows
from backend.errors import BackendError, Fault
from backend.events import DataRowEvent, DataTableRowCreated, DataTableRowDeleted, DataTableRowUpdated, Record
from storage.tables import DataTable

EVENT_ROWS = 1_000  # that one operation may change while somebody listens

Listens: TypeAlias = Callable[[Session, str, Mapping[str, Any]], bool]
"""Says whether anybody waits for an event of this name whose payload has these values."""


def everybody(_session: Session, _name: str, _known: Mapping[str, Any]) -> bool:
    """Have every event recorded."""
    return True


@dataclass(frozen=True)
class RowReporter:
    """Reports changed rows of data tables; raises BackendError for more than EVENT_ROWS at once."""

    record: Record
    listens: Listens

    def before_update(self, session: Session, table: DataTable, read: Callable[[int], Rows]) -> Rows | None:
        """Return the rows that will change, or None if nobody asks; *read* returns at most so many of them."""
        return self._before(session, table, DataTableRowUpdated, read)

    def before_delete(self, session: Session, table: DataTable, read: Callable[[int], Rows]) -> Rows | None:
        """Return the rows that will go, or None if nobody asks; *read* returns at most so many of them."""
        return self._before(session, table, DataTableRowDeleted, read)

    def created(self, session: Session, table: DataTable, count: int, rows: Iterable[Row]) -> None:
        """Report rows that were added; *rows* is looked at only if somebody listens."""
        if count and self._is_heard(session, table, DataTableRowCreated):
            _refuse_many(table, count)
            self._report(session, table, DataTableRowCreated, ((row, None) for row in rows))

    def updated(self, session: Session, table: DataTable, before: Rows, after: Iterable[Row]) -> None:
        """Report the rows whose values are others than *before*."""
        pairs = zip(after, before, strict=True)
        changed = ((new, old) for new, old in pairs if _values(new) != _values(old))
        self._report(session, table, DataTableRowUpdated, changed)

    def deleted(self, session: Session, table: DataTable, before: Rows) -> None:
        """Report rows that were deleted."""
        self._report(session, table, DataTableRowDeleted, ((row, row) for row in before))

    def _before(
        self, session: Session, table: DataTable, event: type[DataRowEvent], read: Callable[[int], Rows]
    ) -> Rows | None:
        if not self._is_heard(session, table, event):
            return None
        rows = read(EVENT_ROWS + 1)
        _refuse_many(table, len(rows))
        return rows

    def _is_heard(self, session: Session, table: DataTable, event: type[DataRowEvent]) -> bool:
        return self.listens(session, event.name, {"ID": table.id, "Name": table.name})

    def _report(
        self, session: Session, table: DataTable, event: type[DataRowEvent], rows: Iterable[tuple[Row, Row | None]]
    ) -> None:
        for row, before in rows:
            self.record(session, event(ID=UUID(table.id), Name=table.name, row=row, before=before))


def _refuse_many(table: DataTable, count: int) -> None:
    if count > EVENT_ROWS:
        message = (
            f"A flow starts for every one of these rows of “{table.name}”, and at most {EVENT_ROWS:,} can change at "
            "once. Change fewer at a time, or unpublish the flow meanwhile."
        )
        raise BackendError(Fault("row_events.too_many", message))


def _values(row: Row) -> bytes:
    """Return what two rows have in common when they hold the same; 1 and true differ, though Python's do not."""
    return orjson.dumps({**row, "updated_at": None}, option=orjson.OPT_SORT_KEYS)
