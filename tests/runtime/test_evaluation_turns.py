"""Who is next at the evaluator."""

from __future__ import annotations

import pytest

from runtime import evaluation_turns
from runtime.evaluation_turns import Turns


def all_of(turns: Turns[str]) -> list[str]:
    """Take out every job, each as soon as the one before is done."""
    taken = []
    while (found := turns.take()) is not None:
        taken.append(found[1])
        turns.done(found[0], 1.0)
    return taken


def test_callers_take_turns_and_keep_their_own_order() -> None:
    turns = Turns[str]()
    for caller, job in (("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1")):
        turns.push(caller, job)

    assert len(turns) == 5
    assert all_of(turns) == ["a1", "b1", "c1", "a2", "a3"]
    assert len(turns) == 0


def test_a_caller_has_one_job_under_way() -> None:
    turns = Turns[str]()
    turns.push("a", "a1")
    turns.push("a", "a2")

    assert turns.take() == ("a", "a1")
    assert turns.take() is None
    turns.done("a", 1.0)
    assert turns.take() == ("a", "a2")


def test_who_took_the_least_time_so_far_comes_first() -> None:
    turns = Turns[str]()
    for caller, took_s in (("greedy", 5.0), ("modest", 0.1)):
        turns.push(caller, "before")
        turns.take()
        turns.done(caller, took_s)
    for caller in ("greedy", "modest", "new"):
        turns.push(caller, caller)

    assert all_of(turns) == ["new", "modest", "greedy"]


def test_of_very_many_callers_those_that_used_little_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_turns, "REMEMBERED", 4)
    turns = Turns[str]()
    for number in range(5):
        turns.push(str(number), "job")
        turns.take()
        turns.done(str(number), float(number))

    for caller in ("4", "3", "0"):
        turns.push(caller, caller)

    assert all_of(turns) == ["0", "3", "4"]
