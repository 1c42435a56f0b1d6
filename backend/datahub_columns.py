"""Changing the columns of a data table that has rows: the values move to a new SQL table, or nothing changes.

A fresh table and one copy serve every mix of added, renamed, retyped, reordered and dropped columns alike, and a
statement prepared for the old shape can only miss, never write to the wrong column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from backend.datahub_rows import RowSet
from backend.datahub_schema import ORDER, OWN_COLUMNS, Column, ColumnChange
from backend.datahub_values import TAKES, converted
from backend.errors import BackendError, Fault

AT_ONCE = 1_000  # rows converted and written together

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
    new.sql.create(connection)
    if any(was.type != now.type for _, was, now in moves):
        _copy_converting(connection, old, new, moves)
    else:
        _copy(connection, old, new, moves)
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


def _copy(connection: sa.Connection, old: RowSet, new: RowSet, moves: Sequence[Move]) -> None:
    own = [ORDER, *OWN_COLUMNS]
    source = [old.sql.c[name] for name in own] + [old.sql.c[was.name] for _, was, _ in moves]
    target = own + [now.name for *_, now in moves]
    connection.execute(sa.insert(new.sql).from_select(target, sa.select(*source).order_by(old.sql.c[ORDER])))


def _copy_converting(connection: sa.Connection, old: RowSet, new: RowSet, moves: Sequence[Move]) -> None:
    misfits: dict[int, int] = {}
    repeated: dict[int, int] = {}
    seen: dict[int, set[Any]] = {i: set() for i, was, now in moves if now.unique and was.type != now.type}
    number, last = old.sql.c[ORDER], -1
    query = sa.select(number, *old.shown).where(number > sa.bindparam("last")).order_by(number).limit(AT_ONCE)
    while rows := connection.execute(query, {"last": last}).mappings().all():
        last = rows[-1][ORDER]
        batch = []
        for row in rows:
            values = {name: row[name] for name in (ORDER, *OWN_COLUMNS)} | {c.name: None for c in new.columns}
            for index, was, now in moves:
                try:
                    value = converted(was.type, now.type, row[was.name])
                except ValueError:
                    misfits[index] = misfits.get(index, 0) + 1
                    continue
                if index in seen and value is not None:
                    repeated[index] = repeated.get(index, 0) + (value in seen[index])
                    seen[index].add(value)
                if value is None and now.required:
                    misfits[index] = misfits.get(index, 0) + 1
                values[now.name] = value
            batch.append(values)
        if not misfits and not any(repeated.values()):
            connection.execute(sa.insert(new.sql), batch)
    faults = [_misfit(new.columns[index], count, index) for index, count in sorted(misfits.items())]
    faults += [_clash(new.columns[index], count, index) for index, count in sorted(repeated.items()) if count]
    if faults:
        raise BackendError(*faults)


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
