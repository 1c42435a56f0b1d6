"""The only door through which flows reach other servers over HTTP: guarded, bounded and kept warm.

Guard   a host name is looked up once, every address it has must be public, and the connection goes to one of these;
        the connected peer is checked again. ``PULSEWIRE_ALLOW_HOSTS`` opens single hosts. Redirects are not followed,
        proxies from the environment and cookies are not used.
Bounds  one deadline for the whole call; the answer's size after decompression; number and size of its headers.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeAlias
from weakref import WeakKeyDictionary, WeakSet

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from nodes.spec import HttpResponse, NodeError, TemporaryError
from runtime import limits, wording
from runtime.addresses import OpenHosts, Target, is_local_name, is_public, read_url
from runtime.unpacking import bad_answer, joined, too_large, unpacked
from storage.crash_points import crash_here

Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns every address of a host name; raises OSError when it has none."""

CONNECTIONS = 256
KEEP_ALIVE_S = 30
REQUEST_HEADERS = 100
REQUEST_HEADER_BYTES = 32_000
RESPONSE_HEADERS = 128
RESPONSE_HEADER_BYTES = 8_190  # of one header
OWN_HEADERS = {"User-Agent": "Pulsewire", "Accept-Encoding": "gzip, deflate"}
CLOSED_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2, token
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*")


async def look_up(host: str, port: int) -> Sequence[str]:
    """Return every address the system's resolver knows for *host*."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Outbound:
    """The HTTP client of running flows, a ``nodes.spec.Http``: one for a process; ``close`` it in each event loop."""

    def __init__(
        self,
        allow_hosts: Collection[str] = (),
        *,
        look_up: Lookup = look_up,
        response_bytes: int = limits.HTTP_RESPONSE_BYTES,
    ) -> None:
        self._guard = _Guard(OpenHosts(allow_hosts))
        self._look_up = look_up
        self._response_bytes = response_bytes
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()

    def check(self, url: str, headers: Mapping[str, str]) -> None:
        """Raise NodeError (``http.url_invalid``, ``http.header_invalid``) for what no request can have."""
        read_url(url)
        _check_headers(headers)

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30,
    ) -> HttpResponse:
        """Send one request and return the whole answer, header names in lower case.

        Raises NodeError with code ``http.url_invalid``, ``http.header_invalid``, ``http.address_blocked``,
        ``http.redirect``, ``http.tls_failed``, ``http.answer_invalid`` or ``http.answer_too_large``, and TemporaryError
        with ``http.timeout``, ``http.unreachable`` or ``http.answer_incomplete``.
        """
        target = read_url(url)
        self._guard.check(target)
        _check_headers(headers or {})
        address = _with_query(target.url, query) if query else target.url
        timeout_s = min(timeout_s, limits.HTTP_TIMEOUT_S)
        try:
            async with asyncio.timeout(timeout_s):
                crash_here("http.before_call")
                response = await self._session().request(
                    method, address, headers=headers, data=body, allow_redirects=False
                )
                crash_here("http.after_call")
                try:
                    return await self._whole(response, target.host)
                finally:
                    response.close()  # does nothing to a connection whose answer was read to its end
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _explained(error, target.host, timeout_s) from error

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            session = self._sessions[loop] = aiohttp.ClientSession(
                connector=_GuardedConnector(self._guard, self._look_up),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=OWN_HEADERS,
                skip_auto_headers=("Content-Type",),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None),
                max_line_size=RESPONSE_HEADER_BYTES,
                max_field_size=RESPONSE_HEADER_BYTES,
                max_headers=RESPONSE_HEADERS,
            )
        return session

    async def _whole(self, response: aiohttp.ClientResponse, host: str) -> HttpResponse:
        if 300 <= response.status < 400:
            message = (
                f"“{host}” answered with a redirect ({response.status}), which is not followed. Use the final URL."
            )
            raise NodeError(message, code="http.redirect", param="url")
        body = await self._bounded(response, host)
        headers = joined(response.headers.items())
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if body and encoding != "identity":
            body = unpacked(body, encoding, host, self._response_bytes)
            headers = {name: headers[name] for name in headers if name not in ("content-encoding", "content-length")}
        return HttpResponse(response.status, headers, body)

    async def _bounded(self, response: aiohttp.ClientResponse, host: str) -> bytes:
        length = response.content_length
        if response.method == "HEAD" or (length is not None and length <= self._response_bytes):
            return await response.read()
        if length is not None:
            raise too_large(host, self._response_bytes)
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._response_bytes:
                raise too_large(host, self._response_bytes)
        return bytes(body)


class _Guard:
    """Decides on hosts before, and on addresses after the look-up."""

    def __init__(self, open_hosts: OpenHosts) -> None:
        self._open_hosts = open_hosts

    def check(self, target: Target) -> None:
        """Raise NodeError when the host is known to be closed without looking it up."""
        if target.address is not None:
            self.check_addresses(target.host, target.port, [target.host])
        elif is_local_name(target.host) and not self._open_hosts.opens(target.host, target.port):
            raise _blocked(target.host, target.port)

    def check_addresses(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Raise NodeError when one of the addresses is closed, unless the host is open by name."""
        if not self._open_hosts.opens(host, port) and not all(is_public(address) for address in addresses):
            raise _blocked(host, port)


class _CheckedResolver(AbstractResolver):
    def __init__(self, guard: _Guard, look_up: Lookup) -> None:
        self._guard = guard
        self._look_up = look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._look_up(host, port)
        if not addresses:
            raise OSError(f"{host} has no address")
        self._guard.check_addresses(host, port, addresses)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


class _GuardedConnector(aiohttp.TCPConnector):
    """Connects where the resolver says, and looks at the peer before anything is sent."""

    def __init__(self, guard: _Guard, look_up: Lookup) -> None:
        super().__init__(
            resolver=_CheckedResolver(guard, look_up),
            use_dns_cache=False,
            limit=CONNECTIONS,
            keepalive_timeout=KEEP_ALIVE_S,
        )
        self._guard = guard
        self._checked: WeakSet[object] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        if connection.protocol not in self._checked:
            try:
                peer = connection.transport.get_extra_info("peername") if connection.transport else None
                if not peer:
                    raise aiohttp.ServerDisconnectedError
                self._guard.check_addresses(req.host, req.url.port or 0, [peer[0]])
            except BaseException:
                connection.close()
                raise
            self._checked.add(connection.protocol)
        return connection


def _with_query(url: URL, query: Mapping[str, str]) -> URL:
    try:
        return url.extend_query(query)
    except ValueError as error:
        message = "“Query” contains characters that a URL cannot carry."
        raise NodeError(message, code="http.url_invalid", param="query") from error


def _check_headers(headers: Mapping[str, str]) -> None:
    size = 0
    for name, value in headers.items():
        size += len(name) + len(value)
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise _bad_header("“Headers” contains a name or value with characters that a header cannot carry.")
        if name.lower() in CLOSED_HEADERS:
            raise _bad_header(f"“Headers” sets {name}, which is set by the connection itself. Leave it out.")
    if len(headers) > REQUEST_HEADERS or size > REQUEST_HEADER_BYTES:
        limit = f"{REQUEST_HEADERS} headers and {REQUEST_HEADER_BYTES:,} characters"
        raise _bad_header(f"“Headers” is larger than {limit}.")


def _explained(error: Exception, host: str, timeout_s: float) -> NodeError:
    match error:
        case TimeoutError():
            return TemporaryError(f"“{host}” did not answer within {wording.seconds(timeout_s)}.", code="http.timeout")
        case aiohttp.ClientSSLError():
            message = f"The connection to “{host}” is not secure: its certificate or encryption was not accepted."
            return NodeError(message, code="http.tls_failed", param="url")
        case aiohttp.ClientConnectorDNSError():
            return TemporaryError(f"The host “{host}” was not found.", code="http.unreachable", param="url")
        case aiohttp.ClientPayloadError():
            return TemporaryError(f"The answer of “{host}” broke off.", code="http.answer_incomplete", param="url")
        case aiohttp.ClientResponseError():
            return bad_answer(host, "is not HTTP, or its headers are too large")
        case aiohttp.InvalidURL():
            return NodeError("“URL” is not an address.", code="http.url_invalid", param="url")
        case _:
            message = f"“{host}” cannot be reached, or closed the connection without an answer."
            return TemporaryError(message, code="http.unreachable", param="url")


def _bad_header(message: str) -> NodeError:
    return NodeError(message, code="http.header_invalid", param="headers")


def _blocked(host: str, port: int) -> NodeError:
    shown = f"[{host}]" if ":" in host else host
    message = (
        f"“{host}” is a private or local address, or leads to one, which flows may not call. "
        f"If it is meant, add {shown}:{port} to PULSEWIRE_ALLOW_HOSTS and start again."
    )
    return NodeError(message, code="http.address_blocked", param="url")
