"""The events of the built-in backend. A class holds the published name; its fields are the published payload.

They are written in the transaction of the change itself, once per operation; a rollback drops them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from sqlmodel import Session


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in the backend."""

    name: ClassVar[str]

    def payload(self) -> dict[str, Any]:
        """Return the payload as JSON values."""
        return {key: str(value) if isinstance(value, UUID) else value for key, value in vars(self).items()}


Record = Callable[[Session, Event], None]
"""Writes an event in the session's transaction."""


@dataclass(frozen=True, kw_only=True)
class DataTableEvent(Event):
    ID: UUID
    Name: str
    Description: str


@dataclass(frozen=True, kw_only=True)
class DataTableCreated(DataTableEvent):
    """A data table was created."""

    name: ClassVar[str] = "api.dataTable_created"


@dataclass(frozen=True, kw_only=True)
class DataTableUpdated(DataTableEvent):
    """A data table's name, description or columns were changed."""

    name: ClassVar[str] = "api.dataTable_updated"


@dataclass(frozen=True, kw_only=True)
class DataTableEmptied(DataTableEvent):
    """A data table was cleared: `Clear table` in its settings menu, or the API."""

    name: ClassVar[str] = "api.dataTable_emptied"


@dataclass(frozen=True, kw_only=True)
class DataTableDeleted(DataTableEvent):
    """A data table was deleted."""

    name: ClassVar[str] = "api.dataTable_deleted"
