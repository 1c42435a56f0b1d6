"""Front-ends of the application under test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from runtime.app import App
from runtime.service import Service
from tests.http.front_end import EMAIL, MODES, PASSWORD, Client


@pytest.fixture
async def connect(app: App) -> AsyncIterator[Callable[[str], Client]]:
    """Make front-ends, each with cookies of its own."""
    made: list[httpx.AsyncClient] = []

    def make(mode: str) -> Client:
        transport = httpx.ASGITransport(app.http, raise_app_exceptions=False)
        made.append(httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080"))
        return Client(made[-1], mode)

    yield make
    for each in made:
        await each.aclose()


@pytest.fixture(params=MODES)
def front(request: pytest.FixtureRequest, connect: Callable[[str], Client]) -> Client:
    return connect(request.param)


@pytest.fixture
def browser(connect: Callable[[str], Client]) -> Client:
    return connect("cookie")


@pytest.fixture
def ada(service: Service) -> str:
    """The id of a user who exists."""
    return service.users.create(EMAIL, password=PASSWORD).id
