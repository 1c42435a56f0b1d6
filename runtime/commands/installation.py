"""Opening the installation that a command works on."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from runtime.commands.terminal import fail, told

if TYPE_CHECKING:
    from runtime.service import Service
    from runtime.settings import Settings
    from storage.database import Database

Result = TypeVar("Result")


def settings_from_environment() -> Settings:
    """Return the settings, or end the command naming each variable that is wrong."""
    from pydantic import ValidationError

    from runtime.settings import Settings
    from runtime.wording import ending

    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"PULSEWIRE_{str(each['loc'][0]).upper()} {ending(each)}." for each in error.errors()]
        fail("\n".join(wrong))


@contextmanager
def opened_database() -> Iterator[Database]:
    """Give the database with this version's schema."""
    from runtime import open_lock
    from storage.database import Database

    with told():
        database = Database(settings_from_environment().url)
        lock = open_lock.share(database.path)
        try:
            database.check()
            database.migrate()
            yield database
        finally:
            database.dispose()
            os.close(lock)


@contextmanager
def opened() -> Iterator[Service]:
    """Give the service of the installation, on the engine of the server that runs, if one does.

    Whoever may run commands owns the data directory; what they change is in the audit log.
    """
    from runtime.actors import Actor
    from runtime.app import build_service
    from runtime.link import EngineLink

    with opened_database() as database:
        settings = settings_from_environment()
        engine = EngineLink(settings.data_dir)
        yield replace(build_service(settings, database, engine).of(Actor.command()), engine=engine)


def ask_engine(service: Service, question: Callable[[], Awaitable[Result]]) -> Result:
    """Return the answer to a question that needs the event loop, and close the link to the engine after it."""
    import asyncio

    from runtime.link import EngineLink

    async def asked() -> Result:
        try:
            return await question()
        finally:
            if isinstance(service.engine, EngineLink):
                await service.engine.close()

    return asyncio.run(asked())
