"""The HTTP client of flows, against real servers on the loopback address."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import itertools
import socket
import ssl
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nodes.spec import NodeError, TemporaryError
from runtime.outbound import REQUEST_HEADER_BYTES, RESPONSE_HEADERS, Outbound

LIMIT = 100_000
PUBLIC = "93.184.216.34"
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


def answer(body: bytes = b"", head: str = "", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


class Server:
    """Serves *behave* on a free loopback port and keeps what came in."""

    def __init__(self, behave: Callable[[Reader, Writer], Awaitable[None]]) -> None:
        self.behave = behave
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def read_request(self, reader: Reader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        self.requests.append(head + await reader.readexactly(length))
        return self.requests[-1]

    async def accept(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.behave(reader, writer)
                await reader.read()  # until the client has heard enough
        finally:
            writer.transport.abort()


Start = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Return a function that starts a server: with bytes it answers every request with them, or behaves as told."""
    running: list[asyncio.Server] = []
    tasks: set[asyncio.Task[Any]] = set()

    async def begin(behaviour: bytes | Callable[[Reader, Writer], Awaitable[None]], **options: Any) -> Server:
        async def repeat(reader: Reader, writer: Writer) -> None:
            assert isinstance(behaviour, bytes)
            while True:
                await server.read_request(reader)
                writer.write(behaviour)
                await writer.drain()

        def accept(reader: Reader, writer: Writer) -> None:
            task = asyncio.ensure_future(server.accept(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = Server(repeat if isinstance(behaviour, bytes) else behaviour)
        listening = await asyncio.start_server(accept, "127.0.0.1", 0, **options)
        running.append(listening)
        server.port = listening.sockets[0].getsockname()[1]
        return server

    yield begin
    for listening in running:
        listening.close()
    for task in tuple(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # the transports are closed in the next turn of the loop


@pytest.fixture
async def client() -> AsyncIterator[Callable[..., Outbound]]:
    """Return a function that makes a client which may call the given servers."""
    made: list[Outbound] = []

    def make(*servers: Server | str, **options: Any) -> Outbound:
        places = [one if isinstance(one, str) else one.place for one in servers]
        made.append(Outbound(places, response_bytes=LIMIT, **options))
        return made[-1]

    yield make
    for outbound in made:
        await outbound.close()


def names(**known: list[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    """Return a look-up that knows the given names (``_`` for ``.``) and no others."""

    async def look_up(host: str, port: int) -> list[str]:
        try:
            return known[host.replace(".", "_")]
        except KeyError as error:
            raise OSError("not found") from error

    return look_up


async def failure(request: Awaitable[Any]) -> NodeError:
    with pytest.raises(NodeError) as caught:
        await request
    return caught.value


# what goes out and comes back


async def test_request_and_answer_are_whole(start, client):
    server = await start(answer(b"made", "Content-Type: text/plain\r\nX-Two: a\r\nX-TWO: b\r\n", "201 Created"))

    response = await client(server).request(
        "POST", server.url + "orders?a=1", query={"q": "x y&z"}, headers={"X-Id": "7"}, body=b"{}", timeout_s=5
    )

    assert (response.status, response.body) == (201, b"made")
    assert response.headers == {"content-length": "4", "content-type": "text/plain", "x-two": "a, b"}
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /orders?a=1&q=x+y%26z HTTP/1.1"
    assert {"X-Id: 7", "User-Agent: Pulsewire", "Accept-Encoding: gzip, deflate", "Content-Length: 2"} <= set(lines)
    assert body == b"{}"


async def test_connection_is_kept_for_the_next_request(start, client):
    server = await start(answer(b"x"))
    outbound = client(server)

    for _ in range(5):
        await outbound.request("GET", server.url)

    assert (len(server.requests), server.connections) == (5, 1)


async def test_calls_run_side_by_side(start, client):
    arrived = asyncio.Event()

    async def behave(reader: Reader, writer: Writer) -> None:
        await server.read_request(reader)
        if len(server.requests) == 20:
            arrived.set()
        await arrived.wait()
        writer.write(answer(b"x"))

    server = await start(behave)
    outbound = client(server)

    found = await asyncio.gather(*(outbound.request("GET", server.url, timeout_s=5) for _ in range(20)))

    assert len(found) == 20


async def test_own_headers_are_replaced_whatever_their_spelling(start, client):
    server = await start(answer(b"x"))

    await client(server).request("GET", server.url, headers={"user-agent": "Shop", "ACCEPT": "text/plain"})

    lines = server.requests[0].lower().split(b"\r\n")
    sent = sorted(line for line in lines if line.startswith((b"user-agent:", b"accept:")))
    assert sent == [b"accept: text/plain", b"user-agent: shop"]


@pytest.mark.parametrize(
    ("method", "lengths"),
    [("GET", []), ("HEAD", []), ("POST", [b"0"]), ("PUT", [b"0"]), ("DELETE", [b"0"])],
    ids=["GET", "HEAD", "POST", "PUT", "DELETE"],
)
async def test_request_without_a_body_says_so_where_one_could_come(start, client, method: str, lengths: list[bytes]):
    server = await start(answer())

    await client(server).request(method, server.url)

    lines = server.requests[0].lower().split(b"\r\n")
    assert [line.split(b": ")[1] for line in lines if line.startswith(b"content-length")] == lengths


async def test_provisional_answers_are_passed_over(start, client):
    server = await start(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + answer(b"x", status="201 Created"))

    response = await client(server).request("GET", server.url, timeout_s=5)

    assert (response.status, response.body, response.headers) == (201, b"x", {"content-length": "1"})


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_connection_on_which_a_request_has_not_left_yet_is_not_used_again(start, client):
    async def behave(reader: Reader, writer: Writer) -> None:
        server.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer(b"x"))
        if server.connections == 1:
            await asyncio.Event().wait()  # reads nothing more

    server = await start(behave)
    outbound = client(server)

    first = await outbound.request("POST", server.url, body=bytes(20_000_000), timeout_s=5)
    second = await outbound.request("GET", server.url, timeout_s=5)

    assert (first.body, second.body, server.connections) == (b"x", b"x", 2)


async def test_cookies_are_not_kept(start, client):
    server = await start(answer(b"", "Set-Cookie: session=1; Path=/\r\n"))
    outbound = client(server)

    await outbound.request("GET", server.url)
    await outbound.request("GET", server.url)

    assert b"cookie" not in server.requests[1].lower()


async def test_proxies_from_the_environment_are_not_used(start, client, monkeypatch):
    server = await start(answer(b"x"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    response = await client(server).request("GET", server.url)

    assert response.body == b"x"


async def test_error_statuses_are_answers(start, client):
    server = await start(answer(b"gone", status="410 Gone"))

    response = await client(server).request("GET", server.url)

    assert (response.status, response.body) == (410, b"gone")


async def test_head_has_no_body(start, client):
    server = await start(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")

    response = await client(server).request("HEAD", server.url)

    assert (response.status, response.body) == (200, b"")


async def test_header_that_is_no_utf8_is_still_text(start, client):
    server = await start(b"HTTP/1.1 200 OK\r\nX-Name: \xff\xfe\r\nContent-Length: 0\r\n\r\n")

    response = await client(server).request("GET", server.url)

    response.headers["x-name"].encode()


def test_each_event_loop_has_its_own_connections():
    async def call() -> bytes:
        ended = asyncio.Event()

        async def behave(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(b"x"))
            await reader.read()
            writer.close()
            await writer.wait_closed()
            ended.set()

        listening = await asyncio.start_server(behave, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        try:
            return (await outbound.request("GET", f"http://127.0.0.1:{port}/")).body
        finally:
            await outbound.close()
            listening.close()
            await ended.wait()

    outbound = Outbound(["127.0.0.1"])

    assert [asyncio.run(call()), asyncio.run(call())] == [b"x", b"x"]


# the guard


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fec0::1]",
        "[ff02::1]",
        "127.0.0.1.",
        "１２７.０.０.１",
        "localhost",
        "LocalHost.",
        "db.localhost",
        "printer.local",
        "metadata.google.internal",
        "metadata",
        "instance-data",
    ],
)
async def test_closed_host_is_refused_without_a_look_up(client, host: str):
    async def look_up(host: str, port: int) -> list[str]:
        raise AssertionError("asked for an address")

    error = await failure(client(look_up=look_up).request("GET", f"http://{host}/"))

    assert (error.code, error.param) == ("http.address_blocked", "url")
    assert "PULSEWIRE_ALLOW_HOSTS" in error.message


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["100.64.0.1"],
        ["::1"],
        ["fe80::1%2"],
        ["::ffff:10.0.0.1"],
        [PUBLIC, "192.168.0.1"],
        ["2606:4700::1111", "127.0.0.1", PUBLIC],
        ["no address"],
    ],
    ids=str,
)
async def test_name_is_refused_when_one_of_its_addresses_is_closed(client, addresses: list[str]):
    error = await failure(client(look_up=names(shop_example=addresses)).request("GET", "http://shop.example/"))

    assert error.code == "http.address_blocked"
    assert "shop.example:80" in error.message


@pytest.fixture
async def dial_log(monkeypatch) -> list[str]:
    """The addresses that connections are opened to; nothing answers at any of them."""
    seen: list[str] = []

    async def sock_connect(sock: Any, address: tuple[Any, ...]) -> None:
        seen.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
    return seen


async def test_name_that_changes_its_address_never_leads_inside(client, dial_log):
    answers = itertools.cycle([[PUBLIC], ["127.0.0.1"], [PUBLIC, "10.0.0.1"]])
    asked = 0

    async def look_up(host: str, port: int) -> list[str]:
        nonlocal asked
        asked += 1
        return next(answers)

    outbound = client(look_up=look_up)

    codes = [(await failure(outbound.request("GET", "http://flip.example/"))).code for _ in range(999)]

    assert asked == 999, "each connection asks once and uses that answer"
    assert codes == ["http.unreachable", "http.address_blocked", "http.address_blocked"] * 333
    assert dial_log == [PUBLIC] * 333


async def test_literal_public_address_is_dialled_as_it_is(client, dial_log):
    await failure(client().request("GET", f"http://{PUBLIC}/"))

    assert dial_log == [PUBLIC]


async def test_peer_that_is_not_who_was_dialled_gets_nothing(start, client, monkeypatch):
    server = await start(answer(b"inside"))
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def sock_connect(sock: Any, address: Any) -> None:
        await connect(sock, ("127.0.0.1", server.port))

    monkeypatch.setattr(loop, "sock_connect", sock_connect)

    error = await failure(client(look_up=names(shop_example=[PUBLIC])).request("GET", "http://shop.example/"))

    assert error.code == "http.address_blocked"
    assert server.requests == []


async def test_open_name_is_open_at_its_port_only(start, client):
    server = await start(answer(b"x"))
    other = await start(answer(b"y"))
    outbound = client(f"sink.example:{server.port}", look_up=names(sink_example=["127.0.0.1"]))

    response = await outbound.request("GET", f"http://sink.example:{server.port}/")
    by_address = await failure(outbound.request("GET", server.url))
    other_port = await failure(outbound.request("GET", f"http://sink.example:{other.port}/"))

    assert response.body == b"x"
    assert (by_address.code, other_port.code) == ("http.address_blocked", "http.address_blocked")
    assert other.connections == 0


async def test_localhost_can_be_opened(start, client):
    server = await start(answer(b"x"))

    response = await client(f"localhost:{server.port}").request("GET", f"http://localhost:{server.port}/")

    assert response.body == b"x"


async def test_a_cookie_of_one_answer_is_not_sent_with_the_next_call(start, client):
    server = await start(answer(b"", "Set-Cookie: session=one\r\n"))
    place = f"shop.test:{server.port}"
    outbound = client(place, look_up=names(shop_test=["127.0.0.1"]))

    for _ in range(2):
        await outbound.request("GET", f"http://{place}/")

    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("leads_to", ["http://169.254.169.254/latest", "file:///etc/passwd", "/again"])
async def test_redirect_is_not_followed(start, client, status: int, leads_to: str):
    server = await start(answer(b"", f"Location: {leads_to}\r\n", f"{status} Elsewhere"))

    error = await failure(client(server).request("GET", server.url, headers={"Authorization": "Bearer s3cret"}))

    assert (error.code, len(server.requests)) == ("http.redirect", 1)
    assert str(status) in error.message


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1\r\nX-B: 2"},
        {"X-A": "1\n"},
        {"X-A\r\nX-B": "1"},
        {"X-A": "nul\x00"},
        {"X-A": "\u2028"},
        {"X A": "1"},
        {"": "1"},
        {"X-A:": "1"},
        {"Host": "inside"},
        {"hOST": "inside"},
        {"Transfer-Encoding": "chunked"},
        {"Content-Length": "0"},
        {"Connection": "upgrade"},
        {"X-A": "x" * REQUEST_HEADER_BYTES},
        {f"X-{number}": "1" for number in range(101)},
    ],
    ids=lambda headers: ascii(next(iter(headers.items())))[:40],
)
async def test_header_that_could_split_or_steer_the_request_is_refused(start, client, headers: dict[str, str]):
    server = await start(answer())

    error = await failure(client(server).request("GET", server.url, headers=headers))

    assert (error.code, error.param) == ("http.header_invalid", "headers")
    assert server.connections == 0


# servers that misbehave


async def test_server_that_never_answers_is_given_up(start, client):
    async def behave(reader: Reader, writer: Writer) -> None:
        await reader.read()

    server = await start(behave)
    began = time.monotonic()

    error = await failure(client(server).request("GET", server.url, timeout_s=0.1))

    assert isinstance(error, TemporaryError)
    assert error.code == "http.timeout"
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"], ids=["head", "body"])
async def test_server_that_trickles_is_given_up_in_time(start, client, head: bytes):
    async def behave(reader: Reader, writer: Writer) -> None:
        await server.read_request(reader)
        writer.write(head)
        for byte in b"HTTP/1.1 200 OK\r\n" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    server = await start(behave)
    began = time.monotonic()

    error = await failure(client(server).request("GET", server.url, timeout_s=0.15))

    assert error.code == "http.timeout"
    assert time.monotonic() - began < 1


async def test_look_up_counts_into_the_deadline(client):
    async def look_up(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    error = await failure(client(look_up=look_up).request("GET", "http://slow.example/", timeout_s=0.05))

    assert error.code == "http.timeout"


async def test_endless_answer_is_cut_off(start, client):
    async def behave(reader: Reader, writer: Writer) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 50_000)
            await writer.drain()

    server = await start(behave)

    error = await failure(client(server).request("GET", server.url, timeout_s=5))

    assert error.code == "http.answer_too_large"
    assert f"{LIMIT:,}" in error.message


async def test_answer_that_announces_too_much_is_not_read(start, client):
    server = await start(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\nx")

    error = await failure(client(server).request("GET", server.url, timeout_s=5))

    assert error.code == "http.answer_too_large"


@pytest.mark.parametrize("head", ["", "Content-Encoding: gzip\r\n"], ids=["plain", "packed"])
async def test_answer_of_the_limit_passes_and_one_byte_more_does_not(start, client, head: str):
    pack = gzip.compress if head else bytes
    fits = await start(answer(pack(b"x" * LIMIT), head))
    exceeds = await start(answer(pack(b"x" * (LIMIT + 1)), head))
    outbound = client(fits, exceeds)

    response = await outbound.request("GET", fits.url)
    error = await failure(outbound.request("GET", exceeds.url))

    assert len(response.body) == LIMIT
    assert error.code == "http.answer_too_large"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_compression_bomb_stays_within_the_limit(start, client, encoding: str):
    packed = zlib.compress(b"\0" * 50_000_000, 9) if encoding == "deflate" else gzip.compress(b"\0" * 50_000_000)
    assert len(packed) < LIMIT
    server = await start(answer(packed, f"Content-Encoding: {encoding}\r\n"))
    outbound = client(server)
    tracemalloc.start()
    try:
        error = await failure(outbound.request("GET", server.url, timeout_s=5))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert error.code == "http.answer_too_large"
    assert peak < 20 * LIMIT


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"hello")),
        ("GZIP", gzip.compress(b"hello")),
        ("x-gzip", gzip.compress(b"hel") + gzip.compress(b"lo")),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", raw_deflate(b"hello")),
        ("identity", b"hello"),
    ],
    ids=["gzip", "upper case", "two members", "zlib", "raw deflate", "identity"],
)
async def test_packed_answer_is_unpacked(start, client, encoding: str, body: bytes):
    server = await start(answer(body, f"Content-Encoding: {encoding}\r\n"))

    response = await client(server).request("GET", server.url)

    assert response.body == b"hello"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"hello"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"hello"))),
        ("gzip", b"hello"),
        ("gzip", gzip.compress(b"hello")[:-4]),
        ("deflate", b"\xff\xff\xff"),
        ("gzip", gzip.compress(b"hello") + b"trailing"),
    ],
    ids=["br", "twice", "not packed", "cut", "garbage", "trailing"],
)
async def test_answer_that_cannot_be_unpacked_is_an_error(start, client, encoding: str, body: bytes):
    server = await start(answer(body, f"Content-Encoding: {encoding}\r\n"))

    error = await failure(client(server).request("GET", server.url))

    assert error.code == "http.answer_invalid"


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\x01\x02\x03" * 100,
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * (RESPONSE_HEADERS + 10) + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * 20_000 + b"\r\n\r\n",
    ],
    ids=["ssh", "binary", "status", "length", "two lengths", "long header", "many headers", "long status"],
)
async def test_answer_that_is_not_http_is_an_error(start, client, sent: bytes):
    server = await start(sent)

    error = await failure(client(server).request("GET", server.url, timeout_s=5))

    assert error.code == "http.answer_invalid"
    assert not isinstance(error, TemporaryError)


async def test_chunks_that_are_none_are_an_error(start, client):
    server = await start(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")

    error = await failure(client(server).request("GET", server.url, timeout_s=2))

    assert error.code in ("http.answer_invalid", "http.answer_incomplete"), "depends on how the bytes arrive"


async def test_endless_headers_are_cut_off(start, client):
    async def behave(reader: Reader, writer: Writer) -> None:
        await server.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in itertools.count():
            writer.write(b"X-%d: 1\r\n" % number)
            await writer.drain()

    server = await start(behave)

    error = await failure(client(server).request("GET", server.url, timeout_s=5))

    assert error.code == "http.answer_invalid"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"", "http.unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Len", "http.unreachable"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "http.answer_incomplete"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "http.answer_incomplete"),
    ],
    ids=["nothing", "half head", "half body", "half chunk"],
)
async def test_connection_that_breaks_off_is_temporary(start, client, sent: bytes, code: str):
    async def behave(reader: Reader, writer: Writer) -> None:
        await server.read_request(reader)
        writer.write(sent)
        writer.write_eof()  # half-closed: it goes on listening

    server = await start(behave)

    error = await failure(client(server).request("POST", server.url, timeout_s=2))

    assert isinstance(error, TemporaryError)
    assert error.code == code


@pytest.mark.parametrize(("method", "sent"), [("GET", 2), ("PUT", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)])
async def test_what_may_be_repeated_is_sent_once_more_when_its_connection_breaks(start, client, method: str, sent: int):
    async def behave(reader: Reader, writer: Writer) -> None:
        await server.read_request(reader)
        writer.transport.abort()

    server = await start(behave)

    error = await failure(client(server).request(method, server.url, timeout_s=2))

    assert (error.code, len(server.requests)) == ("http.unreachable", sent)


async def test_refused_connection_is_temporary(client):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        place = f"127.0.0.1:{taken.getsockname()[1]}"

        error = await failure(client(place).request("GET", f"http://{place}/"))

    assert isinstance(error, TemporaryError)
    assert error.code == "http.unreachable"


async def test_unknown_name_is_temporary(client):
    error = await failure(client(look_up=names()).request("GET", "http://nowhere.example/"))

    assert isinstance(error, TemporaryError)
    assert error.code == "http.unreachable"
    assert "nowhere.example" in error.message


async def test_server_without_tls_is_told_apart(start, client):
    async def behave(reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = await start(behave)

    error = await failure(client(server).request("GET", server.url.replace("http:", "https:"), timeout_s=2))

    assert error.code == "http.tls_failed"


@pytest.fixture(scope="module")
def own_certificate(tmp_path_factory) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(*formats) + certificate.public_bytes(serialization.Encoding.PEM))
    return path


async def test_certificate_nobody_vouches_for_is_refused(start, client, own_certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_certificate)
    server = await start(answer(b"x"), ssl=context)

    error = await failure(client(server).request("GET", server.url.replace("http:", "https:"), timeout_s=5))

    assert error.code == "http.tls_failed"
    assert not isinstance(error, TemporaryError)
    assert server.requests == []


async def test_error_says_the_host_and_nothing_of_the_rest(start, client):
    server = await start(b"garbage\r\n\r\n")

    error = await failure(client(server).request("GET", server.url + "path?token=s3cret", headers={"X-Key": "s3cret"}))

    assert "127.0.0.1" in error.message
    assert "s3cret" not in error.message


async def test_broken_connection_is_not_used_again(start, client):
    async def behave(reader: Reader, writer: Writer) -> None:
        while True:
            await server.read_request(reader)
            bad = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\nx"
            writer.write(bad if server.connections == 1 else answer(b"fine"))

    server = await start(behave)
    outbound = client(server)

    await failure(outbound.request("GET", server.url))
    response = await outbound.request("GET", server.url)

    assert (response.body, server.connections) == (b"fine", 2)
