"""What the reader of an expression finds wrong, and where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from runtime import wording
from runtime.access import closest
from runtime.narrowing import Facts


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


class Around(Protocol):
    """What the flow around an expression tells about the outputs of its nodes."""

    def no_output(self, name: str) -> NoOutput:
        """Return why ``$action`` has no output of this name."""

    def closest(self, name: str, names: Iterable[str], alike: float) -> str | None:
        """Return the name most like *name*, as ``access.closest`` does; None when that was asked very often."""

    def has_run(self, name: str, facts: Facts) -> bool:
        """Return whether a node has run wherever *facts* hold."""

    def asked(self, question: str, answer: bool) -> Facts:
        """Return the results of the conditions of the flow that ask the same."""


class Nowhere:
    """What there is to say where nothing is known of the flow."""

    def no_output(self, name: str) -> NoOutput:
        return NoOutput("expression.node_unknown", f"there is no node “{wording.shown(name)}”")

    def closest(self, name: str, names: Iterable[str], alike: float) -> str | None:
        return closest(name, names, alike)

    def has_run(self, name: str, facts: Facts) -> bool:
        return False

    def asked(self, question: str, answer: bool) -> Facts:
        return {}


NOWHERE = Nowhere()
