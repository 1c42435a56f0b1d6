"""Loops under way: which rounds are open, what they gave, and when the loop has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime import limits
from runtime.graph import PlanNode
from runtime.parts import Part
from runtime.records import Place
from runtime.run_secrets import text_of
from runtime.scope import Scope
from runtime.steps import Outcome
from runtime.walk import Walk

if TYPE_CHECKING:
    from nodes.spec import EachItem


class Attempt(NamedTuple):
    """One call of a step's node: the how-manieth, since when, and its input as JSON (None: as it is recorded)."""

    frame: Frame
    node: PlanNode
    number: int
    started: int
    text: str | None = None

    @property
    def place(self) -> Place:
        return Place(self.node.id, self.frame.iteration)


class Frame:
    """One way through a part: the run's own, or one round of a loop.

    *active* counts what is under way in it, loops included; *leaves* are the outputs that nothing in the part follows.
    """

    __slots__ = ("active", "error", "is_closed", "iteration", "leaves", "loop", "number", "outputs", "scope", "walk")

    def __init__(
        self, part: Part, scope: Scope, outputs: dict[str, Any], loop: Loop | None = None, number: int = 0
    ) -> None:
        self.walk = Walk(part)
        self.scope = scope
        self.outputs = outputs
        self.iteration = "" if loop is None else loop.iteration(number)
        self.number = number
        self.loop = loop
        self.active = 0
        self.leaves: dict[str, Any] = {}
        self.error: dict[str, Any] | None = None  # set: nothing more is started in it
        self.is_closed = False

    @property
    def result(self) -> Any:
        """What the round gave: the output of the step that ended it; of several an object by node, of none null."""
        if len(self.leaves) == 1:
            return next(iter(self.leaves.values()))
        return {node: self.leaves[node] for node in self.walk.order if node in self.leaves} or None


class Loop:
    """A loop step under way; *items* is None for one that goes on as long as a condition holds."""

    def __init__(self, attempt: Attempt, each: EachItem | None) -> None:
        self.attempt = attempt
        self.frame = attempt.frame
        self.node = attempt.node
        self.items: Sequence[Any] | None = None if each is None else each.items
        self.parallel = 1 if each is None else each.parallel
        self.goes_on = each is not None and each.goes_on
        self.next = 0
        self.running: set[Frame] = set()
        self.results: list[Any] | None = [] if each is None else [None] * len(each.items)  # None: they are too large
        self.last: Any = None  # what the round before gave
        self._chars = 0  # of the results as JSON
        self.errors: list[dict[str, Any]] = []
        self.failure: dict[str, Any] | None = None  # why no further round is started

    def iteration(self, number: int) -> str:
        """Return how steps of round *number* are told apart."""
        return f"{self.frame.iteration}.{number}" if self.frame.iteration else str(number)

    def close(self, frame: Frame) -> None:
        """Take in what a round came to."""
        self.running.discard(frame)
        if frame.error is None:
            self.take(frame.number, frame.result)
        elif self.goes_on and self.failure is None:
            error = frame.error
            self.errors.append({"index": frame.number, "message": error.get("message"), "code": error.get("code")})
        else:
            self.failure = self.failure or {**frame.error, "index": frame.number}

    def take(self, number: int, result: Any) -> None:
        """Keep what round *number* gave, unless all together are too large."""
        self.last = result
        if self.results is None:
            return
        self._chars += len(text_of(result)[0]) + 1
        if self._chars > limits.LOOP_OUTPUT_BYTES:
            self.results = None
        elif self.items is None:
            self.results.append(result)
        else:
            self.results[number] = result

    def outcome(self) -> Outcome:
        """Return what the loop comes to; results that are too large together are left out."""
        outputs = self.results
        if outputs is not None and len(text_of(outputs)[0]) > limits.LOOP_OUTPUT_BYTES:
            outputs = None
        found: dict[str, Any] = {"outputs": outputs}
        if self.items is None:
            found["rounds"] = self.next
        else:
            errors = sorted(self.errors, key=lambda error: error["index"])[: limits.LOOP_ERRORS]
            found |= {"count": len(self.items), "failed": len(self.errors), "errors": errors}
        text, sealed = text_of(found)
        return Outcome(self.node.passes_on or "done", found, text, sealed=sealed)


def numbers(iteration: str) -> tuple[int, ...]:
    """Return the numbers of the rounds that *iteration* names, the outermost first."""
    return tuple(int(number) for number in iteration.split(".") if number)
