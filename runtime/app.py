"""Puts an installation together: every object is made here, once, and handed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.audit import Audit
from backend.credentials import Credentials
from backend.datahub import Datahub
from backend.events import Event
from backend.hosted import HostedPages
from backend.keys import Keys
from backend.mail import DEFAULT_SENDER, Mailer
from backend.mailbox import Mailbox
from backend.operator_sessions import OperatorSessions
from backend.operator_sign_in import OperatorSignIn
from backend.operators import Operators
from backend.passwords import Passwords
from backend.preferences import Preferences
from backend.roles import Roles
from backend.secrets import CREDENTIALS, MAILBOX
from backend.sessions import Sessions
from backend.sign_in import SignIn
from backend.sign_up_notice import SignUpNotice
from backend.users import Users
from nodes import spec
from runtime import outbox, waits
from runtime.actors import Standing
from runtime.backups import Backups
from runtime.causes import Causes
from runtime.engine_api import EngineApi
from runtime.errors import Unavailable
from runtime.flows import Flows
from runtime.link import EngineLink
from runtime.previews import Previews
from runtime.reporting import Reporter
from runtime.retention_rules import Retention
from runtime.runs import Runs
from runtime.sealing import Seals
from runtime.secret_key import secret_box
from runtime.service import Service
from runtime.settings import Settings
from runtime.webhook_view import WebhookView
from storage.database import Database
from storage.space import make_shrinkable

if TYPE_CHECKING:
    from fastapi import FastAPI

    from runtime.engine import Engine


class Waker:
    """Tells the engine, from any thread, that runs were committed; the engine also looks for itself every second."""

    def __init__(self, engine: EngineApi) -> None:
        self._engine = engine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_asked_again = False  # a commit while a wake was under way, which may have looked before it

    def start(self) -> None:
        """Begin to pass calls on, in the running event loop."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        self._loop = None

    def __call__(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._is_asked_again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._wake())

    async def _wake(self) -> None:
        while self._is_asked_again:
            self._is_asked_again = False
            with suppress(Unavailable):
                await self._engine.wake()


@dataclass(frozen=True)
class App:
    """An installation: *http* serves it, *service* is for pages and tests. ``http`` starts and stops it by itself."""

    service: Service
    http: FastAPI
    engine: Engine | EngineLink
    waker: Waker

    async def start(self) -> None:
        """Begin to work; without ``http``'s own start-up, call this first."""
        if not isinstance(self.engine, EngineLink):
            await self.engine.start()
        self.waker.start()

    async def stop(self) -> None:
        """End; what is under way goes on at the next start."""
        self.waker.stop()
        await self.service.previews.close()
        await (self.engine.close() if isinstance(self.engine, EngineLink) else self.engine.stop())
        self.service.passwords.close()
        self.service.database.dispose()


def open_database(settings: Settings) -> Database:
    """Return the database, with the schema of this version."""
    database = Database(settings.url)
    database.check()
    database.migrate()
    make_shrinkable(database)
    return database


def preferences_of(settings: Settings, database: Database) -> Preferences:
    """Return the settings kept in the database, with the key that unlocks their secrets."""
    smtp_url = settings.smtp_url.get_secret_value() if settings.smtp_url else None
    return Preferences(database, secret_box(settings), smtp_url)


def build_service(
    settings: Settings,
    database: Database,
    engine: EngineApi,
    *,
    heard: Callable[[Event], None] | None = None,
    waker: Waker | None = None,
    passwords: Passwords | None = None,
    environment: frozenset[str] | None = None,
) -> Service:
    """Return what all doors call, on an *engine* that is started by whoever made it.

    *heard* is told of every event that the backend reports through it, before the commit. *environment* are the
    variables that flows may read, where that is known: commands have an environment of their own.
    """
    types = spec.load()
    waker = waker or Waker(engine)
    box = secret_box(settings)
    locked = box.for_purpose(CREDENTIALS)
    webhooks = WebhookView(database, Credentials(database, locked))
    flows = Flows(database, types, environment=environment)
    flows.on_live(webhooks.forget)
    flows.on_live(waker)  # runs may begin now, or have to wait
    record = Reporter(Seals(box), heard=heard)
    passwords = passwords or Passwords()
    hosted = HostedPages(database)
    keys = Keys(database)
    operator_sessions = OperatorSessions(database)
    preferences, mailbox = preferences_of(settings, database), Mailbox(database, box.for_purpose(MAILBOX))
    users = Users(database, record, waker, passwords, base_url=settings.public_url, hosted=hosted)
    sessions = Sessions(database)
    sign_in = SignIn(
        database,
        record,
        waker,
        users=users,
        passwords=passwords,
        sessions=sessions,
        hosted=hosted,
        notice=SignUpNotice(Mailer(preferences, mailbox, DEFAULT_SENDER), settings.public_url),
    )
    return Service(
        settings=settings,
        types=types,
        database=database,
        engine=engine,
        flows=flows,
        runs=Runs(database, flows, engine, types, approval_link=_approval_links(Seals(box), settings.public_url)),
        tables=Datahub(database, record, waker, listens=outbox.listens),
        mailbox=mailbox,
        preferences=preferences,
        keys=keys,
        credentials=Credentials(database, locked, webhooks.forget),
        users=users,
        roles=Roles(database, record, waker),
        hosted=hosted,
        passwords=passwords,
        sessions=sessions,
        sign_in=sign_in,
        operators=Operators(database),
        operator_sign_in=OperatorSignIn(database, passwords),
        operator_sessions=operator_sessions,
        audit=Audit(database),
        webhooks=webhooks,
        causes=Causes(box, settings),
        retention=Retention(database),
        backups=Backups(database),
        standing=Standing(operator_sessions.visit, keys.role_of),
        previews=Previews(settings.environment),
    )


def _approval_links(seals: Seals, public_url: str) -> Callable[[str, int, str, str], str]:
    def link(installation: str, run_id: int, node: str, iteration: str) -> str:
        return waits.approval_link(public_url, waits.approval_token(seals, installation, run_id, node, iteration))

    return link


def build_app(
    settings: Settings,
    *,
    embedded: bool = False,
    heard: Callable[[Event], None] | None = None,
    passwords: Passwords | None = None,
) -> App:
    """Return an installation. *embedded* runs the engine in this process, else it is reached over its socket.

    *heard* is told of every event that the backend reports, before the commit.
    """
    from runtime.http.server import build_http  # here because the CLI needs no HTTP

    database = open_database(settings)
    engine = _engine(settings, database, embedded=embedded)
    waker = Waker(engine)
    known = frozenset(settings.environment)
    service = build_service(
        settings, database, engine, heard=heard, waker=waker, passwords=passwords, environment=known
    )
    service.hosted.read()  # from now on it knows them, also while the database cannot be read

    @asynccontextmanager
    async def lifespan(_http: FastAPI) -> AsyncIterator[None]:
        await app.start()
        yield
        await app.stop()

    app = App(service, build_http(service, lifespan), engine, waker)
    return app


def _engine(settings: Settings, database: Database, *, embedded: bool) -> Engine | EngineLink:
    if embedded:
        from runtime.engine import Engine  # here because the web process never evaluates anything

        return Engine(database, settings)
    return EngineLink(settings.data_dir)
