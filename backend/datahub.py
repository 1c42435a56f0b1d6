"""The Datahub: tables that people make, their settings and their rows.

A change of settings and its event are one transaction. *table* is a table's id or its name.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from copy import copy
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlmodel import Session, select

from backend.datahub_access import RowAccess, columns_of
from backend.datahub_columns import change_columns, origins
from backend.datahub_events import Listens, RowReporter, everybody
from backend.datahub_rows import RowPage, RowSet
from backend.datahub_schema import (
    Column,
    ColumnChange,
    Table,
    column_faults,
    columns_from,
    description_faults,
    folded,
    name_faults,
)
from backend.errors import BackendError, Conflict, Fault
from backend.events import (
    DataTableCreated,
    DataTableDeleted,
    DataTableEmptied,
    DataTableEvent,
    DataTableUpdated,
    Record,
)
from storage.database import Database
from storage.tables import DataTable

__all__ = ["Column", "ColumnChange", "Datahub", "RowPage", "Table", "columns_from"]


def _utcnow() -> datetime:
    return datetime.now(UTC)


def _noop() -> None: ...


class Datahub(RowAccess):
    """Reports its events through *record*, in the transaction of the change, and calls *committed* after it.

    Of the events of rows, it records those that *listens* says somebody waits for.
    """

    def __init__(
        self,
        database: Database,
        record: Record,
        committed: Callable[[], None] = _noop,
        *,
        listens: Listens = everybody,
        new_id: Callable[[], UUID] = uuid4,
        clock: Callable[[], datetime] = _utcnow,
    ) -> None:
        super().__init__(database, RowReporter(record, listens), committed, new_id, clock)

    def reporting(self, record: Record) -> Datahub:
        """Return this hub with all its events going through *record* instead."""
        view = copy(self)
        view._reporter = RowReporter(record, self._reporter.listens)
        return view

    def list(self) -> builtins.list[Table]:
        """Return every table by name, with its number of rows."""
        with self._database.read() as session:
            kept = session.exec(select(DataTable).order_by(DataTable.folded_name)).all()
            return [self._described(session, row) for row in kept]

    def get(self, table: str) -> Table:
        """Return one table with its number of rows; raises NotFound."""
        with self._database.read() as session:
            return self._described(session, self._find(session, table))

    def create(self, name: str, columns: Sequence[Column] = (), description: str = "") -> Table:
        """Make an empty table; raises BackendError with every fault, Conflict for a name in use."""
        _refuse(*name_faults(name), *description_faults(description), *column_faults(columns))
        now = self._clock()
        with self._changing() as session:
            self._refuse_taken(session, name.strip(), None)
            row = DataTable(
                id=str(self._new_id()),
                name=name.strip(),
                folded_name=folded(name.strip()),
                description=description,
                physical=self._new_physical(),
                columns=[column.as_json() for column in _made(columns)],
                created_at=now,
                updated_at=now,
            )
            session.add(row)
            session.flush()
            self._rows_of(row).sql.create(session.connection())
            self._report(session, DataTableCreated, row)
        return _table(row, 0)

    def update(
        self,
        table: str,
        *,
        name: str | None = None,
        description: str | None = None,
        columns: Sequence[Column] | None = None,
    ) -> Table:
        """Change what is given; *columns* is the whole new list, where ColumnChange says what a column was called.

        A column that the list leaves out is dropped. A change that changes nothing reports nothing. Raises
        BackendError with every fault, also naming how many rows do not fit, and then nothing was changed.
        """
        _refuse(
            *(name_faults(name) if name is not None else ()),
            *(description_faults(description) if description is not None else ()),
            *(column_faults(columns) if columns is not None else ()),
        )
        with self._database.read() as session:  # most saves of a form change nothing and need no lock
            row = self._find(session, table)
            if _is_same(row, name, description, columns):
                return self._described(session, row)
        with self._changing() as session:
            row = self._find(session, table)
            if name is not None:
                self._refuse_taken(session, name.strip(), row.id)
                row.name, row.folded_name = name.strip(), folded(name.strip())
            if description is not None:
                row.description = description
            if columns is not None:
                self._change_columns(session, row, columns)
            row.updated_at = self._clock()
            session.add(row)
            session.flush()
            self._report(session, DataTableUpdated, row)
            return self._described(session, row)

    def clear(self, table: str) -> int:
        """Delete every row and return how many there were."""
        with self._changing() as session:
            row = self._find(session, table)
            count = self._rows_of(row).delete_where(session.connection(), None)
            self._report(session, DataTableEmptied, row)
        return count

    def delete(self, table: str) -> None:
        """Delete the table with its rows."""
        with self._changing() as session:
            row = self._find(session, table)
            self._rows_of(row).sql.drop(session.connection())
            session.delete(row)
            self._report(session, DataTableDeleted, row)
        self._forget(row)

    def _change_columns(self, session: Session, row: DataTable, columns: Sequence[Column]) -> None:
        old, new = columns_of(row), _made(columns)
        come_from = origins(old, columns)
        if set(old) != set(new) or _renames(columns):
            rows, row.physical = self._rows_of(row), self._new_physical()
            change_columns(session.connection(), rows, RowSet(row.physical, new), come_from)
        row.columns = [column.as_json() for column in new]

    def _refuse_taken(self, session: Session, name: str, but: str | None) -> None:
        taken = session.exec(select(DataTable.id).where(DataTable.folded_name == folded(name))).first()
        if taken not in (None, but):
            raise Conflict(Fault("table.name_taken", "Another table has this name. Choose a different one.", "name"))

    def _report(self, session: Session, event: type[DataTableEvent], row: DataTable) -> None:
        self._reporter.record(session, event(ID=UUID(row.id), Name=row.name, Description=row.description))

    def _described(self, session: Session, row: DataTable) -> Table:
        return _table(row, self._rows_of(row).count(session.connection()))

    def _new_physical(self) -> str:
        return f"rows_{self._new_id().hex}"


def _table(row: DataTable, row_count: int) -> Table:
    return Table(row.id, row.name, row.description, columns_of(row), row.created_at, row.updated_at, row_count)


def _made(columns: Sequence[Column]) -> tuple[Column, ...]:
    return tuple(column.column() if isinstance(column, ColumnChange) else column for column in columns)


def _is_same(row: DataTable, name: str | None, description: str | None, columns: Sequence[Column] | None) -> bool:
    return (
        name in (None, row.name)
        and description in (None, row.description)
        and (columns is None or (_made(columns) == columns_of(row) and not _renames(columns)))
    )


def _renames(columns: Sequence[Column]) -> bool:
    return any(isinstance(column, ColumnChange) and column.was not in (None, column.name) for column in columns)


def _refuse(*faults: Fault) -> None:
    if faults:
        raise BackendError(*faults)
