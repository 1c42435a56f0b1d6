"""An HTTP server that only notes when each numbered body arrived; as cheap as Python allows.

``GET /report`` answers what arrived so far: a list of ``[number, seconds of the monotonic clock, Idempotency-Key]``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Sink(asyncio.Protocol):
    def __init__(self, seen: list[tuple[int, float, str]], delay_s: float) -> None:
        self._seen = seen
        self._delay_s = delay_s
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = int(_header(head, b"content-length") or 0)
            if len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET /report"):
            text = json.dumps(self._seen).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
            return
        key = _header(head, b"idempotency-key") or b""
        self._seen.append((json.loads(body)["n"], time.monotonic(), key.decode()))
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, OK)
        else:
            self._transport.write(OK)


def _header(head: bytes, name: bytes) -> bytes | None:
    at = head.lower().find(b"\r\n" + name + b":")
    return None if at < 0 else head[at + len(name) + 3 :].split(b"\r\n", 1)[0].strip()


async def main(port: int, delay_s: float) -> None:
    seen: list[tuple[int, float, str]] = []
    server = await asyncio.get_running_loop().create_server(lambda: Sink(seen, delay_s), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
