"""An installation with webhooks, and callers from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.app import App
from runtime.run_views import RunView
from runtime.service import Service
from tests.http.hooks.flows import Step, webhook_flow


@pytest.fixture
def publish(service: Service) -> Callable[..., None]:
    """Make a flow that starts at a webhook, and publish it."""

    def make(flow_id: str, *steps: Step, **params: Any) -> None:
        service.flows.create(webhook_flow(flow_id, *steps, **params))
        service.flows.publish(flow_id)

    return make


@pytest.fixture
def ended(app: App) -> Callable[[int], Any]:
    """Wait for a run and return it."""

    async def wait(run_id: int) -> RunView:
        assert await app.engine.wait(run_id, 30)
        return app.service.runs.get(run_id)

    return wait
