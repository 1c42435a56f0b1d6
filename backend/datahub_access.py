"""The rows of every data table, by the table's id or name.

Every method exists twice: with a transaction of its own, and as ``…_in(session, …)`` inside the caller's, which
has to undo its savepoint on an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from errno import EDQUOT, ENOSPC
from typing import Any
from uuid import UUID

from sqlmodel import Session, select

from backend import datahub_csv
from backend.datahub_events import RowReporter
from backend.datahub_rows import Row, RowPage, Rows, RowSet
from backend.datahub_schema import Column, folded, name_faults
from backend.errors import Conflict, Fault, NotFound, StorageBusy, StorageFull
from backend.transaction import writing
from storage.database import Database
from storage.tables import DataTable

INDEX_FROM = 5_000  # rows; fewer are sorted in a few milliseconds
INDEX_TO = 500_000  # rows; making an index for more would keep other writers waiting


class RowAccess:
    """Reads and writes rows; a change is told to *reporter* in its transaction and *committed* is called after it."""

    def __init__(
        self,
        database: Database,
        reporter: RowReporter,
        committed: Callable[[], None],
        new_id: Callable[[], UUID],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._reporter = reporter
        self._committed = committed
        self._new_id = new_id
        self._clock = clock
        self._row_sets: dict[str, RowSet] = {}  # by SQL table; what is prepared for one is used again

    def rows(
        self,
        table: str,
        *,
        limit: int = 50,
        offset: int = 0,
        sort: str | None = "-created_at",
        filter: Any = None,
        search: str | None = None,
    ) -> RowPage:
        """Return a page of rows; raises BackendError for a filter, sort order or page that cannot be."""
        with self._database.read() as session:
            page = self.rows_in(session, table, limit=limit, offset=offset, sort=sort, filter=filter, search=search)
            column = self._rows_in(session, table).unindexed(sort)
        if column is not None and INDEX_FROM <= page.total <= INDEX_TO:
            self._index(table, column)
        return page

    def rows_in(
        self,
        session: Session,
        table: str,
        *,
        limit: int = 50,
        offset: int = 0,
        sort: str | None = "-created_at",
        filter: Any = None,
        search: str | None = None,
    ) -> RowPage:
        rows = self._rows_in(session, table)
        connection = session.connection()
        return rows.page(connection, limit=limit, offset=offset, sort=sort, where=filter, search=search)

    def count(self, table: str, where: Any = None) -> int:
        """Return how many rows *where* fits."""
        with self._database.read() as session:
            return self.count_in(session, table, where)

    def count_in(self, session: Session, table: str, where: Any = None) -> int:
        return self._rows_in(session, table).count(session.connection(), where)

    def row(self, table: str, row_id: str) -> Row:
        """Return one row; raises NotFound."""
        with self._database.read() as session:
            return self.row_in(session, table, row_id)

    def row_in(self, session: Session, table: str, row_id: str) -> Row:
        return self._rows_in(session, table).one(session.connection(), row_id)

    def check_in(self, session: Session, table: str, values: Mapping[str, Any], *, partial: bool = False) -> Row:
        """Return *values* as they would be stored, as JSON; raises BackendError with every fault."""
        rows = self._rows_in(session, table)
        return rows.json(rows.checked([values], [""], is_partial=partial)[0])

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> Rows:
        """Add rows, all or none, and return them as stored; a fault's field is like ``rows[3].total``."""
        with self._changing() as session:
            return self.insert_in(session, table, rows)

    def insert_in(self, session: Session, table: str, rows: Sequence[Mapping[str, Any]]) -> Rows:
        kept = self._find(session, table)
        added = self._rows_of(kept).insert(session.connection(), rows, self._new_id, self._clock())
        self._reporter.created(session, kept, len(added), added)
        return added

    def update_row(self, table: str, row_id: str, values: Mapping[str, Any]) -> Row:
        """Change the given values of one row and return it; raises NotFound."""
        with self._changing() as session:
            return self.update_row_in(session, table, row_id, values)

    def update_row_in(self, session: Session, table: str, row_id: str, values: Mapping[str, Any]) -> Row:
        kept = self._find(session, table)
        rows, connection = self._rows_of(kept), session.connection()
        before = self._reporter.before_update(session, kept, lambda limit: rows.with_ids(connection, [row_id], limit))
        changed = rows.update(connection, row_id, values, self._clock())
        if before:
            self._reporter.updated(session, kept, before, [changed])
        return changed

    def update_where(self, table: str, where: Any, values: Mapping[str, Any]) -> int:
        """Change every row that *where* fits and return how many those were; None fits every row."""
        with self._changing() as session:
            return self.update_where_in(session, table, where, values)

    def update_where_in(self, session: Session, table: str, where: Any, values: Mapping[str, Any]) -> int:
        kept = self._find(session, table)
        rows, connection = self._rows_of(kept), session.connection()
        before = self._reporter.before_update(session, kept, lambda limit: rows.fitting(connection, where, limit))
        count = rows.update_where(connection, where, values, self._clock())
        if before:
            after = rows.with_ids(connection, [row["id"] for row in before], len(before))
            self._reporter.updated(session, kept, before, after)
        return count

    def delete_rows_by_id(self, table: str, ids: Iterable[str]) -> int:
        """Delete rows and return how many there were; an id that no row has is passed over."""
        with self._changing() as session:
            return self.delete_rows_by_id_in(session, table, ids)

    def delete_rows_by_id_in(self, session: Session, table: str, ids: Iterable[str]) -> int:
        kept, asked = self._find(session, table), list(ids)
        rows, connection = self._rows_of(kept), session.connection()
        before = self._reporter.before_delete(session, kept, lambda limit: rows.with_ids(connection, asked, limit))
        count = rows.delete_ids(connection, asked)
        self._reporter.deleted(session, kept, before or [])
        return count

    def delete_where(self, table: str, where: Any) -> int:
        """Delete every row that *where* fits and return how many those were; None fits every row."""
        with self._changing() as session:
            return self.delete_where_in(session, table, where)

    def delete_where_in(self, session: Session, table: str, where: Any) -> int:
        kept = self._find(session, table)
        rows, connection = self._rows_of(kept), session.connection()
        before = self._reporter.before_delete(session, kept, lambda limit: rows.fitting(connection, where, limit))
        count = rows.delete_where(connection, where)
        self._reporter.deleted(session, kept, before or [])
        return count

    def export_csv(self, table: str) -> Iterator[str]:
        """Return the table as CSV in pieces of text, as it is now; raises NotFound or StorageFull at once.

        What is large waits in a temporary file beside the database, so that nobody who reads the pieces slowly
        keeps a read transaction open, under which the database's log could only grow.
        """
        try:
            with self._database.read() as session:
                rows = self._rows_in(session, table)
                pieces = datahub_csv.written(rows.types, rows.every(session.connection()))
                return datahub_csv.spooled(pieces, self._database.path.parent)
        except OSError as error:
            if error.errno not in (ENOSPC, EDQUOT):
                raise
            message = "The disk has no room for the export. Free some space and try again."
            raise StorageFull(Fault("storage.full", message)) from error

    def import_csv(self, table: str, text: Iterable[str]) -> int:
        """Add every line of *text* and return how many, or none; a fault's field is like ``lines[4].total``."""
        with self._database.read() as session:
            rows = self._rows_in(session, table)
        values, lines = datahub_csv.read(rows, text)  # all that can be done is done before the lock
        new = rows.prepared(self._database.engine.dialect, values, self._new_id, self._clock())
        with self._changing() as session:
            kept = self._find(session, table)
            if self._rows_of(kept) is not rows:
                raise Conflict(Fault("table.changed", "The table's columns were changed meanwhile. Try again."))
            rows.add(session.connection(), new, lambda index: f"lines[{lines[index]}]")
            self._reporter.created(session, kept, len(values), (rows.json_row(row) for row in new.rows))
        return len(values)

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        with writing(self._database) as session:
            yield session
        self._committed()

    def _index(self, table: str, column: str) -> None:
        """Index what a large table is sorted by, so that the next page comes quickly."""
        try:
            with writing(self._database) as session:
                rows = self._rows_in(session, table)
                if column in rows.types:
                    rows.index(session.connection(), column)
        except (NotFound, StorageFull, StorageBusy):
            return  # the page was read; an index is only a matter of speed

    def _find(self, session: Session, table: str) -> DataTable:
        row = None
        if not any(name_faults(table)):  # what is no name cannot be bound either
            by_name = select(DataTable).where(DataTable.folded_name == folded(table.strip()))
            row = session.get(DataTable, table) or session.exec(by_name).first()
        if row is None:
            raise NotFound(Fault("table.not_found", "There is no such table. It may have been renamed or deleted."))
        return row

    def _rows_in(self, session: Session, table: str) -> RowSet:
        return self._rows_of(self._find(session, table))

    def _rows_of(self, row: DataTable) -> RowSet:
        columns = columns_of(row)
        rows = self._row_sets.get(row.physical)
        if rows is None or rows.columns != columns:
            rows = self._row_sets[row.physical] = RowSet(row.physical, columns)
        return rows

    def _forget(self, row: DataTable) -> None:
        self._row_sets.pop(row.physical, None)


def columns_of(row: DataTable) -> tuple[Column, ...]:
    """Return the columns a table's settings hold."""
    return tuple(Column(**column) for column in row.columns)
