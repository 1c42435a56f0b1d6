"""What every step of this process shares: the services behind a step's context."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from backend.credentials import Credentials
from backend.datahub import Datahub
from backend.hosted import HostedPages
from backend.mail import Mailer
from backend.mailbox import Mailbox
from backend.passwords import Passwords
from backend.preferences import Preferences
from backend.secrets import CREDENTIALS, MAILBOX
from backend.users import Users
from nodes.spec import HttpResponse
from runtime import outbox
from runtime.causes import Causes
from runtime.chains import Chains
from runtime.outbound import Outbound
from runtime.reporting import Reporter
from runtime.sealing import Seals
from runtime.secret_key import secret_box
from runtime.settings import Settings
from storage.database import Database
from storage.tables import to_us

DEFAULT_SENDER = "pulsewire@localhost"


class HttpClient(Protocol):
    """What sends the requests of steps; logins are added before it."""

    def check(self, url: str, headers: Mapping[str, str]) -> None: ...
    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30,
    ) -> HttpResponse: ...
    async def close(self) -> None: ...


@dataclass(frozen=True)
class Platform:
    """The services; *seals* locks what must not stand in clear, *reporter* takes the backend's events.

    *causes* says what led to a call that comes back to us, *chains* stops flows that cause their own events.
    """

    database: Database
    tables: Datahub
    users: Users
    passwords: Passwords
    mailer: Mailer
    http: HttpClient
    seals: Seals
    reporter: Reporter
    credentials: Credentials
    causes: Causes
    chains: Chains
    public_url: str  # the base of the links that flows give out

    async def close(self) -> None:
        self.passwords.close()
        await self.http.close()


def build_platform(database: Database, settings: Settings) -> Platform:
    """Return the platform of an installation; raises BackendError for settings it cannot work with."""
    smtp_url = settings.smtp_url.get_secret_value() if settings.smtp_url else None
    box = secret_box(settings)
    mailbox = Mailbox(database, box.for_purpose(MAILBOX))
    return platform_of(
        database,
        settings,
        Seals(box),
        mailer=Mailer(Preferences(database, box, smtp_url), mailbox, DEFAULT_SENDER),
        http=Outbound(settings.allow_hosts),
    )


def platform_of(
    database: Database,
    settings: Settings,
    seals: Seals,
    *,
    mailer: Mailer,
    http: HttpClient,
    passwords: Passwords | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Platform:
    """Return the platform with these doors to the outside."""
    passwords = passwords or Passwords()
    chains = Chains(lambda: to_us(clock()))
    reporter = Reporter(seals, clock=clock, chains=chains)
    users = Users(
        *(database, reporter, _told_otherwise, passwords),
        base_url=settings.public_url,
        hosted=HostedPages(database),
        clock=clock,
    )
    tables = Datahub(database, reporter, listens=outbox.listens, clock=clock)
    credentials = Credentials(database, seals.box.for_purpose(CREDENTIALS), clock=clock)
    causes = Causes(seals.box, settings)
    return Platform(
        *(database, tables, users, passwords, mailer, http, seals, reporter, credentials, causes, chains),
        settings.public_url,
    )


def _told_otherwise() -> None:
    """Do nothing at a commit: the journal commits a step, and the engine is told of its runs there."""
