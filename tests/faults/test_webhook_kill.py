"""Webhooks of a real Pulsewire whose processes are killed, and what real connections bring."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from tests.faults.test_kill import pid_of
from tests.http.hooks.flows import put, respond, webhook_flow

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

REQUESTS = 300


def publish(pulsewire, document) -> None:
    pulsewire.call("POST", "/api/flows", document)
    pulsewire.call("POST", f"/api/flows/{document['graph']['id']}/publish")


@pytest.fixture
def post(pulsewire) -> Iterator[Callable[[int], int | None]]:
    """Send a request and return the status of its answer, None where there was none."""
    limits = httpx.Limits(max_connections=100)
    with httpx.Client(base_url=pulsewire.server.url, timeout=30, limits=limits) as client:

        def send(number: int) -> int | None:
            key = {"Idempotency-Key": f"order-{number}"}
            try:
                return client.post("/hooks/orders", json={"n": number}, headers=key).status_code
            except httpx.HTTPError:
                return None

        yield send


def runs_by_key(pulsewire) -> Counter[str]:
    rows = pulsewire.select("SELECT event_id FROM run WHERE flow_id = 'orders-hook'")
    return Counter(event.partition("#")[2] for (event,) in rows)


@pytest.mark.usefixtures("sink")
def test_request_that_was_sent_until_it_was_accepted_is_one_run(pulsewire, post, wait_until) -> None:
    publish(pulsewire, webhook_flow("orders-hook", put(n="{{ $param.body.n }}"), path="orders"))

    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(post, number) for number in range(REQUESTS)]
        wait_until(lambda: len(runs_by_key(pulsewire)) >= REQUESTS // 5)
        pulsewire.server.kill()
        statuses = [answer.result() for answer in answers]
    accepted = {f"order-{number}" for number, status in enumerate(statuses) if status == 202}
    pulsewire.server.start()
    assert accepted <= set(runs_by_key(pulsewire)), "what was accepted is there"
    with ThreadPoolExecutor(16) as pool:
        again = list(pool.map(post, range(REQUESTS)))

    assert set(again) == {202}
    assert 0 < len(accepted) < REQUESTS
    assert runs_by_key(pulsewire) == {f"order-{number}": 1 for number in range(REQUESTS)}
    statuses_of = "SELECT DISTINCT status FROM run WHERE flow_id = 'orders-hook'"
    wait_until(lambda: pulsewire.select(statuses_of) == [("succeeded",)])


@pytest.mark.usefixtures("sink")
def test_caller_who_waits_gets_the_answer_although_the_engine_dies_meanwhile(pulsewire, wait_until) -> None:
    delay = ("delay", "delay", {"seconds": 2.5})
    publish(pulsewire, webhook_flow("ask", delay, respond(json="{{ $param.body }}"), answer="by respond"))
    engine = pid_of(pulsewire, "engine")
    assert engine is not None

    with ThreadPoolExecutor(1) as pool:
        url = f"{pulsewire.server.url}/hooks/ask"
        answer = pool.submit(lambda: httpx.post(url, json={"n": 7}, timeout=90))
        wait_until(lambda: pulsewire.select("SELECT 1 FROM run WHERE flow_id = 'ask' AND status = 'waiting'") != [])
        os.kill(engine, signal.SIGKILL)
        found = answer.result()

    assert (found.status_code, found.json()) == (200, {"n": 7})
    assert pid_of(pulsewire, "engine") != engine


@pytest.mark.usefixtures("sink")
def test_hundred_equal_requests_over_hundred_connections_are_one_run(pulsewire, post) -> None:
    publish(pulsewire, webhook_flow("orders-hook", put(n=1), path="orders"))

    with ThreadPoolExecutor(100) as pool:
        statuses = list(pool.map(post, [1] * 100))

    assert set(statuses) == {202}
    assert runs_by_key(pulsewire) == {"order-1": 1}


@pytest.mark.usefixtures("sink")
def test_largest_body_passes_and_one_that_never_ends_does_not(pulsewire, wait_until) -> None:
    publish(pulsewire, webhook_flow("orders-hook", put(size="{{ $param.body.file.size }}"), path="orders"))
    url, size = f"{pulsewire.server.url}/hooks/orders", 9_999_000

    passed = httpx.post(url, files={"file": ("a.bin", b"\xff" * size)}, timeout=60)
    run = passed.json()["runs"][0]
    wait_until(lambda: pulsewire.call("GET", f"/api/runs/{run}")["status"] == "succeeded")
    step = next(step for step in pulsewire.call("GET", f"/api/runs/{run}")["steps"] if step["node"] == "put")
    answer = _endless(pulsewire.server.port)

    assert (passed.status_code, step["output"]) == (202, {"size": size})
    assert answer.startswith(b"HTTP/1.1 413")
    assert pulsewire.call("GET", "/readyz")["status"] == "ready"


def _endless(port: int) -> bytes:
    """Return the answer to a chunked body that is sent for as long as the server takes it."""
    head = f"POST /hooks/orders HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        with suppress(OSError):
            for _ in range(1_000):
                connection.sendall(chunk)
        return connection.recv(65_536)
