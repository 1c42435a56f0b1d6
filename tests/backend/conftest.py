from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import Session

from backend.datahub import Datahub
from backend.events import Event
from backend.hosted import HostedPages
from backend.mail import DEFAULT_SENDER, Mailer
from backend.mailbox import Mailbox
from backend.passwords import CHEAP, Passwords
from backend.preferences import Preferences
from backend.roles import Roles
from backend.secrets import MAILBOX, SecretBox
from backend.sessions import Sessions
from backend.sign_in import SignIn
from backend.sign_up_notice import SignUpNotice
from backend.throttle import RequestThrottle, SignInThrottle
from backend.users import Users
from storage.database import Database


class Fired(list[Event]):
    """Every event that was committed, in order; ``pokes`` counts the calls after a commit."""

    pokes = 0
    hears_rows = True  # while a flow listens to rows, one operation may change 1,000 of them


class Recorder:
    """Takes the events of a transaction to ``fired`` once it was committed."""

    def __init__(self, fired: Fired) -> None:
        self._fired = fired
        self._recorded: list[Event] = []

    def record(self, session: Session, event: Event) -> None:
        assert session.in_transaction()
        self._recorded.append(event)

    def committed(self) -> None:
        self._fired.extend(self._recorded)
        self._recorded.clear()
        self._fired.pokes += 1


class Seconds:
    """A clock that counts seconds, which only the test changes."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Clock:
    """Says what time it is, which only the test changes."""

    def __init__(self) -> None:
        self.now = datetime(2024, 5, 3, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def database(tmp_path: Path, new_database: Callable[[Path], Database]) -> Iterator[Database]:
    database = new_database(tmp_path)
    yield database
    database.dispose()


@pytest.fixture
def fired() -> Fired:
    return Fired()


@pytest.fixture
def recorder(fired: Fired) -> Recorder:
    return Recorder(fired)


@pytest.fixture
def datahub(database: Database, fired: Fired, recorder: Recorder) -> Datahub:
    return Datahub(
        database, recorder.record, recorder.committed, listens=lambda _session, _name, _known: fired.hears_rows
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hosted(database: Database) -> HostedPages:
    return HostedPages(database)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(CHEAP)
    yield passwords
    passwords.close()


@pytest.fixture
def users(database: Database, recorder: Recorder, passwords: Passwords, hosted: HostedPages, clock: Clock) -> Users:
    return Users(
        database,
        recorder.record,
        recorder.committed,
        passwords,
        base_url="https://flows.example.com",
        hosted=hosted,
        clock=clock,
    )


@pytest.fixture
def roles(database: Database, recorder: Recorder, clock: Clock) -> Roles:
    return Roles(database, recorder.record, recorder.committed, clock=clock)


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def sessions(database: Database, clock: Clock) -> Sessions:
    return Sessions(database, clock=clock)


@pytest.fixture
def mailbox(database: Database) -> Mailbox:
    return Mailbox(database, SecretBox("the secret key of the tests").for_purpose(MAILBOX))


@pytest.fixture
def notice(database: Database, mailbox: Mailbox) -> SignUpNotice:
    preferences = Preferences(database, SecretBox("the secret key of the tests"))
    return SignUpNotice(Mailer(preferences, mailbox, DEFAULT_SENDER), "https://flows.example.com")


@pytest.fixture
def pauses() -> list[float]:
    """How long each even answer would have waited."""
    return []


@pytest.fixture
def sign_in(
    database: Database,
    recorder: Recorder,
    users: Users,
    passwords: Passwords,
    sessions: Sessions,
    hosted: HostedPages,
    notice: SignUpNotice,
    clock: Clock,
    seconds: Seconds,
    pauses: list[float],
) -> SignIn:
    async def pause(wait_s: float) -> None:
        pauses.append(wait_s)

    return SignIn(
        database,
        recorder.record,
        recorder.committed,
        users=users,
        passwords=passwords,
        sessions=sessions,
        hosted=hosted,
        notice=notice,
        sign_ins=SignInThrottle(now_s=seconds),
        requests=RequestThrottle(now_s=seconds),
        clock=clock,
        pause=pause,
    )


@pytest.fixture
def nobody_listens(fired: Fired) -> None:
    """Have no flow that starts for rows, so that there may be many."""
    fired.hears_rows = False
