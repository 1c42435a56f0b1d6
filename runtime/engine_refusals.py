"""What the engine says when it does not take something."""

from __future__ import annotations

from runtime.errors import Problem, TooLarge, Unavailable
from storage.errors import StorageBusy, StorageError, StorageFull
from storage.journal_events import RUNS_AT_ONCE


def unavailable(code: str, message: str) -> Unavailable:
    """Return a refusal that may pass."""
    return Unavailable(Problem(code, message))


def busy() -> Unavailable:
    """Return what is said while too many runs wait."""
    return unavailable("engine.busy", "Too many runs are waiting. Nothing was accepted. Send the event later.")


def not_begun() -> Unavailable:
    """Return what is said when something unexpected happened after the commit."""
    message = "Something unexpected happened in the engine. Send the event again with its id: it is stored once."
    return unavailable("engine.down", message)


def too_many_runs() -> TooLarge:
    """Return what is said of events that would start more runs than one commit may."""
    message = f"These events would start more than {RUNS_AT_ONCE:,} runs at once. Send fewer at a time."
    return TooLarge(Problem("event.too_many_runs", message))


def storage_unavailable(error: StorageError) -> Unavailable:
    """Return what is said when the database does not take a write."""
    if isinstance(error, StorageFull):
        return unavailable("storage.full", str(error))
    if isinstance(error, StorageBusy):
        return unavailable("storage.busy", str(error))
    return unavailable("engine.down", f"{error} Nothing was confirmed; try again.")
