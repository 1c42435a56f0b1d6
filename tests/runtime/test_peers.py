"""Runs that talk to servers which are silent, slow, endless or liars: their steps end in time, as what they are."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from backend.mail import Mailer
from backend.mailbox import Mailbox
from backend.preferences import Preferences, SmtpInput
from backend.secrets import MAILBOX, SecretBox
from runtime import limits
from runtime.outbound import Outbound
from storage.tables import StepRow

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Talk = Callable[[Reader, Writer], Awaitable[None]]
DEADLINE_S = 0.3
RETRY = {"attempts": 2, "delay_s": 0}
BOMB = gzip.compress(b"\0" * 100_000_000)
HEAD = b"HTTP/1.1 200 OK\r\n"
FINE = HEAD + b"Content-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


@dataclass
class Peer:
    """A server on a loopback port. *connections* counts those that came, *open* those that are there."""

    port: int = 0
    connections: int = 0
    open: int = 0

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"


Serve = Callable[[Talk], Awaitable[Peer]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Return a function that starts a server which talks to each connection as told, until the other side goes."""
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[Any]] = set()

    async def start(talk: Talk) -> Peer:
        peer = Peer()

        async def accept(reader: Reader, writer: Writer) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            peer.connections += 1
            peer.open += 1
            try:
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    await talk(reader, writer)
                    while await reader.read(65_536):
                        pass
            except asyncio.CancelledError:
                pass  # the test is over
            finally:
                peer.open -= 1
                tasks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        servers.append(server)
        peer.port = server.sockets[0].getsockname()[1]
        return peer

    yield start
    for server in servers:
        server.close()
    for task in tuple(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # the transports are closed in the next turn of the loop


async def asked(reader: Reader) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def never_answers(reader: Reader, writer: Writer) -> None: ...


async def one_byte_at_a_time(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    for byte in HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)


async def one_chunk_at_a_time(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\nx\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless_headers(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write(HEAD)
    for number in itertools.count():
        writer.write(b"X-%d: 1\r\n" % number * 1_000)
        await writer.drain()


async def endless_interim_answers(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        await writer.drain()


async def endless_chunks(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n")
        await writer.drain()


async def endless_chunk_extension(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;")
    while True:
        writer.write(b"x" * 50_000)
        await writer.drain()


async def endless_trailers(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
    while True:
        writer.write(b"X-Trailer: 1\r\n" * 1_000)
        await writer.drain()


async def bomb(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write(HEAD + b"Connection: close\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)


async def ten_gigabytes(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write(HEAD + b"Content-Length: 10000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 50_000)
        await writer.drain()


async def less_than_announced(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write(HEAD + b"Content-Length: 100\r\n\r\nhalf")
    writer.write_eof()


async def announced_and_withheld(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write(HEAD + b"Content-Length: 100\r\n\r\nhalf")


async def half_closed(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write_eof()


async def hangs_up(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.transport.abort()


async def two_lengths(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write(HEAD + b"Content-Length: 1\r\nContent-Length: 20\r\n\r\nx")


async def no_tls(reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def half_a_handshake(reader: Reader, writer: Writer) -> None:
    await reader.read(5)
    writer.write(b"\x16\x03\x03\x40\x00")  # a record of 16 kB that never comes


async def fine(reader: Reader, writer: Writer) -> None:
    await asked(reader)
    writer.write(FINE)


def outgoing(*peers: Peer) -> Outbound:
    return Outbound([peer.place for peer in peers])


def request(peer: Peer, scheme: str = "http", **more: Any) -> dict[str, Any]:
    params = {"url": f"{scheme}://{peer.place}/", "timeout_s": DEADLINE_S} | more
    return {"id": "ask", "type": "http_request", "params": params, "retry": RETRY, "on_error": "port"}


async def use(rig: Any, **parts: Any) -> None:
    for name, part in parts.items():
        setattr(rig, name, part)
    await rig.restart()


@pytest.mark.parametrize(
    ("scheme", "talk", "code"),
    [
        ("http", never_answers, "http.timeout"),
        ("http", one_byte_at_a_time, "http.timeout"),
        ("http", one_chunk_at_a_time, "http.timeout"),
        ("http", endless_interim_answers, "http.timeout"),
        ("http", endless_headers, "http.answer_invalid"),
        ("http", endless_chunks, "http.answer_too_large"),
        ("http", endless_chunk_extension, "http.timeout"),
        ("http", endless_trailers, "http.answer_invalid"),
        ("http", bomb, "http.answer_too_large"),
        ("http", ten_gigabytes, "http.answer_too_large"),
        ("http", less_than_announced, "http.answer_incomplete"),
        ("http", announced_and_withheld, "http.timeout"),
        ("http", half_closed, "http.unreachable"),
        ("http", hangs_up, "http.unreachable"),
        ("http", two_lengths, "http.answer_invalid"),
        ("https", no_tls, "http.tls_failed"),
        ("https", half_a_handshake, "http.timeout"),
        ("https", never_answers, "http.timeout"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_step_ends_by_its_deadline_whatever_the_server_does(
    rig: Any, serve: Serve, scheme: str, talk: Talk, code: str
) -> None:
    peer = await serve(talk)
    await use(rig, http=outgoing(peer))
    timeout_s = DEADLINE_S if code == "http.timeout" else 10 * DEADLINE_S
    told = {"id": "told", "type": "echo", "params": {"text": "{{ $action.ask.code }}"}}
    rig.flow([request(peer, scheme, timeout_s=timeout_s), told], ["start>ask", "ask.error>told"])

    tracemalloc.start()
    try:
        run, steps = await rig.done()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (run.status, steps["ask"].status, steps["told"].status) == ("succeeded", "failed", "succeeded")
    assert steps["ask"].error["code"] == code
    is_temporary = code in ("http.timeout", "http.unreachable", "http.answer_incomplete")
    assert steps["ask"].attempt == (2 if is_temporary else 1)
    assert peer.connections in (steps["ask"].attempt, 2 * steps["ask"].attempt)  # a lost GET is sent once more at once
    assert peak_bytes < 5 * limits.HTTP_RESPONSE_BYTES
    async with asyncio.timeout(5):
        while peer.open:  # noqa: ASYNC110 - the other side of a socket tells nobody
            await asyncio.sleep(0.01)


async def test_an_answer_longer_than_announced_is_cut_where_it_said(rig: Any, serve: Serve) -> None:
    async def more_than_announced(reader: Reader, writer: Writer) -> None:
        await asked(reader)
        writer.write(HEAD + b"Content-Length: 4\r\n\r\nrest" + FINE)

    peer = await serve(more_than_announced)
    await use(rig, http=outgoing(peer))
    rig.flow([request(peer), request(peer) | {"id": "again"}], ["start>ask", "ask>again"])

    run, steps = await rig.done()

    assert run.status == "succeeded"
    assert [steps[node].output["body"] for node in ("ask", "again")] == ["rest", "rest"]
    assert peer.connections == 2  # a connection with something left on it is not used again


async def test_runs_that_hang_on_a_silent_server_free_their_places_in_time(rig: Any, serve: Serve) -> None:
    silent, quick = await serve(never_answers), await serve(fine)
    await use(rig, http=outgoing(silent, quick))
    rig.flow([request(silent) | {"on_error": "stop", "retry": {"attempts": 1}}], ["start>ask"])
    rig.flow([request(quick)], ["start>ask"], flow_id="g", event="quick")
    rig.flow([{"id": "inside", "type": "echo", "params": {"text": "x"}}], ["start>inside"], flow_id="h", event="in")

    hanging = [await rig.emit() for _ in range(limits.STEPS_AT_ONCE)]
    async with asyncio.timeout(5):
        while silent.connections < limits.STEPS_AT_ONCE // 2:  # noqa: ASYNC110 - sockets tell nobody
            await asyncio.sleep(0.01)
    inside, outside = await rig.emit(name="in"), await rig.emit(name="quick")

    assert (await rig.run(inside)).status == "succeeded"
    assert (await rig.run(outside)).status == "succeeded"
    assert {(await rig.run(run_id)).error["code"] for run_id in hanging} == {"http.timeout"}


# mail servers


async def say(writer: Writer, text: str) -> None:
    writer.write(text.encode() + b"\r\n")
    await writer.drain()


def smtp(
    *, banner: str = "220 here", rcpt: str = "250 fine", data: str = "354 go on", end: str | None = "250 taken",
    then: Callable[[Writer], None] | None = None,
) -> tuple[Talk, list[bytes]]:  # fmt: skip
    """Return how a mail server talks, and the list of what it takes. *end* None: it says nothing after the mail."""
    taken: list[bytes] = []

    async def talk(reader: Reader, writer: Writer) -> None:
        await say(writer, banner)
        while line := (await reader.readline()).decode().strip():
            match line.split()[0].upper():
                case "DATA":
                    await say(writer, data)
                    if data.startswith("354"):
                        taken.append(await reader.readuntil(b"\r\n.\r\n"))
                        if then is not None:
                            then(writer)
                            return
                        if end is None:
                            return
                        await say(writer, end)
                case "RCPT":
                    await say(writer, rcpt)
                case "QUIT":
                    await say(writer, "221 bye")
                    return
                case _:
                    await say(writer, "250 fine")

    return talk, taken


async def endless_greeting(reader: Reader, writer: Writer) -> None:
    while True:
        writer.write(b"220-still greeting\r\n" * 1_000)
        await writer.drain()


async def endless_line(reader: Reader, writer: Writer) -> None:
    writer.write(b"220 ")
    while True:
        writer.write(b"x" * 50_000)
        await writer.drain()


async def slow_greeting(reader: Reader, writer: Writer) -> None:
    for byte in b"220 here\r\n" * 1_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


async def mail_run(rig: Any, peer: Peer) -> tuple[Any, StepRow]:
    """Send one mail through *peer*; return the run and the step."""
    preferences = Preferences(rig.database, SecretBox("a secret key for tests"))
    preferences.set_smtp(SmtpInput("127.0.0.1", peer.port, tls="none", sender="Ops <ops@example.com>"))
    mailbox = Mailbox(rig.database, SecretBox("a secret key for tests", MAILBOX))
    await use(rig, mailer=Mailer(preferences, mailbox, "pulsewire@localhost", deadline_s=DEADLINE_S))
    params = {"to": "a@example.org", "subject": "Hello", "text": "Hi"}
    rig.flow([{"id": "mail", "type": "send_email", "params": params, "retry": RETRY}], ["start>mail"])
    run, steps = await rig.done()
    return run, steps["mail"]


@pytest.mark.parametrize(
    ("talk", "attempts"),
    [
        (smtp(banner="421 too many connections")[0], 2),
        (smtp(rcpt="450 greylisted")[0], 2),
        (smtp(rcpt="550 no such user")[0], 1),
        (smtp(data="421 shutting down")[0], 2),
        (smtp(end="452 full")[0], 2),
        (smtp(end="552 too big")[0], 1),
        (smtp(data="250 fine")[0], 2),
        (never_answers, 2),
        (slow_greeting, 2),
        (endless_greeting, 2),
        (endless_line, None),
    ],
    ids=[
        "421 banner", "450 recipient", "550 recipient", "421 data", "452 mail", "552 mail", "no 354", "silent", "slow",
        "endless greeting", "endless line",
    ],
)  # fmt: skip
async def test_mail_that_a_server_does_not_take_is_tried_again_only_where_that_may_help(
    rig: Any, serve: Serve, talk: Talk, attempts: int | None
) -> None:
    peer = await serve(talk)

    tracemalloc.start()
    try:
        run, step = await mail_run(rig, peer)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (run.status, step.status) == ("failed", "failed")
    assert step.error["code"] == ("mail.refused" if step.attempt == 1 else "mail.delayed")
    assert step.attempt in (attempts or 1, attempts or 2)
    assert "may have been sent" not in step.error["message"]
    assert peak_bytes < 20_000_000


@pytest.mark.parametrize("is_dropped", [False, True], ids=["hangs", "drops"])
async def test_mail_lost_after_its_last_line_may_have_been_sent_and_keeps_its_id(
    rig: Any, serve: Serve, is_dropped: bool
) -> None:
    talk, taken = smtp(end=None, then=(lambda writer: writer.transport.abort()) if is_dropped else None)
    peer = await serve(talk)

    run, step = await mail_run(rig, peer)

    assert (run.status, step.attempt, step.error["code"]) == ("failed", 2, "mail.delayed")
    assert "may have been sent" in step.error["message"]
    ids = [line for mail in taken for line in mail.splitlines() if line.lower().startswith(b"message-id:")]
    assert (len(ids), len(set(ids))) == (2, 1)
