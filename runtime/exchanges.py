"""One request and its answer over the connections of an aiohttp connector, which opens, keeps and closes them.

aiohttp's own session does the same and much more, such as redirects, cookies and uploads in pieces, none of which is
wanted here, and takes twice the time. Connections, TLS and the parser of answers are aiohttp's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import lru_cache

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from multidict import CIMultiDict
from yarl import URL

OWN_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "Pulsewire"}
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110 9.2.2, idempotent
WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # others say that their body is empty
HEADERS = 128
HEADER_BYTES = 8_190  # of one header
ORIGINS = 256  # kept for the next request
UNLIMITED = aiohttp.ClientTimeout(total=None)  # whoever sends has a deadline


class Answer:
    """The head of an answer, and its body as it arrives. ``close`` it."""

    __slots__ = ("_connection", "_content", "headers", "length", "status")

    def __init__(self, connection: Connection, message: RawResponseMessage, content: aiohttp.StreamReader) -> None:
        self._connection = connection
        self._content = content
        self.status = message.code
        self.headers: Iterable[tuple[str, str]] = message.headers.items()
        length = message.headers.get("Content-Length")
        self.length = None if length is None else int(length)  # what is announced, also where no body comes

    async def read(self) -> bytes:
        """Return the whole body, and let the connection serve the next request."""
        body = await self._content.read()
        self._release()
        return body

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, then let the connection serve the next request."""
        async for part in self._content.iter_any():
            yield part
        self._release()

    def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        self._connection.close()

    def _release(self) -> None:
        transport = self._connection.transport
        if transport is not None and transport.get_write_buffer_size():
            self._connection.close()  # the answer came before the request had left
        else:
            self._connection.release()


class Exchanges:
    """Sends requests in the event loop in which it was made; ``close`` it there."""

    def __init__(self, connector: aiohttp.BaseConnector) -> None:
        self._connector = connector
        loop = asyncio.get_running_loop()

        @lru_cache(maxsize=ORIGINS)
        def to(origin: URL) -> aiohttp.ClientRequest:
            return aiohttp.ClientRequest("GET", origin, loop=loop)

        self._to = to

    async def send(self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Return the answer as soon as its head is here.

        A request that may be repeated is, once, when its connection breaks: the other side may have closed one that was
        kept at the same moment. Raises what aiohttp does for connections and answers, and OSError.
        """
        request = _head(method, url, headers, body) + (body or b"")
        try:
            return await self._send(method, url, request)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            if method not in REPEATABLE:
                raise
        return await self._send(method, url, request)

    async def close(self) -> None:
        """Close every connection."""
        await self._connector.close()

    async def _send(self, method: str, url: URL, request: bytes) -> Answer:
        connection = await self._connector.connect(self._to(url.origin()), [], UNLIMITED)
        try:
            protocol, transport = connection.protocol, connection.transport
            if protocol is None or transport is None or transport.is_closing():
                raise aiohttp.ServerDisconnectedError
            protocol.set_response_params(
                skip_payload=method == "HEAD",
                read_until_eof=True,
                auto_decompress=False,
                max_line_size=HEADER_BYTES,
                max_field_size=HEADER_BYTES,
                max_headers=HEADERS,
            )
            transport.write(request)
            return Answer(connection, *await _final(protocol))
        except BaseException:
            connection.close()
            raise


async def _final(protocol: ResponseHandler) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
    """Return the answer that is not provisional."""
    message, content = await protocol.read()
    while 100 <= message.code < 200 and message.code != 101:
        message, content = await protocol.read()
    return message, content


def _head(method: str, url: URL, headers: Mapping[str, str], body: bytes | None) -> bytes:
    merged = CIMultiDict(OWN_HEADERS)
    for name, value in headers.items():
        merged[name] = value
    if body is not None or method not in WITHOUT_BODY:
        merged["Content-Length"] = str(len(body or b""))
    lines = "".join([f"{name}: {value}\r\n" for name, value in merged.items()])
    return f"{method} {url.raw_path_qs} HTTP/1.1\r\nHost: {url.host_port_subcomponent}\r\n{lines}\r\n".encode()
