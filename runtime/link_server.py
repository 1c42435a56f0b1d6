"""The engine's end of the link: answers calls that come over the socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runtime.engine import Engine
from runtime.engine_api import TestRequest
from runtime.errors import Problem, RuntimeFault, Unavailable
from runtime.frames import Frames, private_parent, socket_path
from runtime.outbox import NewEvent

WATCH_S = 2.0  # between two looks whether the socket is still there
log = logging.getLogger("pulsewire.link")


class LinkServer:
    """Serves one engine on the socket of its data directory, to this user only."""

    def __init__(self, engine: Engine, data_dir: Path) -> None:
        self._engine = engine
        self._path = socket_path(data_dir)
        self._connections: set[Frames] = set()
        self._calls: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; a socket that an engine before this one left behind is replaced (this one holds the lease)."""
        private_parent(self._path)
        await self._listen()
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Listen anew when someone has removed the socket; connections that are there go on."""
        while True:
            await asyncio.sleep(WATCH_S)
            if not self._path.exists():
                log.warning("%s was removed and is made again", self._path)
                self._server.close()
                with contextlib.suppress(OSError):  # tried again at the next look
                    private_parent(self._path)
                    await self._listen()

    async def _listen(self) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        self._server = await asyncio.get_running_loop().create_unix_server(self._connection, str(fresh))
        fresh.chmod(0o600)
        self._inode = fresh.stat().st_ino
        fresh.rename(self._path)  # visible only once nobody else may connect

    async def stop(self) -> None:
        """Close the socket and every connection."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        self._server.close()
        if self._calls:
            await asyncio.wait(self._calls, timeout=1)
        for frames in list(self._connections):
            frames.close()
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:  # an engine that took over has put its own there
                self._path.unlink()

    def _connection(self) -> Frames:
        frames = Frames(self._received, self._connections.discard)
        self._connections.add(frames)
        return frames

    def _received(self, frames: Frames, message: Any) -> None:
        call = asyncio.ensure_future(self._answer(frames, *message))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _answer(self, frames: Frames, number: int, name: str, body: Any) -> None:
        try:
            frames.send([number, await self._result(name, body), None])
        except RuntimeFault as fault:
            frames.send([number, None, _shape(fault)])
        except Exception as error:
            log.error("%s failed with %s", name, type(error).__name__)
            problem = Problem("engine.failed", "The engine could not do this. Its log says more.")
            frames.send([number, None, _shape(Unavailable(problem))])

    async def _result(self, name: str, body: Any) -> Any:
        engine = self._engine
        match name:
            case "accept":
                groups = [[_event(event) for event in group] for group in body]
                answers = await engine.accept_groups(groups)
                return [
                    [[each.id, each.duplicate, each.runs] for each in answer]
                    if isinstance(answer, list)
                    else _shape(answer)
                    for answer in answers
                ]
            case "start_test":
                return await engine.start_test(TestRequest(**body))
            case "wait":
                return await engine.wait(*body)
            case "wait_response":
                return asdict(await engine.wait_response(*body))
            case "wake":
                return await engine.wake()
            case "cancel":
                return await engine.cancel(body)
            case "status":
                return asdict(await engine.status())
        raise ValueError(name)


def _event(body: list[Any]) -> NewEvent:
    event = NewEvent(*body)
    return event._replace(path=tuple(event.path))


def _shape(fault: RuntimeFault) -> dict[str, Any]:
    return {"status": fault.status, "problems": [asdict(problem) for problem in fault.problems]}
