"""Automatic layout: columns by the way from the trigger, children by their ports, nothing on top of anything."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

from runtime.layout import CARD, COLUMN, GRID, arrange


def flow(edges: list[tuple[str, str, str]], *lone: str) -> dict[str, Any]:
    ids = dict.fromkeys([end for source, _port, target in edges for end in (source, target)])
    return {
        "nodes": [{"id": node_id} for node_id in (*ids, *lone)],
        "edges": [{"source": source, "target": target, "key": port} for source, port, target in edges],
    }


def big(count: int) -> dict[str, Any]:
    chance = random.Random(7)
    return flow(
        [(f"n{chance.randrange(max(0, i - 8), i)}", chance.choice(["true", "false"]), f"n{i}") for i in range(1, count)]
    )


def test_a_chain_is_a_straight_line() -> None:
    places = arrange(flow([("a", "out", "b"), ("b", "out", "c")]))

    assert places == {"a": [0, 0], "b": [COLUMN, 0], "c": [2 * COLUMN, 0]}


def test_children_stand_in_the_order_of_their_ports() -> None:
    places = arrange(flow([("if", "false", "no"), ("if", "error", "bad"), ("if", "true", "yes")]))

    assert places["yes"][1] < places["no"][1] < places["bad"][1]
    assert places["if"][1] == places["no"][1]


def test_the_declared_order_of_ports_counts() -> None:
    ports = {"s": ["b", "a", "default"]}

    places = arrange(flow([("s", "a", "x"), ("s", "b", "y")]), ports_of=lambda node_id: ports.get(node_id, []))

    assert places["y"][1] < places["x"][1]


def test_a_join_stands_after_its_longest_way() -> None:
    places = arrange(flow([("t", "out", "a"), ("a", "out", "b"), ("b", "out", "j"), ("t", "out", "j")]))

    assert places["j"][0] == 3 * COLUMN


def test_a_second_trigger_stands_just_before_what_it_starts() -> None:
    places = arrange(flow([("t", "out", "a"), ("a", "out", "b"), ("late", "out", "b")]))

    assert places["late"][0] == COLUMN


def test_what_is_not_connected_stands_below() -> None:
    places = arrange(flow([("a", "out", "b"), ("c", "out", "d")], "lone"))

    assert places["a"][1] < places["c"][1] < places["lone"][1]
    assert places["c"][0] == places["lone"][0] == 0


def test_a_cycle_is_arranged_all_the_same() -> None:
    assert set(arrange(flow([("a", "out", "b"), ("b", "out", "a"), ("b", "out", "b")]))) == {"a", "b"}


def test_nothing_overlaps_and_everything_is_on_the_grid() -> None:
    heights = {f"n{number}": 64 + 20 * (number % 4) for number in range(200)}

    places = arrange(big(200), lambda node_id: (CARD[0], heights[node_id]))

    assert all(x % GRID == 0 and y % GRID == 0 for x, y in places.values())
    for (one, (x1, y1)), (other, (x2, y2)) in combinations(places.items(), 2):
        assert x1 != x2 or y1 + heights[one] <= y2 or y2 + heights[other] <= y1


def test_the_same_flow_gives_the_same_places() -> None:
    assert arrange(big(80)) == arrange(big(80))


def test_an_empty_flow_has_no_places() -> None:
    assert arrange(flow([])) == {}
