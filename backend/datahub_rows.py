"""Rows of one data table: read a page, add, change, delete. Everything happens in the caller's transaction."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeAlias
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from backend.datahub_filter import search_clause, sort_clauses, where_clause
from backend.datahub_schema import ORDER, OWN_COLUMNS, Column, physical_table, types_of
from backend.datahub_values import TAKES, shown, stored
from backend.errors import BackendError, Conflict, Fault, NotFound

PAGE_ROWS = 10_000
INSERT_ROWS = 10_000
FAULTS = 100  # how many are told at once
AT_ONCE = 500  # values in one IN list

Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = builtins.list[Row]
Insertion: TypeAlias = tuple[str, builtins.list[tuple[str, Callable[[Any], Any]]]]  # SQL; column and what SQLite takes


@dataclass(frozen=True)
class RowPage:
    """Some rows, and how many there are in all that match."""

    rows: Rows
    total: int


@dataclass(frozen=True)
class NewRows:
    """Rows to be added: their stored values, and the same as SQLite takes them."""

    rows: Rows
    statement: str
    parameters: builtins.list[tuple[Any, ...]]


class RowSet:
    """The rows behind a table's settings; kept and used again until the columns change."""

    def __init__(self, physical: str, columns: tuple[Column, ...]) -> None:
        self.columns = columns
        self.types = types_of(columns)
        self.sql = physical_table(physical, columns)
        self.shown = [self.sql.c[name] for name in self.types]
        self._insertion: Insertion | None = None
        self._indexed = {"", "id", "created_at", *(column.name for column in columns if column.unique)}

    def page(
        self, connection: sa.Connection, *, limit: int, offset: int, sort: str | None, where: Any, search: str | None
    ) -> RowPage:
        """Return the rows from *offset* on; raises BackendError with ``filter``, ``search``, ``sort``, ``limit``."""
        _check_page(limit, offset)
        clause = where_clause(self.sql, self.types, where)
        if search:
            clause = sa.and_(clause, search_clause(self.sql, self.types, search))
        order = sort_clauses(self.sql, self.types, sort)
        number = self.sql.c[ORDER]
        keys = sa.select(number).where(clause).order_by(*order).limit(limit).offset(offset)
        if where or search:  # one pass finds and counts what matches
            found = connection.execute(keys.add_columns(sa.func.count().over())).all()
            if found or (offset == 0 and limit > 0):
                total: int = found[0][1] if found else 0
            else:
                total = connection.execute(self._counted(clause)).scalar_one()
            wanted = sa.select(*self.shown).where(number.in_([key for key, _ in found])).order_by(*order)
        else:  # only keys are sorted and skipped; whole rows are read for the page alone
            total = connection.execute(self._counted(clause)).scalar_one()
            page = keys.subquery()
            wanted = sa.select(*self.shown).join(page, page.c[ORDER] == number).order_by(*order)
        return RowPage([self._json(row) for row in connection.execute(wanted)], total)

    def unindexed(self, sort: str | None) -> str | None:
        """Return the column that *sort* begins with if it would pay to index it."""
        name = (sort or "").split(",")[0].strip().removeprefix("-")
        return None if name in self._indexed or self.types.get(name, "json") == "json" else name

    def index(self, connection: sa.Connection, name: str) -> None:
        """Make sorting by the column *name* quick, if no other process did already."""
        place = [column.name for column in self.columns].index(name) if name != "updated_at" else "updated"
        made = sa.Index(f"ix_{self.sql.name}_by_{place}", self.sql.c[name])
        connection.execute(sa.schema.CreateIndex(made, if_not_exists=True))
        self._indexed.add(name)

    def _counted(self, clause: Any) -> sa.Select[Any]:
        return sa.select(sa.func.count()).select_from(self.sql).where(clause)

    def every(self, connection: sa.Connection) -> Iterator[sa.Row[Any]]:
        """Yield the stored values of every row in the order they were added, our own columns included."""
        query = sa.select(*self.shown).order_by(self.sql.c[ORDER]).execution_options(yield_per=AT_ONCE)
        yield from connection.execute(query)

    def count(self, connection: sa.Connection, where: Any = None) -> int:
        query = sa.select(sa.func.count()).select_from(self.sql)
        if where:
            query = query.where(where_clause(self.sql, self.types, where))
        return int(connection.execute(query).scalar_one())

    def one(self, connection: sa.Connection, row_id: Any) -> Row:
        """Return one row; raises NotFound."""
        query = sa.select(*self.shown).where(self.sql.c.id == _known_id(row_id))
        row = connection.execute(query).first()
        if row is None:
            raise _no_row()
        return self._json(row)

    def fitting(self, connection: sa.Connection, where: Any, limit: int) -> Rows:
        """Return at most *limit* rows that *where* fits, in the order they were added; None fits every row."""
        clause = where_clause(self.sql, self.types, where, "where")
        query = sa.select(*self.shown).where(clause).order_by(self.sql.c[ORDER]).limit(limit)
        return [self._json(row) for row in connection.execute(query)]

    def with_ids(self, connection: sa.Connection, ids: Iterable[Any], limit: int) -> Rows:
        """Return at most *limit* rows with these ids, each once."""
        left = iter(dict.fromkeys(_known_id(row_id) for row_id in ids))
        found: Rows = []
        while len(found) < limit and (some := builtins.list(islice(left, AT_ONCE))):
            query = sa.select(*self.shown).where(self.sql.c.id.in_(some)).limit(limit - len(found))
            found += [self._json(row) for row in connection.execute(query.order_by(self.sql.c[ORDER]))]
        return found

    def insert(self, connection: sa.Connection, rows: Any, new_id: Callable[[], UUID], now: datetime) -> Rows:
        """Add *rows* and return them as stored; raises BackendError with every fault, and then none was added."""
        if not isinstance(rows, list | tuple) or len(rows) > INSERT_ROWS:
            message = f"Rows are a list of at most {INSERT_ROWS:,} objects."
            raise BackendError(Fault("row.invalid", message, "rows"))
        values = self.checked(rows, [f"rows[{index}]" for index in range(len(rows))])
        new = self.prepared(connection.dialect, values, new_id, now)
        self.add(connection, new, lambda index: f"rows[{index}]")
        return [self.json_row(row) for row in new.rows]

    def prepared(self, dialect: sa.Dialect, values: Rows, new_id: Callable[[], UUID], now: datetime) -> NewRows:
        """Return rows that ``add`` has little left to do for; each of *values* gets its id and its times."""
        moment = _naive(now)
        for row in values:
            row.update(id=str(new_id()), created_at=moment, updated_at=moment)
        if self._insertion is None:
            self._insertion = self._compiled_insertion(dialect)
        statement, cells = self._insertion
        return NewRows(values, statement, [tuple([write(row[name]) for name, write in cells]) for row in values])

    def add(self, connection: sa.Connection, new: NewRows, place: Callable[[int], str]) -> None:
        """Add rows; raises Conflict for values that a unique column already has, and then some may have been added."""
        try:
            if new.rows:
                connection.exec_driver_sql(new.statement, new.parameters)
        except IntegrityError:
            self._check_unique(connection, new.rows, place)
            raise

    def update(self, connection: sa.Connection, row_id: Any, values: Any, now: datetime) -> Row:
        """Change one row and return it; raises NotFound, or BackendError with every fault."""
        changed = self._update(connection, self.sql.c.id == _known_id(row_id), values, now, "")
        if not changed:
            raise _no_row()
        return self.one(connection, row_id)

    def update_where(self, connection: sa.Connection, where: Any, values: Any, now: datetime) -> int:
        """Change every row that *where* fits and return how many those were."""
        clause = where_clause(self.sql, self.types, where, "where")
        return self._update(connection, clause, values, now, "values")

    def delete_where(self, connection: sa.Connection, where: Any) -> int:
        """Delete every row that *where* fits and return how many those were."""
        clause = where_clause(self.sql, self.types, where, "where")
        return connection.execute(sa.delete(self.sql).where(clause)).rowcount

    def delete_ids(self, connection: sa.Connection, ids: Iterable[Any]) -> int:
        """Delete the rows with these ids and return how many there were."""
        left = iter([_known_id(row_id) for row_id in ids])
        deleted = 0
        while some := builtins.list(islice(left, AT_ONCE)):
            deleted += connection.execute(sa.delete(self.sql).where(self.sql.c.id.in_(some))).rowcount
        return deleted

    def checked(self, rows: Sequence[Any], places: Sequence[str], *, is_partial: bool = False) -> Rows:
        """Return the rows' values as they are stored, all columns filled; raises BackendError with every fault."""
        faults: builtins.list[Fault] = []
        checked = []
        for row, place in zip(rows, places, strict=True):
            checked.append(self._checked_row(row, place, is_partial, faults))
            if len(faults) >= FAULTS:
                break
        if faults:
            raise BackendError(*faults[:FAULTS])
        return checked

    def json(self, values: Mapping[str, Any]) -> Row:
        """Return stored values as JSON values."""
        return {name: shown(self.types[name], value) for name, value in values.items()}

    def json_row(self, values: Row) -> Row:
        """Return a whole row of stored values as JSON values, in the order of the columns."""
        return {name: shown(kind, values[name]) for name, kind in self.types.items()}

    def _compiled_insertion(self, dialect: sa.Dialect) -> Insertion:
        statement = sa.insert(self.sql).compile(dialect=dialect, column_keys=builtins.list(self.types))
        names = statement.positiontup or []
        types = [self.sql.c[name].type.dialect_impl(dialect) for name in names]
        writers = [type_.bind_processor(dialect) or _same for type_ in types]
        return str(statement), builtins.list(zip(names, writers, strict=True))

    def _checked_row(self, row: Any, place: str, is_partial: bool, faults: builtins.list[Fault]) -> Row:
        if not isinstance(row, Mapping):
            faults.append(Fault("row.invalid", "A row is an object of column names and values.", place or None))
            return {}
        dot = f"{place}." if place else ""
        for key in row:
            if key not in self.types or key in OWN_COLUMNS:
                faults.append(_unknown_column(key, dot))
        values = {}
        for column in self.columns:
            if column.name not in row and is_partial:
                continue
            value, field = row.get(column.name), f"{dot}{column.name}"
            try:
                values[column.name] = stored(column.type, value)
            except ValueError:
                faults.append(Fault("row.value_invalid", f"“{column.name}” {TAKES[column.type]}.", field))
            else:
                if value is None and column.required:
                    faults.append(Fault("row.required", f"“{column.name}” needs a value.", field))
        return values

    def _check_unique(self, connection: sa.Connection, rows: Rows, place: Callable[[int], str]) -> None:
        faults = []
        own = {row["id"] for row in rows}
        for column in (column for column in self.columns if column.unique):
            values = [row[column.name] for row in rows]
            seen = self._taken(connection, column, [value for value in values if value is not None], own)
            for index, value in enumerate(values):
                if value in seen:
                    faults.append(_not_unique(column.name, f"{place(index)}.{column.name}"))
                elif value is not None:
                    seen.add(value)
        if faults:
            raise Conflict(*faults[:FAULTS])

    def _taken(
        self, connection: sa.Connection, column: Column, values: Sequence[Any], but: Collection[str]
    ) -> set[Any]:
        sql = self.sql.c[column.name]
        taken: set[Any] = set()
        for start in range(0, len(values), AT_ONCE):
            query = sa.select(sql, self.sql.c.id).where(sql.in_(values[start : start + AT_ONCE]))
            taken.update(value for value, row_id in connection.execute(query) if row_id not in but)
        return taken

    def _update(self, connection: sa.Connection, clause: Any, values: Any, now: datetime, place: str) -> int:
        changes = self.checked([values], [place], is_partial=True)[0]
        statement = sa.update(self.sql).where(clause).values({**changes, "updated_at": _naive(now)})
        try:
            return connection.execute(statement).rowcount
        except IntegrityError as error:  # the statement as a whole was undone; NOT NULL was checked before
            name = str(error.orig).rsplit(".", 1)[-1]
            raise Conflict(_not_unique(name, f"{place}.{name}" if place else name)) from error

    def _json(self, row: sa.Row[Any]) -> Row:
        return {name: shown(kind, value) for (name, kind), value in zip(self.types.items(), row, strict=True)}


def _same(value: Any) -> Any:
    return value


def _check_page(limit: Any, offset: Any) -> None:
    faults = []
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= PAGE_ROWS:
        faults.append(Fault("page.invalid", f"“limit” is a whole number from 0 to {PAGE_ROWS:,}.", "limit"))
    if not isinstance(offset, int) or isinstance(offset, bool) or not 0 <= offset < 2**63:
        faults.append(Fault("page.invalid", "“offset” is a whole number from 0 on.", "offset"))
    if faults:
        raise BackendError(*faults)


def _known_id(row_id: Any) -> str:
    """Return *row_id* as it is stored, or text that no row has."""
    try:
        return str(stored("uuid", str(row_id)))
    except ValueError:
        return ""


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _no_row() -> NotFound:
    return NotFound(Fault("row.not_found", "The table has no row with this id. It may have been deleted."))


def _not_unique(column: str, field: str) -> Fault:
    return Fault("row.not_unique", f"“{column}” must be unique, and another row has this value.", field)


def _unknown_column(key: Any, dot: str) -> Fault:
    if key in OWN_COLUMNS:
        return Fault("row.column_unknown", f"“{key}” is filled in by itself and cannot be set.", f"{dot}{key}")
    text = str(key)[:63].encode(errors="replace").decode()
    return Fault("row.column_unknown", f"The table has no column “{text}”.", f"{dot}{text}")
