"""Imports the product once and forks processes of it, so that one is up in milliseconds and can be killed often.

Reads orders as JSON lines: ``{"do": "engine", "directory": …}`` answers the process's id, ``{"wait": id}`` how it
ended.
An order may have ``crash`` (a crash point), ``environment``, ``lease_s``, ``busy_s`` (the wait for a locked database),
and ``rows`` (what a ``write`` inserts).
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import aiohttp
import aiosmtplib
import alembic.command
import networkx
import uvloop

from backend import datahub
from nodes import spec
from runtime import app, engine_turn, worker
from runtime.execution import Execution
from runtime.link import EngineLink
from runtime.settings import Settings
from storage import crash_points, database, lease
from tests.faults.harmful import harmful_types

PRELOADED = (aiohttp, aiosmtplib, alembic.command, datahub, networkx, uvloop, Execution)
LIBRARY = {**spec.load(), **harmful_types()}


def engine(_order: dict[str, Any]) -> int:
    spec.load = lambda: LIBRARY
    return worker.main()


def write(order: dict[str, Any]) -> int:
    """Insert rows as the web process does, each in a transaction with its event."""
    settings = Settings()
    service = app.build_service(settings, app.open_database(settings), EngineLink(settings.data_dir))
    for number in order["rows"]:
        service.tables.insert("direct", [{"n": number}])
    return 0


def migrate(_order: dict[str, Any]) -> int:
    app.open_database(Settings()).dispose()
    return 0


def child(order: dict[str, Any]) -> int:
    directory = Path(order["directory"])
    with (directory / "engine.log").open("ab") as log:
        os.dup2(log.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    os.environ["PULSEWIRE_DATA_DIR"] = str(directory)
    os.environ.update(order.get("environment", {}))
    lease.LEASE_S = order.get("lease_s", lease.LEASE_S)
    lease.BEAT_S = lease.LEASE_S / 5
    engine_turn.WAIT_S = min(engine_turn.WAIT_S, lease.LEASE_S / 2)
    database.BUSY_TIMEOUT_S = order.get("busy_s", database.BUSY_TIMEOUT_S)
    random.seed()
    crash_points.arm(order.get("crash", ""))
    return {"engine": engine, "write": write, "migrate": migrate}[order["do"]](order)


def main() -> None:
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        elif (answer := os.fork()) == 0:
            status = 99
            try:
                status = child(order)
            finally:
                os._exit(status)
        print(answer, flush=True)


if __name__ == "__main__":
    main()
