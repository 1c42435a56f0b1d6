"""The evaluator process: what it answers, what it survives, and what others notice of it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runtime import access, limits
from runtime.errors import ExpressionError
from runtime.evaluator import Evaluator, EvaluatorBusy
from runtime.expressions import Scope, compile_condition, compile_params, compile_value

ROOT = Path(__file__).parents[2]
LIST = list(range(20_000))


@pytest.fixture
async def evaluator() -> AsyncIterator[Evaluator]:
    made = Evaluator()
    yield made
    await made.close()
    assert made.pids == set()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for an answer also where this machine has much else to do."""
    monkeypatch.setattr(limits, "EXPRESSION_WALL_S", 30.0)


async def value_of(evaluator: Evaluator, text: str, caller: str = "", **names: Any) -> Any:
    return await evaluator.value_of(compile_value("{{ " + text + " }}"), Scope(**names), caller)


async def error_of(evaluator: Evaluator, text: str, **names: Any) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        await value_of(evaluator, text, **names)
    return caught.value


async def test_what_is_cheap_starts_no_process(evaluator: Evaluator) -> None:
    assert await value_of(evaluator, "$param.a ~ 'x'", param={"a": 1}) == "1x"
    assert evaluator.pids == set()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$param.l | map('string') | join('-')", "1-2"),
        ("$param | dictsort | length", 3),
        ("[2 ** 3, 0.5, true, null, 'ä']", [8, 0.5, True, None, "ä"]),
        ("$param.text | sort", [" ", "1", "_"]),
        ("$item | default('none') | sort", ["e", "n", "n", "o"]),
    ],
)
async def test_another_process_gives_what_this_one_would(evaluator: Evaluator, text: str, value: Any) -> None:
    names = {"l": [1, 2], "text": "1_ ", "o": {}}

    assert await value_of(evaluator, text, param=names) == value
    assert compile_value("{{ " + text + " }}").evaluate(Scope(param=names)) == value
    assert len(evaluator.pids) == 1


async def test_what_takes_too_much_in_place_is_evaluated_anew_elsewhere(evaluator: Evaluator) -> None:
    assert await value_of(evaluator, "$param.l | join | length", param={"l": LIST * 5}) == 5 * len(
        "".join(map(str, LIST))
    )
    assert len(evaluator.pids) == 1


async def test_parameters_that_are_late_and_conditions_travel_too(evaluator: Evaluator) -> None:
    params = compile_params({"a": "{{ [2, 1] | sort }}", "where": "{{ not closed"}, ["where"])

    assert await evaluator.value_of(params, Scope()) == {"a": [1, 2], "where": "{{ not closed"}
    assert await evaluator.value_of(compile_condition("$param | sort == ['a']"), Scope(param={"a": 1})) is True


async def test_errors_have_code_place_and_path_and_no_values(evaluator: Evaluator) -> None:
    with pytest.raises(ExpressionError) as caught:
        await evaluator.value_of(
            compile_value({"to": ["a", "b {{ $param.secret | sort | int }}"]}), Scope(param={"secret": ["tok-123"]})
        )

    assert (caught.value.code, caught.value.position, caught.value.path) == ("expression.type", 2, ("to", 1))
    assert "tok-123" not in caught.value.message


async def test_a_source_is_compiled_there_and_not_here(evaluator: Evaluator) -> None:
    assert await evaluator.evaluate({"x": "{{ $param.a }}"}, {"param": {"a": 1}}) == {"x": 1}
    with pytest.raises(ExpressionError) as caught:
        await evaluator.evaluate("{{ $param.a | nope }}", {"param": {"a": 1}})

    assert caught.value.code == "expression.filter_unknown"


async def test_what_has_expired_says_so_there_too(evaluator: Evaluator) -> None:
    param = {"token": access.expired("token"), "l": [{"token": access.expired("token")}], "n": 1}

    error = await error_of(evaluator, "$param.l | map(attribute='token')", param=param)

    assert error.code == "secret.expired"
    assert "“token” has expired" in error.message
    assert await value_of(evaluator, "[$param.token | default('gone')] | sort", param=param) == ["gone"]


async def test_counted_work_ends_an_evaluation_the_same_way_every_time(evaluator: Evaluator) -> None:
    errors = [await error_of(evaluator, "([range(9999)] * 9999) | map('sort') | map('list')") for _ in range(2)]

    assert [error.code for error in errors] == ["expression.too_much_work"] * 2
    assert len(evaluator.pids) == 1  # nothing had to be killed


async def test_a_process_that_does_not_answer_is_killed_and_replaced(evaluator: Evaluator) -> None:
    await value_of(evaluator, "[1] | sort")
    (frozen,) = evaluator.pids
    os.kill(frozen, signal.SIGSTOP)

    error = await error_of(evaluator, "[1] | sort")

    assert error.code == "expression.too_slow"
    assert await value_of(evaluator, "[1] | sort") == [1]
    assert frozen not in evaluator.pids


async def test_a_process_that_needs_too_much_memory_is_replaced(evaluator: Evaluator, patient: None) -> None:
    await value_of(evaluator, "[1] | sort")
    before = evaluator.pids

    error = await error_of(evaluator, "$param.l | map('length')", param={"l": [[]] * 3_000_000})

    assert error.code == "expression.too_much_memory"
    assert await value_of(evaluator, "[1] | sort") == [1]
    assert evaluator.pids.isdisjoint(before)


async def test_a_process_that_has_grown_is_replaced_after_its_answer(evaluator: Evaluator, patient: None) -> None:
    await value_of(evaluator, "[1] | sort")
    before = evaluator.pids

    assert await value_of(evaluator, "[$param.l | length] | sort", param={"l": [[]] * 1_500_000}) == [1_500_000]
    assert await value_of(evaluator, "[1] | sort") == [1]
    assert evaluator.pids.isdisjoint(before)


async def test_killed_in_the_middle_an_evaluation_is_done_again(evaluator: Evaluator) -> None:
    await value_of(evaluator, "[1] | sort")
    (first,) = evaluator.pids
    os.kill(first, signal.SIGSTOP)

    asked = asyncio.create_task(value_of(evaluator, "[2, 1] | sort"))
    await asyncio.sleep(0)
    os.kill(first, signal.SIGKILL)

    assert await asked == [1, 2]
    assert first not in evaluator.pids


async def test_an_answer_that_nobody_waits_for_goes_to_nobody_else(evaluator: Evaluator) -> None:
    await value_of(evaluator, "[1] | sort")
    (pid,) = evaluator.pids
    os.kill(pid, signal.SIGSTOP)
    asked = asyncio.create_task(value_of(evaluator, "['late'] | sort"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    asked.cancel()
    os.kill(pid, signal.SIGCONT)

    assert await value_of(evaluator, "['mine'] | sort") == ["mine"]
    assert await value_of(evaluator, "['mine too'] | sort") == ["mine too"]
    assert evaluator.pids == {pid}


async def test_many_at_once_use_two_processes_and_all_are_answered(evaluator: Evaluator) -> None:
    answers = await asyncio.gather(*(value_of(evaluator, f"[{n}] | sort", f"flow {n % 7}") for n in range(200)))

    assert answers == [[n] for n in range(200)]
    assert len(evaluator.pids) == limits.EXPRESSION_PROCESSES


async def test_one_flow_never_holds_both_processes(evaluator: Evaluator) -> None:
    await asyncio.gather(*(value_of(evaluator, "[1] | sort", "greedy") for _ in range(50)))

    assert len(evaluator.pids) == 1


async def test_too_many_that_wait_are_told_so() -> None:
    evaluator = Evaluator(waiting=2)
    asked = [asyncio.create_task(value_of(evaluator, "[1] | sort", "a")) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(EvaluatorBusy, match="Try again"):
        await value_of(evaluator, "[1] | sort", "b")

    assert await asyncio.gather(*asked) == [[1], [1]]
    await evaluator.close()


async def test_whoever_waits_at_the_end_is_told_and_no_process_is_left() -> None:
    evaluator = Evaluator()
    asked = [asyncio.create_task(value_of(evaluator, "[1] | sort", "a")) for _ in range(3)]
    await asyncio.sleep(0)

    await evaluator.close()
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert {type(answer) for answer in answers} == {EvaluatorBusy}
    assert evaluator.pids == set()


async def test_a_process_that_cannot_be_started_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    evaluator = Evaluator(waiting=10)

    with pytest.raises(EvaluatorBusy):
        await value_of(evaluator, "[1] | sort")

    await evaluator.close()


async def test_what_cannot_be_handed_on_ends_in_an_error_and_the_next_is_answered(evaluator: Evaluator) -> None:
    with pytest.raises(ExpressionError):
        await evaluator.evaluate(object(), {})

    assert await value_of(evaluator, "[1] | sort") == [1]


async def test_where_nobody_is_refused_a_process_is_started_as_soon_as_that_works(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.evaluator.AGAIN_S", 0.0)
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/nowhere/python")
        asked = asyncio.create_task(value_of(evaluator, "[1] | sort"))
        while evaluator.failed_starts < 2:  # noqa: ASYNC110 - nothing tells of them
            await asyncio.sleep(0)

    assert await asked == [1]


async def test_values_that_are_too_large_together_are_not_handed_on(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXPRESSION_SCOPE_BYTES", 100)

    assert (await error_of(evaluator, "$param.l | sort", param={"l": LIST})).code == "expression.too_large"
    assert await value_of(evaluator, "$param.n | sort", param={"l": LIST, "n": [1]}) == [1]  # only what is read counts


PARENT = """
import asyncio, os, sys
from runtime.evaluator import Evaluator
from runtime.expressions import Scope, compile_value

async def main():
    evaluator = Evaluator()
    await evaluator.value_of(compile_value("{{ [1] | sort }}"), Scope())
    print(*evaluator.pids, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_processes_end_with_the_one_that_started_them_even_when_that_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())

    parent.kill()
    await parent.wait()

    with suppress(OSError, ValueError):  # it may be gone already
        gone = os.pidfd_open(pid)
        await asyncio.to_thread(select.select, [gone], [], [])
        os.close(gone)


async def test_a_process_has_no_secrets_of_this_one(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSEWIRE_SECRET_KEY", "canary")

    await value_of(evaluator, "[1] | sort")
    (pid,) = evaluator.pids

    assert b"PULSEWIRE" not in await asyncio.to_thread(Path(f"/proc/{pid}/environ").read_bytes)


async def test_a_process_that_ended_while_nobody_asked_is_replaced(evaluator: Evaluator) -> None:
    await value_of(evaluator, "[1] | sort")
    (pid,) = evaluator.pids
    gone = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(select.select, [gone], [], [])
    os.close(gone)
    await asyncio.sleep(0)

    assert await value_of(evaluator, "[2] | sort") == [2]
    assert pid not in evaluator.pids
