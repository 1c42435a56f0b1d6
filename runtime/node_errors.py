"""Refusals of the backend as a node meets them: in the backend's own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backend.errors import BackendError, StorageBusy, StorageFull
from backend.mail import MailDelayed
from backend.passwords import Busy
from nodes.spec import NodeError, TemporaryError

TEMPORARY = (MailDelayed, StorageBusy, StorageFull, Busy)


@contextmanager
def as_node_errors() -> Iterator[None]:
    """Raise what the backend refuses as NodeError, or as TemporaryError where trying again may help."""
    try:
        yield
    except BackendError as error:
        first = error.faults[0] if error.faults else None
        kind = TemporaryError if isinstance(error, TEMPORARY) else NodeError
        raise kind(str(error), code=first.code if first else "backend.refused") from error


def undeclared(what: str) -> NodeError:
    """Return the refusal of something that the node's declaration does not name."""
    return NodeError(f"This node says that it does not {what}.", code="node.effect_undeclared")
