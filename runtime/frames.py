"""Messages between the web process and the engine: JSON, each after its length in four bytes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import orjson

LENGTH_BYTES = 4
FRAME_BYTES = 64_000_000
SOCKET_PATH_BYTES = 100  # a little less than what the kernel takes, unix(7)


class Frames(asyncio.Protocol):
    """Calls *received* for each message of a connection and *lost* when it has ended."""

    def __init__(self, received: Callable[[Frames, Any], None], lost: Callable[[Frames], None]) -> None:
        self._received = received
        self._lost = lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        at, buffer = 0, self._buffer
        while len(buffer) - at >= LENGTH_BYTES:
            length = int.from_bytes(buffer[at : at + LENGTH_BYTES], "big")
            end = at + LENGTH_BYTES + length
            if length > FRAME_BYTES:
                self.close()
                return
            if len(buffer) < end:
                break
            message = orjson.loads(memoryview(buffer)[at + LENGTH_BYTES : end])
            at = end
            self._received(self, message)
        del buffer[:at]

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._lost(self)

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, message: Any) -> None:
        """Send one message, if the connection is still there."""
        if self._transport is not None:
            body = orjson.dumps(message)
            self._transport.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        """Close without sending what is left: the other end reads nothing any more."""
        if self._transport is not None:
            self._transport.abort()


def socket_path(data_dir: Path) -> Path:
    """Return where the engine of *data_dir* listens; in a private directory when that path would be too long."""
    path = data_dir.resolve() / "engine.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"pulsewire-{os.getuid()}" / f"{digest}.sock"


def private_parent(path: Path) -> None:
    """Make the socket's directory; raises PermissionError when another user could put something there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.name.startswith("pulsewire-"):
        found = path.parent.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError(f"{path.parent} belongs to someone else.")
