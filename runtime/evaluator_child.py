"""One evaluator process, as the process sees it that asks: it is started, asked, killed and reaped here."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from typing import Any, TypeAlias

from runtime import limits
from runtime.errors import ExpressionError
from runtime.evaluator_process import NO_MEMORY
from runtime.frames import Frames

Json: TypeAlias = Any
START_S = 30.0  # until it is ready, on a machine under load
# what a Python needs to start; secrets that stand in other variables are none of its business
ENVIRONMENT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT", "VIRTUAL_ENV")


class Died(Exception):
    """The process ended in the middle of an evaluation, and not because of limits of its own."""


class EvaluatorChild:
    """Starts with ``start``; then ``ask`` it one question at a time. After an error it is gone: start another."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._answer: asyncio.Future[list[Any] | None] | None = None
        self._frames: Frames | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_late = False

    @property
    def pid(self) -> int | None:
        """The process's id, None when there is none."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Return when the process is ready. Raises Died or OSError when it cannot be started."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        ready = self._answer = loop.create_future()
        try:
            _, self._frames = await loop.create_unix_connection(lambda: Frames(self._received, self._lost), sock=ours)
            spawning = asyncio.ensure_future(asyncio.to_thread(_started, theirs, self._mark))
            try:
                self._process = await asyncio.shield(spawning)
            except asyncio.CancelledError:
                self._process = await spawning  # to be ended below
                raise
            async with asyncio.timeout(START_S):
                if await ready is None:
                    raise Died
        except BaseException as error:
            ours.close()
            await asyncio.shield(self.end())
            if isinstance(error, TimeoutError):
                raise Died from error
            raise
        finally:
            theirs.close()

    async def ask(self, question: list[Any]) -> Json:
        """Return the value. Raises ExpressionError, and Died when the process ended for no reason of its own.

        Look at ``is_usable`` then: a process that took too much is gone, also after a value.
        """
        assert self._frames is not None
        loop = asyncio.get_running_loop()
        answer = self._answer = loop.create_future()
        self._frames.send(question)
        timer = loop.call_later(limits.EXPRESSION_WALL_S, self._kill_late)
        try:
            found = await answer
        finally:
            timer.cancel()
        if found is None:
            status = await self.end()
            raise _too_slow() if self._is_late else _told_by(status)
        value, fault, is_last = found
        if is_last:
            await self.end()
        if fault is not None:
            code, message, position, path = fault
            raise ExpressionError(code, message, position, tuple(path))
        return value

    @property
    def is_usable(self) -> bool:
        """Whether it can be asked; it may have ended also while nobody asked."""
        return self._process is not None and self._frames is not None and self._frames.is_open

    async def end(self) -> int | None:
        """Kill the process, whatever it does, and return its exit status when it is gone."""
        process, self._process = self._process, None
        if self._frames is not None:
            self._frames.drop()
        if process is None:
            return None
        process.kill()
        return await asyncio.to_thread(process.wait)

    def _kill_late(self) -> None:
        """Kill a process that has not answered in time; the end of the connection says so to ``ask``."""
        if self._process is not None and self._answer is not None and not self._answer.done():
            self._is_late = True
            self._process.kill()

    def _received(self, _frames: Frames, message: Any) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)

    def _lost(self, _frames: Frames) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)


def _started(link: socket.socket, mark: str) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "runtime.evaluator_process", mark],
        stdin=link.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # a traceback could show values
        env=environment,
        start_new_session=True,
    )


def _too_slow() -> ExpressionError:
    message = f"The expression takes longer than {limits.EXPRESSION_S:g} second; make it smaller."
    return ExpressionError("expression.too_slow", message)


def _told_by(status: int | None) -> Exception:
    if status in (-signal.SIGPROF, -signal.SIGALRM):
        return _too_slow()
    if status == NO_MEMORY:
        return ExpressionError("expression.too_much_memory", "The expression reads too many values; read fewer.")
    return Died()
