"""How fast do end users get in, and does the time tell who has an account?

    python benchmarks/sign_in.py [--logins 200] [--at-once 8] [--pairs 300] [--users 100000] [--json]

Starts its own ``pulsewire serve`` in an empty directory, as shipped: argon2id with 19 MiB, SQLite with
synchronous=FULL. While the logins run, ``/healthz`` is asked every 10 ms. A pair is one try for an address that has an
account and one for an address that has none, each from a client address of its own, as a trusted proxy reports it.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from processes import Server
from sqlalchemy import insert

from backend.passwords import Passwords
from backend.sessions import Sessions
from backend.user_queries import search_text
from storage.database import Database
from storage.tables import UserRow

PASSWORD = "correct 1 horse"
KNOWN = 50
HEALTH_EVERY_S = 0.01
CHECKS = 2_000
CALLS = 7


class Client:
    """One keep-alive connection; each request comes from a client address of its own."""

    addresses = count(1)

    def __init__(self, server: Server) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=60)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, float]:
        """Return status, answer and milliseconds."""
        number = next(self.addresses)
        headers |= {
            "Content-Type": "application/json",
            "st-auth-mode": "header",
            "X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        }
        begun = time.perf_counter()
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        text = answer.read()
        took_ms = (time.perf_counter() - begun) * 1000
        return answer.status, json.loads(text) if text else None, took_ms

    def form(self, path: str, **fields: str) -> tuple[str, float]:
        """Send a form; return the ``status`` of the answer and milliseconds."""
        entered = [{"id": key, "value": value} for key, value in fields.items()]
        status, answer, took_ms = self.call("POST", path, {"formFields": entered})
        if status != 200:
            raise RuntimeError(f"{path} answered {status}: {answer}")
        return answer["status"], took_ms


def known(number: int) -> str:
    return f"known{number % KNOWN}@example.com"


def logins(server: Server, many: int, at_once: int) -> dict[str, Any]:
    """Sign in *many* times, *at_once* at a time, and ask for the server's health meanwhile."""
    numbers = iter(range(many))
    lock, is_over, waits, health = threading.Lock(), threading.Event(), [], []

    def work() -> None:
        client = Client(server)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            status, took_ms = client.form("/auth/signin", email=known(number), password=PASSWORD)
            assert status == "OK", status
            waits.append(took_ms)

    def watch() -> None:
        client = Client(server)
        while not is_over.wait(HEALTH_EVERY_S):
            health.append(client.call("GET", "/healthz")[2])

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun, cpu_s = time.perf_counter(), server.cpu_s()
    with ThreadPoolExecutor(at_once) as threads:
        for each in [threads.submit(work) for _ in range(at_once)]:
            each.result()
    took_s, cpu_s = time.perf_counter() - begun, server.cpu_s() - cpu_s
    is_over.set()
    watcher.join()
    return {
        "at_once": at_once,
        "logins_per_s": round(many / took_s, 1),
        "login_ms": _shares(waits),
        "healthz_ms": _shares(health),
        "healthz_asked": len(health),
        "cpu_ms_per_login": round(cpu_s * 1000 / many, 1),
    }


def compare(many: int, ask: Callable[[str], float], unknown: Iterator[str]) -> dict[str, Any]:
    """Time *ask* for known and unknown addresses in turn; *auc* is how often a guess by the time alone is right."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(many):
        for is_known in random.sample([True, False], 2):
            times[is_known].append(ask(known(number) if is_known else next(unknown)))
    here, nowhere = statistics.median(times[True]), statistics.median(times[False])
    return {
        "pairs": many,
        "known_ms": round(here, 2),
        "unknown_ms": round(nowhere, 2),
        "difference_percent": round(abs(here - nowhere) / nowhere * 100, 2),
        "auc": round(_auc(times[True], times[False]), 3),
    }


def comparisons(server: Server, pairs: int) -> dict[str, Any]:
    """Compare known and unknown addresses at sign-in, reset and sign-up."""
    client = Client(server)
    nobody = (f"nobody{number}@example.com" for number in count())

    def sign_in(email: str) -> float:
        return client.form("/auth/signin", email=email, password="wrong 1 horse")[1]

    def reset(email: str) -> float:
        return client.form("/auth/user/password/reset/token", email=email)[1]

    def sign_up(email: str) -> float:
        return client.form("/auth/signup", email=email, password=PASSWORD)[1]

    few = max(20, pairs // 5)  # each takes a fifth of a second
    return {
        "sign_in": compare(pairs, sign_in, nobody),
        "reset": compare(few, reset, nobody),
        "sign_up": compare(few, sign_up, (f"new{number}@example.com" for number in count())),
    }


def session_check(directory: Path) -> dict[str, float]:
    """Time the look-up of a session among those of the logins, without HTTP, in microseconds."""
    database = Database(f"sqlite:///{directory / 'pulsewire.db'}")
    sessions = Sessions(database)
    with database.read() as session:
        user_id = session.connection().exec_driver_sql("SELECT id FROM account LIMIT 1").scalar_one()
    tokens = [sessions.create(user_id, with_csrf=False).access for _ in range(20)]
    times = []
    for number in range(CHECKS):
        begun = time.perf_counter()
        found = sessions.check(tokens[number % len(tokens)])
        times.append((time.perf_counter() - begun) * 1_000_000)
        assert found is not None
    database.dispose()
    return {"p50": round(statistics.median(times)), "p99": round(sorted(times)[int(CHECKS * 0.99)])}


def users_list(server: Server, key: str, many: int) -> dict[str, Any]:
    """Time pages of the list of users over HTTP, the first call left out, with *many* users."""
    database = Database(f"sqlite:///{server.directory / 'pulsewire.db'}")
    now = datetime.now(UTC)
    with database.write() as session:
        session.connection().execute(insert(UserRow), [_row(number, now) for number in range(many)])
    database.dispose()
    client = Client(server)
    pages = {
        "first page": "limit=50",
        "by address": "limit=50&sort=email",
        "last page": f"limit=50&offset={many - 50}",
        "search": "limit=50&search=user99",
        "verified": "limit=50&verified=true",
    }
    found = {}
    for name, query in pages.items():
        times = []
        for _ in range(CALLS + 1):
            status, answer, took_ms = client.call("GET", f"/api/users?{query}", Authorization=f"Bearer {key}")
            assert status == 200, answer
            times.append(took_ms)
        found[name] = round(statistics.median(times[1:]), 1)
    return found


def benchmark(many: int, at_once: int, pairs: int, users: int) -> dict[str, Any]:
    """Return every figure."""
    with tempfile.TemporaryDirectory(prefix="pulsewire-bench-") as directory:
        server = Server(Path(directory))
        server.environment["PULSEWIRE_TRUSTED_PROXIES"] = "127.0.0.1"
        server.start()
        try:
            key = server.command("keys", "create", "benchmark")
            client = Client(server)
            for number in range(KNOWN):
                body = {"email": known(number), "password": PASSWORD}
                status, answer, _ = client.call("POST", "/api/users", body, Authorization=f"Bearer {key}")
                assert status == 201, answer
            logins(server, KNOWN, at_once)  # warms connections and caches
            return {
                "logins": logins(server, many, at_once),
                "one_by_one": logins(server, max(20, many // 4), 1),
                "known_and_unknown": comparisons(server, pairs),
                "session_check_us": session_check(server.directory),
                "users": users,
                "users_page_ms": users_list(server, key, users),
                "hash_ms": _hash_ms(),
            }
        finally:
            server.stop()


def report(figures: dict[str, Any]) -> None:
    """Print the figures for people."""
    for name in ("logins", "one_by_one"):
        found = figures[name]
        wait, health = found["login_ms"], found["healthz_ms"]
        print(
            f"{found['at_once']} at a time   {found['logins_per_s']} logins/s, p50 {wait['p50']} p99 {wait['p99']} ms, "
            f"{found['cpu_ms_per_login']} ms CPU each; /healthz meanwhile p50 {health['p50']} p99 {health['p99']} ms"
        )
    for name, found in figures["known_and_unknown"].items():
        print(
            f"{name:<12} known {found['known_ms']} ms, unknown {found['unknown_ms']} ms: "
            f"{found['difference_percent']} % apart, AUC {found['auc']} ({found['pairs']} pairs)"
        )
    checks = figures["session_check_us"]
    print(f"session      p50 {checks['p50']} p99 {checks['p99']} µs; one hash {figures['hash_ms']} ms")
    pages = ", ".join(f"{name} {took_ms} ms" for name, took_ms in figures["users_page_ms"].items())
    print(f"{figures['users']:,} users  {pages}")


def _row(number: int, now: datetime) -> dict[str, Any]:
    email, first_name, last_name = (
        f"user{number}@example.org",
        random.choice(("Anna", "Bert", "Carl")),
        f"Name {number}",
    )
    return {
        "id": str(uuid4()),
        "email": email,
        "folded_email": email,
        "search_text": search_text(email, first_name, last_name),
        "first_name": first_name,
        "last_name": last_name,
        "is_verified": number % 2 == 0,
        "is_blocked": False,
        "created_at": now,
        "updated_at": now,
    }


def _hash_ms() -> float:
    passwords, times = Passwords(), []
    for _ in range(CALLS):
        begun = time.perf_counter()
        passwords.hash(PASSWORD)
        times.append((time.perf_counter() - begun) * 1000)
    passwords.close()
    return round(statistics.median(times), 1)


def _shares(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 1) for share in (50, 99)}


def _auc(some: list[float], others: list[float]) -> float:
    """Return how well the times tell the two apart: 0.5 not at all, 1 always."""
    wins = sum((a > b) + (a == b) / 2 for a in some for b in others) / (len(some) * len(others))
    return max(wins, 1 - wins)


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logins", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    figures = benchmark(given.logins, given.at_once, given.pairs, given.users)
    print(json.dumps(figures, indent=2)) if given.json else report(figures)


if __name__ == "__main__":
    main()
