"""Who visits the hosted pages, and what their owner has set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from backend.events import (
    Event,
)
from backend.hosted import Hosted
from runtime.service import Service
from tests.http.hosted.visitor import EMAIL, PASSWORD, Visitor


@pytest.fixture
def visitor(anonymous: httpx.AsyncClient) -> Visitor:
    return Visitor(anonymous)


@pytest.fixture
def anna(service: Service, fired: list[Event]) -> str:
    """A user with a password, verified; her id."""
    user = service.users.create(EMAIL, password=PASSWORD, is_verified=True)
    fired.clear()
    return user.id


@pytest.fixture
def hosted(service: Service) -> Callable[..., Hosted]:
    def change(**values: Any) -> Hosted:
        return service.hosted.save(replace(service.hosted.read(), **values))

    return change
