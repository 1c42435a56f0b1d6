"""A simulated person in front of the pages of a real installation."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import httpx
import pytest
from nicegui import Client, ui
from nicegui.functions.download import download
from nicegui.functions.navigate import Navigate
from nicegui.functions.notify import notify
from nicegui.testing import User
from nicegui.testing.general import nicegui_reset_globals

from backend.events import Event
from runtime.app import build_app
from runtime.settings import Settings
from tests.editor.simulated import Pages
from tests.operators import COOKIE, sign_in


@pytest.fixture
async def pages(settings: Settings, fired: list[Event], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pages]:
    """Serve the pages in this process; NiceGUI is one per process, so its state is put back afterwards."""
    monkeypatch.setenv("NICEGUI_STORAGE_PATH", str(settings.data_dir / "pages"))
    with nicegui_reset_globals():
        from editor.app import add_pages

        os.environ["NICEGUI_USER_SIMULATION"] = "true"
        app = build_app(settings, embedded=True, heard=fired.append)
        add_pages(app)
        try:
            async with app.http.router.lifespan_context(app.http):
                transport = httpx.ASGITransport(app.http)
                cookies = {COOKIE: await sign_in(app.service.database)}
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://127.0.0.1:8080", cookies=cookies
                ) as http:
                    yield Pages(User(http), app.service, http)
        finally:
            os.environ.pop("NICEGUI_USER_SIMULATION")
            ui.navigate, ui.notify, ui.download = Navigate(), notify, download
            Client.page_routes.clear()  # else the modules of the pages would be thrown out of sys.modules
