"""What the checker promises of outputs, held against drawn runs of drawn flows.

A node is read as there, as perhaps missing or as never there; the plain rules of flows say what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.document import Document, parse
from runtime.knowledge import Knowledge
from runtime.validation import check
from tests.runtime.conftest import Calls, node_types
from tests.runtime.semantics.interpreter import Frame, Interpreter, Step
from tests.runtime.semantics.strategies import Case, Kinds, cases

TYPES = node_types(Calls())
ACTIONS = ("call", "echo", "condition", "condition", "switch", "for_each", "while_loop", "wait_for_event", "run_flow")
FOR_CERTAIN = frozenset({"expression.output_missing", "expression.field_unknown", "expression.item_outside"})


class Watching(Interpreter):
    """Runs one flow once, and keeps for each step what ``$action`` held when it began and what it came to."""

    def __init__(self, case: Case) -> None:
        super().__init__(case.document, case.world)
        self.seen: list[tuple[str, Mapping[str, Any], Step]] = []

    def _step(self, node: Mapping[str, Any], frame: Frame) -> Step:
        outputs = dict(frame.outputs)
        step = super()._step(node, frame)
        self.seen.append((node["id"], outputs, step))
        return step


def run_of(case: Case) -> tuple[Document, Watching]:
    case.told()  # rejects what is not settled
    watching = Watching(case)
    watching.run(case.trigger, case.payload)
    document, problems = parse(case.document)
    assert document is not None, problems
    return document, watching


LIKE_ALL = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
DRAWN: st.SearchStrategy[Case] = cases(Kinds(actions=ACTIONS, has_test_runs=False))


@LIKE_ALL
@given(case=DRAWN)
def test_an_output_is_there_exactly_where_it_is_said_to_be(case: Case) -> None:
    document, watching = run_of(case)
    knowledge = Knowledge(document, TYPES)

    for node, outputs, _step in watching.seen:
        for other, shape in knowledge.scope_of(node)["action"].fields.items():
            if other not in outputs:
                assert shape.missing, f"{other} is missing in {node}"
                continue
            assert not shape.is_absent, f"{other} is there in {node}"
            assert ("null" if outputs[other] is None else "object") in shape.kinds, f"{other} in {node}"


@LIKE_ALL
@given(case=DRAWN)
def test_a_step_with_an_error_in_an_expression_fails(case: Case) -> None:
    document, watching = run_of(case)
    wrong = {
        problem.node
        for problem in check(document, TYPES)
        if problem.code in FOR_CERTAIN and problem.severity == "error"
    }

    assert [node for node, _outputs, step in watching.seen if node in wrong and step.status == "succeeded"] == []
