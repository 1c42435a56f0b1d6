"""Runs that wait for each other's places are found, and none that will get one."""

from __future__ import annotations

import pytest

from runtime.deadlocks import deadlocked

Holders = dict[int, list[int] | None]


@pytest.mark.parametrize(
    ("waits_for", "holders", "stuck"),
    [
        ({1: {11}, 2: {12}}, {11: [2], 12: [1]}, {11, 12}),
        ({1: {11}, 2: {12}, 3: {13}}, {11: [2], 12: [3], 13: [1]}, {11, 12, 13}),
        ({1: {11}, 2: {12}}, {11: [2], 12: [1, 5]}, set()),
        ({1: {11}, 2: {12}}, {11: [2], 12: None}, set()),
        ({1: {3}, 3: {11}, 2: {12}}, {11: [2], 12: [1]}, {11, 12}),
        ({1: {11}, 2: {12}, 4: {14}}, {11: [2], 12: [1], 14: [4, 5]}, {11, 12}),
        ({1: {11}}, {11: [9]}, set()),
    ],
    ids=[
        "two that wait for each other",
        "three in a circle",
        "another holder will end",
        "a place is free",
        "through a run between them",
        "others beside them",
        "nobody waits for the holder",
    ],
)
def test_only_runs_that_nothing_lets_begin_are_stuck(
    waits_for: dict[int, set[int]], holders: Holders, stuck: set[int]
) -> None:
    assert deadlocked(list(holders), waits_for, lambda run_id: holders[run_id]) == stuck
