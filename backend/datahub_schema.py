"""Data tables and their columns: what they are, which names they may have, and the SQL table behind them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from backend.datahub_values import SQL_TYPES
from backend.errors import BackendError, Fault

NAME_CHARS = 100
DESCRIPTION_CHARS = 2_000
COLUMNS = 100
COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
OWN_COLUMNS = ("id", "created_at", "updated_at")
ORDER = "$n"  # counts rows in the order they were added; no column a person names can be called so
UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, half surrogate pairs, line and paragraph separators


@dataclass(frozen=True)
class Column:
    """One column that a person made."""

    name: str
    type: str
    required: bool = False
    unique: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the published shape, without what is false."""
        shape: dict[str, Any] = {"name": self.name, "type": self.type}
        return shape | {key: True for key in ("required", "unique") if getattr(self, key)}


@dataclass(frozen=True)
class ColumnChange(Column):
    """A column as it shall be after a change; *was* is its present name, where that differs."""

    was: str | None = None

    def column(self) -> Column:
        return Column(self.name, self.type, self.required, self.unique)


@dataclass(frozen=True)
class Table:
    """A data table's settings; *row_count* is None where it was not asked for."""

    id: str
    name: str
    description: str
    columns: tuple[Column, ...]
    created_at: datetime
    updated_at: datetime
    row_count: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the published shape; times are ISO 8601 in UTC."""
        shape: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "columns": [column.as_json() for column in self.columns],
            "created_at": self.created_at.isoformat().replace("+00:00", "Z"),
            "updated_at": self.updated_at.isoformat().replace("+00:00", "Z"),
        }
        return shape if self.row_count is None else shape | {"row_count": self.row_count}


def columns_from(data: object) -> list[ColumnChange]:
    """Return the columns that the JSON array *data* describes; raises BackendError with every fault in it."""
    if not isinstance(data, list):
        raise BackendError(Fault("column.invalid", "Columns are a list of objects with a name and a type.", "columns"))
    faults: list[Fault] = []
    columns = []
    for index, item in enumerate(data):
        field = f"columns[{index}]"
        if not isinstance(item, dict):
            faults.append(Fault("column.invalid", "A column is an object with a name and a type.", field))
            continue
        for key in item.keys() - {"name", "type", "required", "unique", "was"}:
            faults.append(Fault("column.invalid", f"A column has no setting {_quoted(key)}.", field))
        columns.append(
            ColumnChange(
                name=item.get("name", ""),
                type=item.get("type", ""),
                required=item.get("required", False),
                unique=item.get("unique", False),
                was=item.get("was"),
            )
        )
    if faults:
        raise BackendError(*faults)
    return columns


def name_faults(name: object) -> Iterator[Fault]:
    """Yield what is wrong with a table's name."""
    if not isinstance(name, str) or not name.strip():
        yield Fault("table.name_invalid", "A table needs a name.", "name")
    elif len(name.strip()) > NAME_CHARS:
        yield Fault("table.name_invalid", f"A table name has at most {NAME_CHARS} characters.", "name")
    elif any(unicodedata.category(char) in UNPRINTABLE for char in name):
        yield Fault("table.name_invalid", "A table name is one line of printable characters.", "name")


def description_faults(text: object) -> Iterator[Fault]:
    """Yield what is wrong with a table's description."""
    if not isinstance(text, str) or len(text) > DESCRIPTION_CHARS:
        message = f"A description is text of at most {DESCRIPTION_CHARS:,} characters."
        yield Fault("table.description_invalid", message, "description")
    elif any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\r\t" for char in text):
        yield Fault("table.description_invalid", "A description has printable characters only.", "description")


def column_faults(columns: Sequence[Column]) -> Iterator[Fault]:
    """Yield everything wrong with a list of columns."""
    if len(columns) > COLUMNS:
        yield Fault("column.too_many", f"A table has at most {COLUMNS} columns.", "columns")
        return
    seen: set[str] = set()
    for index, column in enumerate(columns):
        field = f"columns[{index}]"
        if not isinstance(column.name, str) or not COLUMN_NAME.fullmatch(column.name):
            message = "A column name has 1 to 63 letters (A–Z), digits or _, and does not begin with a digit."
            yield Fault("column.name_invalid", message, f"{field}.name")
        elif column.name.lower() in OWN_COLUMNS:
            message = f"Every table already has a column “{column.name.lower()}”. Choose another name."
            yield Fault("column.name_taken", message, f"{field}.name")
        elif column.name.lower() in seen:
            message = f"There are two columns “{column.name}”. Names must differ by more than case."
            yield Fault("column.name_taken", message, f"{field}.name")
        else:
            seen.add(column.name.lower())
        if not isinstance(column.type, str) or column.type not in SQL_TYPES:
            yield Fault("column.type_unknown", f"A column's type is one of {', '.join(SQL_TYPES)}.", f"{field}.type")
        elif column.type == "json" and column.unique:
            yield Fault("column.unique_invalid", "A JSON column cannot be unique.", f"{field}.unique")
        for key in ("required", "unique"):
            if not isinstance(getattr(column, key), bool):
                yield Fault("column.invalid", f"“{key}” is true or false.", f"{field}.{key}")


def folded(name: str) -> str:
    """Return what two table names have in common when they count as the same."""
    return unicodedata.normalize("NFC", name).casefold()


def physical_table(physical: str, columns: Sequence[Column]) -> sa.Table:
    """Return the SQL table *physical* with our own columns and the person's *columns*; times are naive UTC."""
    return sa.Table(
        physical,
        sa.MetaData(),
        sa.Column(ORDER, sa.Integer, primary_key=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True, index=True),  # an index that can be made last
        sa.Column("created_at", sa.DateTime, nullable=False, index=True),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        *(sa.Column(column.name, SQL_TYPES[column.type](), nullable=not column.required) for column in columns),
        *(
            sa.Index(f"ix_{physical}_{index}", column.name, unique=column.unique)
            for index, column in enumerate(columns)
            if column.unique
        ),
    )


def types_of(columns: Sequence[Column]) -> Mapping[str, str]:
    """Return the type of every column by name, our own included."""
    return {"id": "uuid"} | {c.name: c.type for c in columns} | {"created_at": "datetime", "updated_at": "datetime"}


def _quoted(key: object) -> str:
    text = str(key).encode(errors="replace").decode()
    return f"“{text if len(text) <= NAME_CHARS else text[:NAME_CHARS] + '…'}”"
