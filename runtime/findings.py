"""What the reader of an expression finds wrong, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from runtime import wording


class Finding(NamedTuple):
    """One thing that is wrong in a text, and what to write in the place of these characters."""

    code: str
    message: str
    position: int
    length: int
    severity: str
    suggestion: str | None = None


class NoOutput(NamedTuple):
    """Why ``$action`` has no output of some name, and which name was probably meant."""

    code: str
    message: str
    meant: str | None = None


Explain: TypeAlias = Callable[[str], NoOutput]


def unexplained(name: str) -> NoOutput:
    """Return what there is to say where nothing is known of the flow."""
    return NoOutput("expression.node_unknown", f"there is no node “{wording.shown(name)}”")
