"""What the backend refuses, in words for the person who asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request; *field* is the input it belongs to, such as ``columns[2].name``."""

    code: str
    message: str
    field: str | None = None


class BackendError(Exception):
    """A request that was refused and changed nothing; carries every fault found."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


class NotFound(BackendError):
    """What was named does not exist."""


class Conflict(BackendError):
    """It clashes with something that exists."""


class StorageFull(BackendError):
    """The disk holding the database has no room left."""


class StorageBusy(BackendError):
    """Another process kept the database locked; trying again in a moment may help."""
