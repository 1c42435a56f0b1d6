"""What is certain of other nodes' outputs in one node, by what an expression has asked before it reads them.

Where ``$action.a is defined`` did not hold, *a* was skipped, and a node that runs whenever *a* does not has run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime import shapes
from runtime.findings import NoOutput
from runtime.narrowing import Fact, Facts, Path

if TYPE_CHECKING:
    from runtime.knowledge import Knowledge


@dataclass(frozen=True, slots=True)
class Certainty:
    """What the flow tells about the outputs of others in the node *node_id*."""

    knowledge: Knowledge
    node_id: str

    def no_output(self, name: str) -> NoOutput:
        """Return why ``$action`` has no output of this name."""
        return self.knowledge.no_output(self.node_id, name)

    def closest(self, name: str, names: Iterable[str], alike: float) -> str | None:
        """Return the name most like *name*; None when that was asked very often."""
        return self.knowledge.closest(name, names, alike)

    def has_run(self, name: str, facts: Facts) -> bool:
        """Return whether the node *name* has run wherever *facts* hold."""
        if not facts or not self.knowledge.has_output_at(self.node_id, name):
            return False
        skipped = [str(path[1]) for path in self._absent(facts) if self._was_skipped(path)]
        fired = list(self._fired(facts))
        return bool(skipped or fired) and self.knowledge.ways.has_run(self.node_id, name, skipped, fired)

    def asked(self, question: str, answer: bool) -> Facts:
        """Return the results that conditions have, or would have, that ask the same in this round of the loops."""
        frames = self.knowledge.ways.frames_of(self.node_id)
        return {
            ("action", node, field): Fact(truth=answer == is_affirmed)
            for node, field, is_affirmed in self.knowledge.questions.get(question, ())
            if self.knowledge.ways.frames_of(node) == frames
        }

    def _absent(self, facts: Facts) -> Iterator[Path]:
        for path, fact in facts.items():
            if not fact.is_there and path[0] == "action" and len(path) > 1:
                yield path

    def _was_skipped(self, path: Path) -> bool:
        """Return whether nothing but that its node was skipped can be why the path leads to nothing."""
        name, rest = str(path[1]), path[2:]
        node = self.knowledge.ways.nodes.get(name)
        if node is None or node.disabled or not self.knowledge.has_output_at(self.node_id, name):
            return False
        before = self.knowledge.ways.before(self.node_id, name)
        if before is None or (rest and any(each.is_empty or each.has_failed for each in before.fired)):
            return False
        at = self.knowledge.output_of(name)
        for key in rest:
            if at.kinds != {"object"} or key not in at.fields or at.fields[str(key)].is_hint:
                return False
            at = shapes.reach(at, key)
            if at.is_absent or at.missing:
                return False
        return True

    def _fired(self, facts: Facts) -> Iterator[tuple[str, str]]:
        """Yield the conditions whose answer the expression has asked for, and the port that each fired."""
        for path, fact in facts.items():
            is_asked = path[0] == "action" and len(path) == 3 and fact.is_there and fact.truth is not None
            if is_asked and self.knowledge.is_yes_or_no(str(path[1]), str(path[2])):
                yield str(path[1]), "true" if fact.truth else "false"
