"""The ways through a flow against a program that tries every one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodes.spec import load
from runtime import document
from runtime.decisions import Decisions
from runtime.ways import Before, Ways

TYPES = load()
Json = Any
Edge = tuple[str, str, str]
KINDS: Mapping[str, tuple[dict[str, Json], tuple[str, ...]]] = {
    "plain": ({"type": "set_fields"}, ("out",)),
    "condition": ({"type": "condition"}, ("true", "false")),
    "same": ({"type": "condition", "params": {"if": "{{ $param.x }}"}}, ("true", "false")),  # one answer for all
    "switch": ({"type": "switch", "params": {"cases": ["a", "b"]}}, ("a", "b", "default")),
    "port": ({"type": "http_request", "on_error": "port"}, ("out", "error")),
    "goes_on": ({"type": "http_request", "on_error": "continue"}, ("out",)),
    "off": ({"type": "set_fields", "disabled": True}, ("out",)),
}


@st.composite
def flows(draw: st.DrawFn) -> tuple[dict[str, tuple[str, ...]], list[Edge], dict[str, dict[str, Json]]]:
    """Return the ports of each node, edges that make no circle, and the nodes of a document."""
    ports: dict[str, tuple[str, ...]] = dict.fromkeys(("t", "u")[: draw(st.integers(1, 2))], ("out",))
    nodes: dict[str, dict[str, Json]] = {name: {"type": "manual"} for name in ports}
    edges: list[Edge] = []
    for number in range(draw(st.integers(2, 7))):
        name = f"n{number}"
        sources = draw(st.lists(st.sampled_from([*ports]), min_size=1, max_size=3, unique=True))
        edges += [(source, draw(st.sampled_from(ports[source])), name) for source in sources]
        nodes[name], ports[name] = KINDS[draw(st.sampled_from([*KINDS, "same", "same"]))]
    return ports, edges, nodes


@given(flows())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_known_of_an_output_is_exactly_what_some_way_comes_to(
    drawn: tuple[dict[str, tuple[str, ...]], list[Edge], dict[str, dict[str, Json]]],
) -> None:
    ports, edges, nodes = drawn
    ways = Ways(_parsed(nodes, edges), TYPES)
    walks = list(_walks(ports, edges, {name for name, node in nodes.items() if node is KINDS["same"][0]}))

    for node in nodes:
        seen = [walk for walk in walks if walk.get(node) is not None]
        assert ways.can_run(node) == bool(seen)
        for other in nodes:
            if seen and ways.comes_before(node, other):
                found = ways.before(node, other)
                assert isinstance(found, Before)
                assert {each.port for each in found.fired} == {walk[other] for walk in seen} - {None}
                assert found.may_be_skipped == any(walk[other] is None for walk in seen)
                for port in ports[other]:
                    assert ways.has_fired(node, other, port) == all(walk[other] == port for walk in seen)


def _walks(ports: Mapping[str, tuple[str, ...]], edges: list[Edge], same: set[str]) -> Iterator[dict[str, str | None]]:
    """Yield of every way the port that each node fires, None where it is skipped."""
    triggers = [name for name in ports if name in ("t", "u")]
    rest = [name for name in ports if name not in triggers]
    for start in triggers:
        for chosen in product(*(ports[name] for name in rest)):
            if len({port for name, port in zip(rest, chosen, strict=True) if name in same}) > 1:
                continue
            fired: dict[str, str | None] = {name: "out" if name == start else None for name in triggers}
            for name, port in zip(rest, chosen, strict=True):
                is_taken = any(fired[source] == key for source, key, target in edges if target == name)
                fired[name] = port if is_taken else None
            yield fired


def _parsed(nodes: Mapping[str, Mapping[str, Json]], edges: list[Edge]) -> document.Document:
    parsed, problems = document.parse(
        {
            "format": document.FORMAT,
            "graph": {"id": "f", "name": "F"},
            "nodes": [{"id": name, **node} for name, node in nodes.items()],
            "edges": [{"source": source, "key": key, "target": target} for source, key, target in edges],
        }
    )
    assert parsed is not None, problems
    return parsed


def test_equal_conditions_are_the_same_object() -> None:
    decisions = Decisions()
    one, other = decisions.is_chosen(1, 0, 2), decisions.is_chosen(2, 1, 3)

    assert decisions.both(one, other) is decisions.both(other, one)
    assert decisions.negation(decisions.negation(one)) is one
    assert decisions.either(one, decisions.negation(one)) is True
    assert decisions.both(one, decisions.negation(one)) is False
    assert decisions.implies(decisions.both(one, other), one)
    assert not decisions.implies(one, other)
