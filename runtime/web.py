"""The web process: pages and API, on a socket that is already bound."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any

import uvicorn

from backend.errors import BackendError
from backend.operators import Operators
from runtime import open_lock, starters
from runtime.app import App, build_app
from runtime.errors import Unavailable
from runtime.settings import Settings
from runtime.supervisor import REFUSED
from storage.database import Database
from storage.errors import StorageBusy, StorageError, StorageFull

GRACE_S = 5  # for requests under way; the pages' sockets are closed then
KEEP_ALIVE_S = 30
ENGINE_S = 30  # how long the first start waits for the engine before it says that it is ready
ASK_EVERY_S = 0.05
BACKLOG = 2_048


class Server(uvicorn.Server):
    """Says where it listens, once the engine takes events."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app
        self._announcing: asyncio.Task[None] | None = None
        self._loading: asyncio.Task[ModuleType] | None = None

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what is loaded now stays; no need to look at it again
        self._announcing = asyncio.create_task(self._announce())
        self._loading = asyncio.create_task(asyncio.to_thread(import_module, "networkx"))  # the first flow needs it

    async def _announce(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(ENGINE_S):
                while not await self._is_ready():  # noqa: ASYNC110 - the engine is another process
                    await asyncio.sleep(ASK_EVERY_S)
                address = self._app.service.settings.public_url
                print(f"Pulsewire is ready: {address}", flush=True)
                await asyncio.to_thread(_print_set_up_link, self._app.service.operators, address)

    async def _is_ready(self) -> bool:
        try:
            return (await self._app.engine.status()).ready
        except Unavailable:
            return False


def _print_set_up_link(operators: Operators, address: str) -> None:
    """Print how to become the owner, as long as there is none."""
    token = operators.set_up_link()
    if token is not None:
        print(f"Nobody owns it yet. Set it up within 24 hours: {address}/set-up?token={token}", flush=True)


def serve_app(settings: Settings, listener: Any, add_pages: Callable[[App], None]) -> int:
    """Serve until a signal; return the exit status."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        open_lock.share(Database(settings.url).path)  # until this process ends
        app = build_app(settings)
        starters.install(app.service.database, app.service.types)
    except (StorageFull, StorageBusy) as error:
        print(f"pulsewire cannot start yet: {error}", file=sys.stderr)
        return 1  # this passes: the supervisor tries again
    except (StorageError, BackendError, OSError) as error:
        print(f"pulsewire cannot start: {error}", file=sys.stderr)
        return REFUSED
    add_pages(app)
    config = uvicorn.Config(
        app.http,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    Server(config, app).run([listener])
    return 0
