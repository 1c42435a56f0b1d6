"""Steps that are awaited: what they read, send or change outside of their run, and how that is recorded.

A step that sends is durable as ``running`` before the call. One that writes runs inside the journal's transaction,
together with its own record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson
from sqlmodel import Session

from nodes.spec import Result, Suspended
from runtime.journal_api import Fenced
from runtime.loops import Attempt
from runtime.steps import Outcome, Prepared, answer, input_hash, unexpected
from storage.journal_rows import StepWrite
from storage.journal_runs import StepState

if TYPE_CHECKING:
    from runtime.execution import Execution

REPEATED = {"repeated_after_crash": True}


async def carry_out(
    run: Execution,
    attempt: Attempt,
    prepared: Prepared,
    found: StepState | None,
    suspend: Callable[[Attempt, Suspended], None],
) -> None:
    """Call a node that has to be awaited, and record what came of it.

    *found* is how the step was recorded before; *suspend* takes an answer that lets the step itself wait.
    """
    node, iteration = attempt.node, attempt.frame.iteration
    try:
        if run.state.is_simulated and node.type.effect in ("write", "send"):
            done: Outcome | Suspended = await asyncio.to_thread(run.calls.simulated, node, prepared, iteration)
        elif node.type.effect == "write":
            await _transact(run, attempt, prepared)
            return
        elif node.type.effect == "send":
            done = answer(await _send(run, attempt, prepared, found))
        elif node.type.is_async:
            async with run.shared.outside.slot(run.state.flow_id):
                done = answer(await run.calls.awaited(node, prepared, iteration))
        else:
            done = answer(await run.calls.reading(node, prepared, iteration))
    except Fenced:
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # nobody cancelled the step: something that its node waited for was, inside the node
        run.fail(attempt, unexpected(error, run.state.id, node.type))
    except Exception as error:
        run.fail(attempt, run.calls.as_node_error(error, node))
    else:
        if not isinstance(done, Outcome):
            suspend(attempt, done)
            return
        run.succeed(attempt, done)
        if node.type.is_answer:
            await run.shared.journal.barrier()
            run.shared.answered(run.state.id, done.output)


async def _send(run: Execution, attempt: Attempt, prepared: Prepared, found: StepState | None) -> Result:
    was_under_way = found is not None and found.status == "running"
    row = run.records.row(
        *(attempt.place, attempt.number, "planned"),
        started=attempt.started,
        input=prepared.text,
        effect=orjson.dumps(REPEATED).decode() if was_under_way else None,
        input_hash=input_hash(prepared.text),
    )
    if not was_under_way and not run.shared.outside.has_place(run.state.flow_id):
        run.records.put(row)
    async with run.shared.outside.slot(run.state.flow_id):
        # the queue is in order: this row is durable only after everything the run did before
        await run.shared.journal.put(run.state.epoch, run.records.shown(row._replace(status="running")))
        return await run.calls.awaited(attempt.node, prepared, attempt.frame.iteration)


async def _transact(run: Execution, attempt: Attempt, prepared: Prepared) -> None:
    node, iteration = attempt.node, attempt.frame.iteration
    given = await run.calls.before(node, prepared, iteration)

    def work(session: Session) -> tuple[tuple[Outcome, list[int]], StepWrite]:
        found, due = run.calls.writing(node, prepared, iteration, session, given)
        row = run.records.row(
            *(attempt.place, attempt.number, "succeeded"),
            started=attempt.started,
            input=prepared.text,
            port=found.port,
            output=found.text,
        )
        return (found, due), run.records.shown(row._replace(ended_at=run.shared.now_us()))

    found, due = await run.shared.journal.transact(run.state.id, run.state.epoch, work)
    run.shared.due(due)
    run.decide(attempt.frame, node, found.port, found.output)
