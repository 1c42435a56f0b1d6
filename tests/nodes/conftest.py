"""A context that records what a node asks of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from nodes.spec import Email, HttpResponse, SentEmail


@dataclass
class Recorder:
    """Answers every call with *response* and keeps it in *calls*."""

    calls: list[Any] = field(default_factory=list)
    response: HttpResponse = field(default_factory=lambda: HttpResponse(200, {}, b""))
    idempotency_key: str = "41:notify"
    now: datetime = datetime(2026, 1, 5, 9, tzinfo=UTC)

    @property
    def http(self) -> Recorder:
        return self

    @property
    def mail(self) -> Recorder:
        return self

    @property
    def tables(self) -> Recorder:
        return self

    @property
    def events(self) -> Recorder:
        return self

    def check(self, *_: Any) -> None: ...

    async def request(self, method: str, url: str, **rest: Any) -> HttpResponse:
        self.calls.append((method, url, rest))
        return self.response

    async def send(self, email: Email, *, idempotency_key: str) -> SentEmail:
        self.calls.append((email, idempotency_key))
        return SentEmail("<41.notify@localhost>", "smtp")

    def emit(self, name: str, payload: dict[str, Any]) -> str:
        self.calls.append((name, payload))
        return "8f0d"

    def find(self, table: str, where: Any = None, **rest: Any) -> list[dict[str, Any]]:
        self.calls.append((table, where, rest))
        return [{"id": "1"}, {"id": "2"}]

    def insert(self, table: str, values: Any) -> dict[str, Any]:
        self.calls.append((table, values))
        return {"id": "1", **values}

    def update(self, table: str, where: Any, values: Any) -> int:
        self.calls.append((table, where, values))
        return 3

    def delete(self, table: str, where: Any) -> int:
        self.calls.append((table, where))
        return 2


@pytest.fixture
def ctx() -> Recorder:
    return Recorder()


@pytest.fixture
def answering(ctx: Recorder) -> Callable[..., Recorder]:
    """Return the context after setting the answer of the next HTTP requests."""

    def answer(status: int = 200, body: bytes = b"", content_type: str | None = None) -> Recorder:
        headers = {} if content_type is None else {"content-type": content_type}
        ctx.response = HttpResponse(status, headers, body)
        return ctx

    return answer
