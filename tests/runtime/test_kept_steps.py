from __future__ import annotations

from typing import Any

import pytest

from nodes import spec
from nodes.spec import Context, NodeType, Output, Params, Port, action
from runtime.document import Document, parse
from runtime.kept_steps import Settled, Shape, kept


class ListParams(Params):
    pass


@action(title="Each", category="Logic", ports=(Port("each"), Port("done")), body_port="each")
def each(params: ListParams, ctx: Context) -> Output:
    raise NotImplementedError


TYPES: dict[str, NodeType] = {"each": each, "set_fields": spec.load()["set_fields"], "manual": spec.load()["manual"]}
LOOP = ["start>first", "first>loop", "loop.each>a", "a>b", "loop.done>after", "start>beside"]


def flow(edges: list[str]) -> Document:
    """Return a flow of such edges: ``start`` is its trigger, what is called ``loop`` or ``inner`` repeats."""
    pairs = [edge.split(">") for edge in edges]
    names = dict.fromkeys(end.partition(".")[0] for pair in pairs for end in pair)
    kinds = {"start": "manual", "loop": "each", "inner": "each"}
    document, problems = parse(
        {
            "format": "pulsewire.flow/1",
            "graph": {"id": "f", "name": "f"},
            "nodes": [{"id": name, "type": kinds.get(name, "set_fields")} for name in names],
            "edges": [
                {"source": source.partition(".")[0], "key": source.partition(".")[2] or "out", "target": target}
                for source, target in pairs
            ],
        }
    )
    assert document, problems
    return document


def steps(text: str) -> list[Settled]:
    """Return steps written as ``node@iteration=status``; what succeeded fired ``out``."""
    found = []
    for word in text.split():
        place, _, status = word.partition("=")
        node, _, iteration = place.partition("@")
        found.append(Settled(node, iteration, status or "succeeded", None if status else "out"))
    return found


def written(document: Document, text: str, **how: Any) -> str:
    places = kept(document, TYPES, steps(text), **how)
    return " ".join(f"{node}@{iteration}" if iteration else node for node, iteration in places)


def test_loops_around_a_node_are_told_from_the_outside_to_the_inside():
    shape = Shape(flow(["start>loop", "loop.each>inner", "inner.each>a", "inner.done>b", "loop.done>c"]), TYPES)

    assert {node: shape.loops_around(node) for node in shape.nodes} == {
        "start": (),
        "loop": (),
        "inner": ("loop",),
        "a": ("loop", "inner"),
        "b": ("loop",),
        "c": (),
    }


@pytest.mark.parametrize(
    ("edges", "then", "how", "expected"),
    [
        pytest.param(["start>a", "a>b", "b>c"], "start a b=failed c=skipped", {}, "a start", id="what failed"),
        pytest.param(["start>a", "a>b", "start>c"], "start a=unknown b=skipped c", {}, "c start", id="beside it"),
        pytest.param(["start>a", "a>b"], "start a b", {"begin": ["a"]}, "start", id="the node to begin at"),
        pytest.param(["start>a", "a>b", "b>c"], "start a c", {}, "a start", id="what follows a node that is new"),
        pytest.param(
            LOOP,
            "start first loop=waiting a@0 b@0 a@1 b@1=failed after=skipped beside",
            {},
            "a@0 a@1 b@0 beside first start",
            id="finished items of a loop",
        ),
        pytest.param(
            LOOP,
            "start first loop=waiting a@0 b@0 a@1 b@1=failed after=skipped beside",
            {"with_items": False},
            "beside first start",
            id="no items",
        ),
        pytest.param(
            LOOP, "start first loop a@0 b@0 after beside", {"begin": ["b"]}, "beside first start", id="from in a loop"
        ),
        pytest.param(
            LOOP, "start first loop a@0 b@0 after beside", {"begin": ["after"]}, "beside first loop start", id="after"
        ),
        pytest.param(
            LOOP,
            "start first loop a@0 b@0 a@1 b@1=failed after=failed beside",
            {},
            "beside first loop start",
            id="a loop that passed over a failed item",
        ),
        pytest.param(
            LOOP, "start first=failed loop=skipped a@0 beside", {}, "beside start", id="no items where it begins anew"
        ),
        pytest.param(
            ["start>loop", "loop.each>inner", "inner.each>a", "inner.done>b"],
            "start loop=running inner@0 a@0.0 b@0 inner@1=running a@1.0 a@1.1=failed",
            {},
            "a@1.0 b@0 inner@0 start",
            id="a loop in a loop",
        ),
    ],
)
def test_kept_is_what_depends_on_nothing_that_is_done_again(
    edges: list[str], then: str, how: dict[str, Any], expected: str
):
    assert written(flow(edges), then, **how) == expected


def test_failure_that_led_somewhere_is_kept():
    caught = Settled("a", "", "failed", "error")

    places = kept(flow(["start>a", "a>b"]), TYPES, [*steps("start"), caught, Settled("b", "", "failed", None)])

    assert places == [("a", ""), ("start", "")]


def test_node_of_another_type_is_done_again_with_what_follows_it():
    former, now = flow(["start>a", "a>b"]), flow(["start>a", "a>b"])
    now = now.model_copy(
        update={"nodes": [n.model_copy(update={"type": "each"}) if n.id == "a" else n for n in now.nodes]}
    )

    assert written(now, "start a b", former=former) == "start"


def test_node_that_lost_the_port_it_fired_is_done_again():
    former = flow(["start>a", "a>b", "b>c"])
    odd = [*steps("start b c"), Settled("a", "", "succeeded", "was_there")]

    places = kept(flow(["start>a", "a>b", "b>c"]), TYPES, odd, former=former)

    assert places == [("start", "")]
