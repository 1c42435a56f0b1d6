"""The engine over a socket: the web process calls it as if it were here.

Calls are pipelined. ``accept`` calls of one tick of the loop travel and are committed together.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from runtime.engine_api import Accepted, EngineStatus, RunResponse, TestRequest
from runtime.errors import Invalid, Problem, RuntimeFault, TooLarge, Unavailable
from runtime.frames import Frames, socket_path
from runtime.outbox import NewEvent

RECONNECT_S = 0.1
BATCH_BYTES = 8_000_000  # of calls that travel together; a frame has a limit
CALL_S = 30  # an engine that has not answered by then is not there

Group = tuple[orjson.Fragment, asyncio.Future[Any], int]  # the events of one call, and their length


class EngineLink:
    """A client of the engine process that serves *data_dir*; connects when needed, and again when it was lost.

    Raises Unavailable while the engine is down. An ``accept`` that is cut off may have been committed:
    sending it again with the same event id is safe.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = socket_path(data_dir)
        self._frames: Frames | None = None
        self._connecting: asyncio.Task[Frames] | None = None
        self._numbers = itertools.count(1)
        self._calls: dict[int, tuple[Frames, asyncio.Future[Any]]] = {}  # each with the connection it went over
        self._batch: list[Group] = []
        self._senders: set[asyncio.Task[None]] = set()
        self._heard_at = 0.0  # when the engine last said anything; of the loop's clock

    async def accept(self, events: Sequence[NewEvent]) -> list[Accepted]:
        encoded = _encoded(events)
        future = asyncio.get_running_loop().create_future()
        if not self._batch:
            asyncio.get_running_loop().call_soon(self._send_batch)
        self._batch.append((orjson.Fragment(encoded), future, len(encoded)))
        answer = await future
        return [Accepted(*each) for each in answer]

    async def start_test(self, request: TestRequest) -> int:
        return int(await self._call("start_test", request))

    async def wait(self, run_id: int, timeout_s: float) -> bool:
        return bool(await self._call("wait", [run_id, timeout_s], timeout_s + CALL_S))

    async def wait_response(self, run_id: int, timeout_s: float) -> RunResponse:
        return RunResponse(**await self._call("wait_response", [run_id, timeout_s], timeout_s + CALL_S))

    async def wake(self) -> None:
        await self._call("wake", None)

    async def cancel(self, run_id: int) -> bool:
        return bool(await self._call("cancel", run_id))

    async def status(self) -> EngineStatus:
        return EngineStatus(**await self._call("status", None))

    async def close(self) -> None:
        """Close the connection; a later call opens it again."""
        for task in (*self._senders, *([self._connecting] if self._connecting else ())):
            task.cancel()
        if self._frames is not None:
            self._frames.close()
            self._frames = None

    def _send_batch(self) -> None:
        waiting, self._batch = self._batch, []
        for batch in _in_parts(waiting):
            groups = [(group, future) for group, future, _size in batch]
            sender = asyncio.create_task(self._accept_batch(groups))
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)

    async def _accept_batch(self, batch: list[tuple[orjson.Fragment, asyncio.Future[Any]]]) -> None:
        try:
            answers = await self._call("accept", [group for group, _future in batch])
        except (Exception, asyncio.CancelledError) as error:
            fault = error if isinstance(error, RuntimeFault) else _down()
            for _group, future in batch:
                if not future.done():
                    future.set_exception(fault)
            return
        for (_group, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, dict):
                future.set_exception(_fault(answer))
            else:
                future.set_result(answer)

    async def _call(self, name: str, body: Any, timeout_s: float | None = None) -> Any:
        number = next(self._numbers)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        asked_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(CALL_S if timeout_s is None else timeout_s):
                frames = self._frames if self._frames and self._frames.is_open else await self._connect()
                self._calls[number] = frames, future
                frames.send([number, name, body])
                return await future
        except TimeoutError as error:
            self._leave_if_silent(asked_at)
            raise _down() from error
        except OSError as error:
            raise _down() from error
        finally:
            self._calls.pop(number, None)

    def _leave_if_silent(self, since: float) -> None:
        """Close a connection whose engine has said nothing *since*: stopped, it may have been replaced."""
        if self._frames is not None and self._heard_at < since:
            self._frames.drop()
            self._frames = None

    async def _connect(self) -> Frames:
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.ensure_future(self._open())
        return await asyncio.shield(self._connecting)

    async def _open(self) -> Frames:
        loop = asyncio.get_running_loop()
        try:
            _, frames = await loop.create_unix_connection(lambda: Frames(self._received, self._lost), str(self._path))
        except OSError:
            await asyncio.sleep(RECONNECT_S)  # it may just be starting again
            _, frames = await loop.create_unix_connection(lambda: Frames(self._received, self._lost), str(self._path))
        if not frames.is_open:  # lost before anyone here was told of it
            raise ConnectionResetError
        self._frames = frames
        return frames

    def _received(self, _frames: Frames, message: Any) -> None:
        number, result, fault = message
        self._heard_at = asyncio.get_running_loop().time()
        _, future = self._calls.get(number, (None, None))
        if future is None or future.done():
            return
        if fault is None:
            future.set_result(result)
        else:
            future.set_exception(_fault(fault))

    def _lost(self, frames: Frames) -> None:
        if self._frames is frames:
            self._frames = None
        for used, future in self._calls.values():
            if used is frames and not future.done():
                future.set_exception(_down())


def _in_parts(groups: list[Group]) -> Iterator[list[Group]]:
    """Cut *groups* into parts of at most BATCH_BYTES, or of one group."""
    part, size = list[Group](), 0
    for group in groups:
        if part and size + group[2] > BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(group)
        size += group[2]
    yield part


def _encoded(events: Sequence[NewEvent]) -> bytes:
    """Return the events as JSON; what is none is refused here, before it spoils the others' message."""
    try:
        return orjson.dumps([tuple(event) for event in events])
    except TypeError as error:
        raise Invalid(Problem("event.payload_invalid", "The event holds something that is not JSON.")) from error


def _fault(shape: dict[str, Any]) -> RuntimeFault:
    """Return the refusal that came over the socket."""
    kinds: dict[int, type[RuntimeFault]] = {kind.status: kind for kind in (Invalid, TooLarge)}
    kind = kinds.get(shape["status"], Unavailable)
    return kind(*(Problem(**problem) for problem in shape["problems"]))


def _down() -> Unavailable:
    message = "The engine does not answer. Nothing was confirmed; try again, an event with the same id as before."
    return Unavailable(Problem("engine.down", message))
