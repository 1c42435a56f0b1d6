"""The engine process: ``pulsewire worker``, and what the supervisor starts.

Holds a lock beside the database, because two engines on one database would work on the same runs.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Coroutine
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from backend.errors import BackendError
from runtime import engine_lock, open_lock, preflight
from runtime.engine import Engine
from runtime.engine_turn import Turn, await_turn
from runtime.link_server import LinkServer
from runtime.settings import Settings
from runtime.supervisor import REFUSED
from storage.database import Database
from storage.errors import StorageBusy, StorageError, StorageFull
from storage.space import make_shrinkable

GRACE_S = 30
GC_OBJECTS = 20_000  # allocations between two looks for cycles; runs make few and end with none
log = logging.getLogger("pulsewire")


def main() -> int:
    """Run the engine until a signal; return the exit status."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    log.setLevel(logging.INFO)
    try:
        settings = Settings()
        database = Database(settings.url)
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = open_lock.share(database.path)
        if fault := preflight.fault(settings):
            log.error("the engine cannot start: %s", fault)
            return REFUSED
        turn = await_turn(database)
        if turn is None:
            log.error("another Pulsewire engine works on %s; stop it first", database.path)
            return REFUSED
        database.migrate()
        make_shrinkable(database)
        engine = Engine(database, settings)
    except ValidationError as error:
        names = ", ".join(f"PULSEWIRE_{fault['loc'][0]}".upper() for fault in error.errors() if fault["loc"])
        log.error("the engine cannot start: %s has a value that does not fit", names)
        return REFUSED
    except (StorageError, BackendError) as error:
        return _refusal(error)
    except OSError as error:
        log.error("the engine cannot start: %s: %s", error.filename, error.strerror)
        return REFUSED
    _limit_memory(settings.worker_memory_mb)
    try:
        return _run(_serve(engine, settings, turn))
    except StorageBusy as error:
        if turn.over is not None:
            who = turn.over.process
            log.error("the engine before this one (%s) is stopped and keeps the database locked: end it", who)
        return _refusal(error)
    except StorageError as error:  # of the start; later ones break the journal
        return _refusal(error)
    finally:
        database.dispose()
        os.close(opened)
        if turn.lock is not None:
            os.close(turn.lock)


def _refusal(error: Exception) -> int:
    if isinstance(error, StorageFull | StorageBusy):
        log.error("the engine cannot start yet: %s", error)
        return 1  # this passes: the supervisor tries again
    log.error("the engine cannot start: %s", error)
    return REFUSED


def _limit_memory(size_mb: int) -> None:
    """Let an allocation fail that would go beyond: the step that asks for it fails, and the machine stays whole."""
    if not size_mb:
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    size = size_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (size if most == resource.RLIM_INFINITY else min(size, most), most))


async def _serve(engine: Engine, settings: Settings, turn: Turn) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            log.warning("stopped at once; what was under way goes on at the next start")
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await engine.start(turn.over)
    if turn.over is not None:
        log.warning("the engine before this one is stopped; this one has taken its place")
        engine_lock.replace(engine.database_path)
    link = LinkServer(engine, settings.data_dir)
    await link.start()
    keep_what_is_loaded()
    log.info("the engine is ready")
    loop.run_in_executor(None, import_module, "networkx")  # the first run needs it
    ends = [asyncio.create_task(stop.wait()), asyncio.create_task(engine.broken.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if engine.broken.is_set():
        log.error("the engine ends; started again, it takes up what is in the database")
        logging.shutdown()
        os._exit(1)  # nothing that is still under way here may matter any more
    ends[1].cancel()
    await engine.stop(GRACE_S)
    await link.stop()
    return 0


def keep_what_is_loaded() -> None:
    """Let the collector look at what runs leave behind alone, and seldom: what is loaded now stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_OBJECTS, 20, 50)


def _run(main: Coroutine[Any, Any, int]) -> int:
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    return uvloop.run(main)


if __name__ == "__main__":
    sys.exit(main())
