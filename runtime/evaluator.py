"""Evaluates expressions: in place what is cheap by its shape, the rest in processes that can be killed.

The processes are started when they are first needed, and replaced as soon as one has ended. They end with this
process, however that ends. What a process answers nobody waits for any more is thrown away, so questions and answers
stay in step. See ``runtime.cost`` for what is cheap, and ``runtime.evaluator_process`` for the limits.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import orjson

from runtime import limits
from runtime.access import ABSENT, Missing
from runtime.cost import part_of
from runtime.errors import ExpressionError
from runtime.evaluation_turns import Turns
from runtime.evaluator_child import Died, EvaluatorChild
from runtime.expressions import Scope, TooMuchInPlace, Value, Written
from runtime.scope import ROOTS

Json: TypeAlias = Any
STOPPED = frozenset(  # codes of what takes too much, and would again
    {"expression.too_much_work", "expression.too_slow", "expression.too_much_memory", "expression.stopped"}
)
TRIES = 3  # processes that may die over one evaluation; an expression gives the same every time
AGAIN_S = 1.0  # until the next try to start a process
log = logging.getLogger("pulsewire.evaluator")


class EvaluatorBusy(ExpressionError):
    """Nothing is wrong with the expression: it could not be evaluated now."""

    def __init__(self) -> None:
        super().__init__("expression.busy", "Too many expressions wait to be evaluated. Try again in a moment.")


class _Job(NamedTuple):
    """One evaluation. Its names are encoded when it has its turn: until then they are in memory once."""

    written: Written
    names: Mapping[str, Json]
    answer: asyncio.Future[Json]

    def end(self, error: ExpressionError) -> None:
        """Tell whoever still waits for it why there is no value."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Evaluator:
    """At most *processes* at a time, for one event loop. ``close`` it in the end.

    When *waiting* wait for their turn, the next one is refused. None: however many there are, they wait as long as it
    takes, also for a process that cannot be started now.
    """

    def __init__(self, processes: int = limits.EXPRESSION_PROCESSES, waiting: int | None = None) -> None:
        self._most = processes
        self._most_waiting = waiting
        self._mark = secrets.token_hex(16)  # nobody who writes a payload can know it
        self._turns: Turns[_Job] = Turns()
        self._workers: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[None]] = []
        self._children: set[EvaluatorChild] = set()
        self.failed_starts = 0

    @property
    def pids(self) -> set[int]:
        """The ids of the processes that there are."""
        return {child.pid for child in self._children if child.pid is not None}

    async def value_of(self, value: Value, scope: Scope, caller: str = "") -> Json:
        """Return what *value* comes to: in place when it is cheap, else from another process.

        *caller* is who takes turns with others, such as a flow. Raises ExpressionError.
        """
        if not value.is_costly:
            try:
                return value.evaluate_in_place(scope)
            except TooMuchInPlace:
                pass
        return await self.evaluate_there(value, scope, caller)

    async def evaluate_there(self, value: Value, scope: Scope, caller: str = "") -> Json:
        """Return what *value* comes to in another process. Raises ExpressionError."""
        names = {name: found for name in ROOTS if (found := getattr(scope, name)) is not ABSENT}
        return await self._ask(value.written, part_of(names, value.reads), caller)

    async def evaluate(self, value_source: Json, scope: Mapping[str, Json], caller: str = "") -> Json:
        """Return what *value_source* comes to, any JSON with expressions; nothing is compiled here.

        *scope* has the names without ``$``. Raises ExpressionError.
        """
        return await self._ask(("value", value_source, ()), scope, caller)

    async def close(self) -> None:
        """End the processes; who waits is told that the evaluator is busy."""
        workers, self._workers = self._workers, set()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        while (found := self._turns.take()) is not None:
            caller, job = found
            self._turns.done(caller, 0.0)
            job.end(EvaluatorBusy())

    async def _ask(self, written: Written, names: Mapping[str, Json], caller: str) -> Json:
        if self._most_waiting is not None and len(self._turns) >= self._most_waiting:
            raise EvaluatorBusy
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._turns.push(caller, _Job(written, names, answer))
        self._call_a_worker()
        return await answer

    def _question(self, job: _Job) -> list[Any]:
        expired = 0

        def told(value: object) -> Json:
            nonlocal expired
            if isinstance(value, Missing):
                expired += 1
                return {self._mark: value.message}
            if isinstance(value, Mapping):
                return dict(value)
            raise TypeError

        try:
            encoded = orjson.dumps(job.names, default=told)
        except TypeError as error:
            message = "The expression reads a value that JSON cannot carry."
            raise ExpressionError("expression.result", message) from error
        if len(encoded) > limits.EXPRESSION_SCOPE_BYTES:
            message = f"The expression reads values of more than {limits.EXPRESSION_SCOPE_BYTES:,} bytes; read fewer."
            raise ExpressionError("expression.too_large", message)
        return [orjson.dumps(job.written).decode(), orjson.Fragment(encoded), expired]

    def _call_a_worker(self) -> None:
        for waiting in self._idle:
            if not waiting.done():
                waiting.set_result(None)
                return
        if len(self._workers) < self._most:
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)

    async def _work(self) -> None:
        """Answer jobs with a process, and with another when that has ended."""
        child: EvaluatorChild | None = None
        try:
            while True:
                while (found := self._turns.take()) is None:
                    await self._wait_for_jobs(has_child=child is not None)
                child = await self._do(child, *found)
                if child is None:
                    if len(self._turns):
                        self._call_a_worker()  # this one is busy for a while
                    child = await self._new_child()
        finally:
            if child is not None:
                self._children.discard(child)
                await child.end()

    async def _wait_for_jobs(self, *, has_child: bool) -> None:
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.insert(0 if has_child else len(self._idle), called)  # who has a process is called first
        try:
            await called
        finally:
            self._idle.remove(called)

    async def _new_child(self) -> EvaluatorChild | None:
        """Return a process that is ready; None when it could not be started: whoever waits is told."""
        child = EvaluatorChild(self._mark)
        self._children.add(child)
        try:
            await child.start()
        except (Died, OSError) as error:
            self._children.discard(child)
            self.failed_starts += 1
            log.error("an evaluator process could not be started: %s", type(error).__name__)
            return None
        return child

    async def _do(self, child: EvaluatorChild | None, caller: str, job: _Job) -> EvaluatorChild | None:
        """Answer one job; return the process for the next one, None when another has to be started."""
        begun, deaths = time.monotonic(), 0
        try:
            while not job.answer.done():  # unless nobody waits for it any more
                child = await self._if_usable(child) or await self._new_child()
                try:
                    if child is not None:
                        value = await child.ask(self._question(job))
                        if not job.answer.done():
                            job.answer.set_result(value)
                    elif self._most_waiting is None:
                        await asyncio.sleep(AGAIN_S)
                    else:
                        job.end(EvaluatorBusy())
                except Died:
                    log.warning("an evaluator process has died and is replaced")
                    deaths += 1
                    if deaths == TRIES:
                        job.end(_died())
                except ExpressionError as error:
                    job.end(error)
                except Exception as error:  # nothing that one job brings with it may end the worker
                    log.error("an expression could not be handed on: %s", type(error).__name__)
                    job.end(ExpressionError("expression.failed", "The expression does not work with these values."))
            return await self._if_usable(child)
        finally:
            self._turns.done(caller, time.monotonic() - begun)
            job.end(EvaluatorBusy())  # where this worker is cancelled

    async def _if_usable(self, child: EvaluatorChild | None) -> EvaluatorChild | None:
        if child is None or child.is_usable:
            return child
        self._children.discard(child)
        await child.end()
        return None


def _died() -> ExpressionError:
    message = f"The process that evaluates the expression ended {TRIES} times over it. Make the expression smaller."
    return ExpressionError("expression.stopped", message)
