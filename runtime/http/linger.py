"""Lets a caller hear an answer that comes before the whole of its request was read.

A connection that is closed over unread data is reset, and the answer is lost with it. Where the connection goes on,
the server passes over what is left by itself; where it closes after the answer, that is done here.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLOSES = (b"connection", b"close")
ASKS_FIRST = (b"expect", b"100-continue")  # and sends nothing before it is told to
TELLING = (CLOSES[0], ASKS_FIRST[0])
MOST_BYTES = 100_000_000
MOST_S = 5


class Linger:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _closes(scope):
            await self._app(scope, receive, send)
            return
        request = _Request(receive)

        async def send_after(message: Message) -> None:
            if message["type"] == "http.response.start":
                await request.pass_over()
            await send(message)

        await self._app(scope, request, send_after)


class _Request:
    """Receives for one request, and knows whether all of it has come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_read = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self._is_read = not message.get("more_body", False)
        return message

    async def pass_over(self) -> None:
        """Take in what is left and forget it, within bounds."""
        left = MOST_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(MOST_S):
                while not self._is_read and left > 0:
                    left -= len((await self()).get("body", b""))


def _closes(scope: Scope) -> bool:
    lists = ((name, value) for name, value in scope["headers"] if name in TELLING)
    told = {(name, word.strip().lower()) for name, value in lists for word in value.split(b",")}
    return (CLOSES in told or scope["http_version"] == "1.0") and ASKS_FIRST not in told
