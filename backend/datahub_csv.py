"""Data tables as CSV (RFC 4180, UTF-8), safe to open in a spreadsheet and read back without loss.

A text cell that a spreadsheet would run as a formula gets an apostrophe in front, which reading takes off again.
An empty cell is an empty value.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import sqlalchemy as sa

from backend.datahub_rows import FAULTS, Row, RowSet
from backend.datahub_schema import OWN_COLUMNS, Column
from backend.datahub_values import JSON_BYTES, TAKES, TEXT_CHARS, from_text, to_text
from backend.errors import BackendError, Fault

IMPORT_ROWS = 500_000
FORMULA = re.compile(r"'*[=+\-@\t\r]")
QUOTED_FORMULA = re.compile(r"'+[=+\-@\t\r]")
AT_ONCE = 500  # lines in one piece of text
SPOOL_CHARS = 1_000_000  # kept in memory; more goes to a file
PIECE_CHARS = 65_536


def written(types: Mapping[str, str], rows: Iterable[sa.Row[Any]]) -> Iterator[str]:
    """Yield CSV text in pieces: a line of column names, then every row."""
    buffer = StringIO()
    writer = csv.writer(buffer)
    writer.writerow(types)
    kinds = list(types.values())
    for number, row in enumerate(rows, 1):
        writer.writerow([_cell(kind, value) for kind, value in zip(kinds, row, strict=True)])
        if number % AT_ONCE == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def spooled(pieces: Iterable[str], directory: Path) -> Iterator[str]:
    """Take all of *pieces* at once and return them to be read at leisure, in a file in *directory* if they are many.

    Raises OSError if the disk is full.
    """
    file = SpooledTemporaryFile(  # noqa: SIM115 - closed when it was read
        max_size=SPOOL_CHARS, mode="w+", encoding="utf-8", newline="", dir=str(directory)
    )
    try:
        for piece in pieces:
            file.write(piece)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return _read_back(file)


def read(rows: RowSet, text: Iterable[str]) -> tuple[list[Row], list[int]]:
    """Return the stored values of every line of *text* and the number of the line each begins at.

    The first line names the columns, in any order; ``id``, ``created_at`` and ``updated_at`` are left out.
    Raises BackendError with faults of code ``csv.invalid`` whose field is like ``lines[3].total``.
    """
    csv.field_size_limit(max(TEXT_CHARS, JSON_BYTES))
    reader = csv.reader(_lines(text), strict=True)
    faults: list[Fault] = []
    values: list[Row] = []
    numbers: list[int] = []
    try:
        header = next(reader, None)
        columns = _columns(rows.columns, header)
        while len(faults) < FAULTS:
            start = reader.line_num + 1
            cells = next(reader, None)
            if cells is None:
                break
            if cells:  # an empty line is no row
                values.append(_values(rows, columns, cells, start, faults))
                numbers.append(start)
            if len(values) > IMPORT_ROWS:
                raise BackendError(Fault("csv.invalid", f"A file has at most {IMPORT_ROWS:,} rows.", f"lines[{start}]"))
    except (csv.Error, UnicodeError) as error:
        message = f"Line {reader.line_num}: this is not CSV in UTF-8. Check the quotes in this line."
        raise BackendError(Fault("csv.invalid", message, f"lines[{reader.line_num}]")) from error
    if faults:
        raise BackendError(*faults[:FAULTS])
    return values, numbers


def _values(rows: RowSet, columns: Sequence[Column | None], cells: list[str], line: int, faults: list[Fault]) -> Row:
    values: Row = {column.name: None for column in rows.columns}
    if len(cells) != len(columns):
        message = f"Line {line}: {len(cells)} cells where the first line has {len(columns)}."
        faults.append(Fault("csv.invalid", message, f"lines[{line}]"))
        return values
    for column, cell in zip(columns, cells, strict=True):
        if column is None:
            continue
        try:
            values[column.name] = from_text(column.type, _plain(column.type, cell))
        except ValueError:
            faults.append(_fault(line, column, TAKES[column.type]))
    for column in rows.columns:
        if column.required and values[column.name] is None and not any(f.field == _field(line, column) for f in faults):
            faults.append(_fault(line, column, "needs a value"))
    return values


def _columns(columns: Sequence[Column], header: list[str] | None) -> list[Column | None]:
    by_name = {column.name.lower(): column for column in columns}
    found: list[Column | None] = []
    faults = []
    for number, cell in enumerate(header or (), 1):
        name = cell.strip().lower()
        if name not in by_name and name not in OWN_COLUMNS:
            shown = cell.strip()[:63].encode(errors="replace").decode()
            message = f"Line 1, cell {number}: the table has no column “{shown}”."
            faults.append(Fault("csv.invalid", message, f"lines[1].{shown}"))
        elif name in by_name and by_name[name] in found:
            faults.append(Fault("csv.invalid", f"Line 1: “{by_name[name].name}” is there twice.", f"lines[1].{name}"))
        found.append(by_name.get(name))
    if not any(found) and not faults:
        faults.append(Fault("csv.invalid", "Line 1 names no column of the table.", "lines[1]"))
    if faults:
        raise BackendError(*faults[:FAULTS])
    return found


def _lines(text: Iterable[str]) -> Iterator[str]:
    """Yield whole lines with their ends from pieces of any size, without a byte order mark in front."""
    rest = ""
    is_first = True
    for piece in text:
        if is_first and piece:
            piece = piece.removeprefix("\ufeff")
            is_first = False
        *lines, rest = (rest + piece).split("\n")  # only \n: a cell may hold other line ends
        yield from (line + "\n" for line in lines)
    if rest:
        yield rest


def _cell(kind: str, value: Any) -> str:
    text = to_text(kind, value)
    return f"'{text}" if kind in ("text", "json") and FORMULA.match(text) else text


def _plain(kind: str, cell: str) -> str:
    return cell[1:] if kind in ("text", "json") and QUOTED_FORMULA.match(cell) else cell


def _read_back(file: SpooledTemporaryFile[str]) -> Iterator[str]:
    with file:
        while piece := file.read(PIECE_CHARS):
            yield piece


def _taken(buffer: StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _field(line: int, column: Column) -> str:
    return f"lines[{line}].{column.name}"


def _fault(line: int, column: Column, what: str) -> Fault:
    return Fault("csv.invalid", f"Line {line}: “{column.name}” {what}.", _field(line, column))
