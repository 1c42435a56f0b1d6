"""Changing the columns of a data table that has rows: the values move to a new SQL table, or nothing changes.

A fresh table and one copy serve every mix of added, renamed, retyped, reordered and dropped columns alike, and a
statement prepared for the old shape can only miss, never write to the wrong column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from backend.datahub_rows import RowSet
from backend.datahub_schema import ORDER, OWN_COLUMNS, Column, ColumnChange
from backend.datahub_values import SQL_TYPES, TAKES, converted
from backend.errors import BackendError, Fault

Move = tuple[int, Column, Column]  # position in the list, as it was, as it shall be


def origins(old: Sequence[Column], new: Sequence[Column]) -> list[Column | None]:
    """Return for each *new* column the old one it comes from, or None; raises BackendError for a bad ``was``."""
    by_name = {column.name: column for column in old}
    found: list[Column | None] = []
    faults = []
    for index, column in enumerate(new):
        was = column.was if isinstance(column, ColumnChange) else None
        origin = by_name.get(was if was is not None else column.name) if isinstance(was, str | None) else None
        field = f"columns[{index}].was"
        if was is not None and origin is None:
            faults.append(Fault("column.not_found", "The table has no such column to rename.", field))
        elif origin is not None and origin in found:
            faults.append(Fault("column.name_taken", f"“{origin.name}” is already used for another column.", field))
        found.append(origin)
    if faults:
        raise BackendError(*faults)
    return found


def change_columns(connection: sa.Connection, old: RowSet, new: RowSet, come_from: Sequence[Column | None]) -> None:
    """Replace the SQL table of *old* by that of *new* with all its rows.

    Raises BackendError naming how many rows do not fit, for every column; the caller's transaction is to be
    rolled back then.
    """
    moves = [(i, was, now) for i, (was, now) in enumerate(zip(come_from, new.columns, strict=True)) if was]
    faults = [*_empty_faults(connection, old, new, come_from), *_repeated_faults(connection, old, moves)]
    if faults:
        raise BackendError(*faults)
    connection.execute(sa.schema.CreateTable(new.sql))
    conversions = [_Conversion(connection.dialect, *move) for move in moves if move[1].type != move[2].type]
    with _registered(connection, conversions):
        _copy(connection, old, new, moves, {conversion.index: conversion.name for conversion in conversions})
    faults = [fault for conversion in conversions for fault in conversion.faults()]
    if faults:
        raise BackendError(*faults)
    for index in new.sql.indexes:  # after the rows: one sort is quicker than many insertions
        index.create(connection)
    old.sql.drop(connection)


def _empty_faults(
    connection: sa.Connection, old: RowSet, new: RowSet, come_from: Sequence[Column | None]
) -> Iterator[Fault]:
    for index, (was, now) in enumerate(zip(come_from, new.columns, strict=True)):
        if now.required and not (was and was.required):
            empty = old.count(connection, {was.name: None} if was else None)
            if empty:
                message = f"“{now.name}” cannot be required: {_rows(empty)} no value in it. Fill them in first."
                yield Fault("row.required", message, f"columns[{index}].required")


def _repeated_faults(connection: sa.Connection, old: RowSet, moves: Sequence[Move]) -> Iterator[Fault]:
    for index, was, now in moves:
        if not now.unique or was.unique or was.type == "json":
            continue
        value = old.sql.c[was.name]
        repeated = sa.select(sa.func.count().label("n")).where(value.is_not(None)).group_by(value)
        extra = connection.execute(
            sa.select(sa.func.sum(sa.text("n"))).select_from(repeated.having(sa.func.count() > 1).subquery())
        ).scalar()
        if extra:
            message = f"“{now.name}” cannot be unique: {_rows(extra)} a value that another row has too."
            yield Fault("row.not_unique", message, f"columns[{index}].unique")


def _copy(
    connection: sa.Connection, old: RowSet, new: RowSet, moves: Sequence[Move], functions: Mapping[int, str]
) -> None:
    own = [ORDER, *OWN_COLUMNS]
    source = [old.sql.c[name] for name in own]
    for index, was, _ in moves:
        value = old.sql.c[was.name]
        source.append(getattr(sa.func, functions[index])(value) if index in functions else value)
    target = own + [now.name for *_, now in moves]
    connection.execute(sa.insert(new.sql).from_select(target, sa.select(*source).order_by(old.sql.c[ORDER])))


@contextmanager
def _registered(connection: sa.Connection, conversions: Sequence[_Conversion]) -> Iterator[None]:
    """Let SQL call *conversions* by their names: rows that never leave SQLite are copied several times faster."""
    raw: Any = connection.connection.driver_connection
    for conversion in conversions:
        raw.create_function(conversion.name, 1, conversion)
    try:
        yield
    finally:
        for conversion in conversions:
            raw.create_function(conversion.name, 1, None)


class _Conversion:
    """Converts one column, called by SQLite for every row; counts the values that do not fit."""

    def __init__(self, dialect: sa.Dialect, index: int, was: Column, now: Column) -> None:
        self.index = index
        self.name = f"pulsewire_converted_{index}"
        self._was = was
        self._now = now
        self._read = _impl(dialect, was).result_processor(dialect, None) or _same
        self._write = _impl(dialect, now).bind_processor(dialect) or _same
        self._seen: set[Any] = set()
        self._misfits = 0
        self._repeated = 0

    def __call__(self, raw: Any) -> Any:
        try:
            value = converted(self._was.type, self._now.type, self._read(raw))
            if value is None and self._now.required:
                raise ValueError
        except ValueError:
            self._misfits += 1
            return 0  # whatever is not null: the caller is going to undo the copy
        if self._now.unique and value is not None:
            self._repeated += value in self._seen
            self._seen.add(value)
        return self._write(value)

    def faults(self) -> Iterator[Fault]:
        if self._misfits:
            yield _misfit(self._now, self._misfits, self.index)
        if self._repeated:
            yield _clash(self._now, self._repeated, self.index)


def _impl(dialect: sa.Dialect, column: Column) -> TypeEngine[Any]:
    return SQL_TYPES[column.type]().dialect_impl(dialect)


def _same(value: Any) -> Any:
    return value


def _misfit(column: Column, count: int, index: int) -> Fault:
    message = (
        f"“{column.name}” cannot become {column.type}: {_rows(count)} a value that does not fit "
        f"(it {TAKES[column.type]}). Change them first."
    )
    return Fault("row.value_invalid", message, f"columns[{index}].type")


def _clash(column: Column, count: int, index: int) -> Fault:
    message = f"“{column.name}” cannot become {column.type}: {_rows(count)} a value that another row would have too."
    return Fault("row.not_unique", message, f"columns[{index}].type")


def _rows(count: int) -> str:
    return "1 row has" if count == 1 else f"{count:,} rows have"
