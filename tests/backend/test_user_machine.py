"""Users, tokens and sessions against a model of what they should be, in whatever order things happen."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backend.budgets import Budget
from backend.errors import BackendError
from backend.events import (
    EmailVerificationRequested,
    EmailVerified,
    Event,
    PasswordReset,
    PasswordResetRequested,
    UserBlocked,
    UserDeleted,
    UserLoggedIn,
    UserSignedUp,
)
from backend.hosted import HostedPages
from backend.passwords import CHEAP, Passwords
from backend.sessions import ACCESS_LIFE, REFRESH_LIFE, SUCCESSORS, SessionEnded, Sessions, Tokens, TokenTheft
from backend.sign_in import SignIn, TokenRefused, WrongCredentials
from backend.throttle import RequestThrottle, SignInThrottle
from backend.users import Users
from storage.database import Database

Purpose = Literal["verify", "reset"]
LIVES: dict[Purpose, timedelta] = {"verify": timedelta(hours=24), "reset": timedelta(hours=1)}
EXAMPLES = 40
EMAILS = ["anna@example.com", "ANNA@Example.com", "bert@example.com", "carl@example.com"]
PASSWORDS = ["correct 1 horse", "another 1 horse"]
STEPS_OF_TIME = [timedelta(minutes=1), timedelta(minutes=29), timedelta(hours=1), timedelta(hours=23)]


@dataclass(eq=False)
class Person:
    """What the model knows of a user."""

    id: str
    email: str
    password: str
    is_verified: bool = False
    is_blocked: bool = False
    is_deleted: bool = False


@dataclass(eq=False)
class Mailed:
    """A one-time token that went out."""

    text: str
    purpose: Purpose
    person: Person
    email: str
    at: datetime
    state: Literal["live", "used", "void"] = "live"


@dataclass(eq=False)
class Opened:
    """A session; *newest* is the pair whose access token counts."""

    person: Person
    newest: Pair | None = None
    is_over: bool = False


@dataclass(eq=False)
class Pair:
    """An access and a refresh token."""

    tokens: Tokens
    opened: Opened
    parent: Pair | None
    at: datetime
    is_confirmed: bool = False
    children: list[Pair] = field(default_factory=list)


class Silent:
    """Sends no notice."""

    def send(self, *_about: object) -> None: ...


class UserMachine(RuleBasedStateMachine):
    new_database: ClassVar[Callable[[], Database]]

    mailed = Bundle("mailed")
    pairs = Bundle("pairs")

    @initialize(target=pairs)
    def begin(self) -> Any:
        self.now = datetime.fromisoformat("2024-05-03T00:00:00+00:00")
        self.fired: list[Event] = []
        self.people: list[Person] = []
        self.mails: list[Mailed] = []
        self.sessions_opened: list[Opened] = []
        self.database = type(self).new_database()
        self.passwords = Passwords(CHEAP)
        self.runner = asyncio.Runner()
        hosted = HostedPages(self.database)
        never_too_often = itertools.count(0, 1e9).__next__
        self.sessions = Sessions(self.database, clock=self.clock, refreshes=Budget(10_000, 60))
        self.users = Users(
            self.database,
            lambda _session, event: self.fired.append(event),
            lambda: None,
            self.passwords,
            base_url="https://flows.example.com",
            hosted=hosted,
            clock=self.clock,
        )
        self.sign_in = SignIn(
            self.database,
            lambda _session, event: self.fired.append(event),
            lambda: None,
            users=self.users,
            passwords=self.passwords,
            sessions=self.sessions,
            hosted=hosted,
            notice=Silent(),  # type: ignore[arg-type]
            sign_ins=SignInThrottle(now_s=never_too_often),
            requests=RequestThrottle(now_s=never_too_often),
            clock=self.clock,
            pause=self.pause,
        )
        self.sign_up(EMAILS[0], PASSWORDS[0])
        return self.enter(self.people[0], PASSWORDS[0])

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.close()
            self.passwords.close()
            self.database.dispose()

    def clock(self) -> datetime:
        return self.now

    async def pause(self, _wait_s: float) -> None: ...

    # what the model says

    def with_email(self, email: str) -> Person | None:
        return next(
            (each for each in self.people if each.email.casefold() == email.casefold() and not each.is_deleted), None
        )

    def facts(self, person: Person) -> dict[str, Any]:
        return {"userId": UUID(person.id), "email": person.email, "emailVerified": person.is_verified, "roles": []}

    def expect(self, *events: Event) -> None:
        """Compare what fired, and forget it."""
        fired, self.fired[:] = list(self.fired), []
        assert fired == list(events)

    def void(self, person: Person, *, all_of: Purpose | None = None) -> None:
        for each in self.mails:
            if each.person is person and (each.purpose == all_of or (all_of is None and each.state == "live")):
                each.state = "void"

    def end_all(self, person: Person) -> None:
        for each in self.sessions_opened:
            each.is_over = each.is_over or each.person is person

    def open(self, person: Person, tokens: Tokens) -> Pair:
        opened = Opened(person)
        opened.newest = Pair(tokens, opened, None, self.now, is_confirmed=True)
        self.sessions_opened.append(opened)
        return opened.newest

    def mail(self, person: Person, purpose: Purpose) -> Mailed:
        """Take the token out of the event that fired last."""
        self.void(person, all_of=purpose)
        event: Any = self.fired[-1]
        mailed = Mailed(event.token, purpose, person, person.email.casefold(), self.now)
        self.mails.append(mailed)
        kind = EmailVerificationRequested if purpose == "verify" else PasswordResetRequested
        page = "verify-email" if purpose == "verify" else "set-new-password"
        link = f"https://flows.example.com/{page}?token={mailed.text}"
        assert self.fired.pop() == kind(**self.facts(person), token=mailed.text, link=link)
        return mailed

    def is_for_now(self, mailed: Mailed) -> bool:
        person = mailed.person
        return (
            self.now < mailed.at + LIVES[mailed.purpose]
            and not person.is_deleted
            and not person.is_blocked
            and person.email.casefold() == mailed.email
        )

    def is_alive(self, pair: Pair) -> bool:
        opened = pair.opened
        return not opened.is_over and opened.newest is not None and self.now < opened.newest.at + REFRESH_LIFE

    # what users do

    @rule(target=mailed, email=st.sampled_from(EMAILS), password=st.sampled_from(PASSWORDS))
    def sign_up(self, email: str, password: str) -> Any:
        tokens = self.runner.run(self.sign_in.sign_up(email, password, address="a", with_csrf=None))  # type: ignore[func-returns-value]

        assert tokens is None
        if self.with_email(email) is not None:
            self.expect()
            return multiple()
        person = Person(self.users.get(email).id, email, password)
        self.people.append(person)
        mailed = self.mail(person, "verify")
        self.expect(UserSignedUp(**self.facts(person)))
        return mailed

    @rule(target=pairs, data=st.data(), is_right=st.sampled_from([True, True, False]))
    def sign_in_as(self, data: st.DataObject, is_right: bool) -> Any:
        person = data.draw(st.sampled_from(self.people))
        wrong = next(each for each in PASSWORDS if each != person.password)
        return self.enter(person, person.password if is_right else wrong)

    def enter(self, person: Person, password: str) -> Any:
        """Sign in with a person's address, who may be gone, or have left the address to somebody else."""
        now = self.with_email(person.email)
        try:
            tokens = self.runner.run(self.sign_in.sign_in(person.email, password, address="a", with_csrf=False))
        except WrongCredentials:
            assert now is None or now.is_blocked or now.password != password
            self.expect()
            return multiple()
        assert now is not None
        assert (now.is_blocked, now.password) == (False, password)
        self.expect(UserLoggedIn(**self.facts(now)))
        return self.open(now, tokens)

    @rule(target=mailed, data=st.data())
    def ask_for_reset(self, data: st.DataObject) -> Any:
        return self.ask(data.draw(st.sampled_from([each.email for each in self.people])), "reset")

    @rule(target=mailed, email=st.sampled_from(EMAILS))
    def ask_for_verification(self, email: str) -> Any:
        return self.ask(email, "verify")

    def ask(self, email: str, purpose: Purpose) -> Any:
        request = self.sign_in.request_reset if purpose == "reset" else self.sign_in.request_verification_for
        self.runner.run(request(email, address="a"))  # type: ignore[arg-type]

        person = self.with_email(email)
        if person is None or person.is_blocked or (purpose == "verify" and person.is_verified):
            self.expect()
            return multiple()
        mailed = self.mail(person, purpose)
        self.expect()
        return mailed

    @rule(mailed=mailed)
    def verify(self, mailed: Mailed) -> None:
        person = mailed.person
        is_good = mailed.purpose == "verify" and self.is_for_now(mailed)
        try:
            self.runner.run(self.sign_in.verify(mailed.text, address="a"))
        except TokenRefused:
            assert not (is_good and (mailed.state == "live" or (mailed.state == "used" and person.is_verified)))
            self.expect()
            return
        assert is_good
        if mailed.state == "live":
            mailed.state, person.is_verified = "used", True
            self.expect(EmailVerified(**self.facts(person)))
        else:
            assert (mailed.state, person.is_verified) == ("used", True)
            self.expect()

    @rule(mailed=mailed, password=st.sampled_from(PASSWORDS))
    def reset(self, mailed: Mailed, password: str) -> None:
        is_good = mailed.purpose == "reset" and mailed.state == "live" and self.is_for_now(mailed)
        try:
            self.runner.run(self.sign_in.reset(mailed.text, password, address="a"))
        except TokenRefused:
            assert not is_good
            self.expect()
            return
        assert is_good
        mailed.state, mailed.person.password = "used", password
        self.void(mailed.person)
        self.end_all(mailed.person)
        self.expect(PasswordReset(**self.facts(mailed.person)))

    # sessions

    @rule(pair=pairs)
    def check(self, pair: Pair) -> None:
        view = self.sessions.check(pair.tokens.access)

        is_open = self.is_alive(pair) and pair.opened.newest is pair and self.now < pair.at + ACCESS_LIFE
        assert (view is not None) == is_open
        if view is not None:
            person = pair.opened.person
            pair.is_confirmed = True
            assert (view.user_id, view.email, view.is_verified) == (person.id, person.email, person.is_verified)
        self.expect()

    @rule(target=pairs, pair=pairs)
    def refresh(self, pair: Pair) -> Any:
        if len(pair.children) >= SUCCESSORS:
            return multiple()
        siblings = [each for each in (pair.parent.children if pair.parent else []) if each is not pair]
        is_known = self.is_alive(pair) and self.now < pair.at + REFRESH_LIFE
        is_theft = any(each.is_confirmed for each in (*siblings, *pair.children))
        try:
            tokens = self.sessions.refresh(pair.tokens.refresh, with_csrf=False)
        except SessionEnded:
            assert not is_known
            return multiple()
        except TokenTheft:
            assert is_known
            assert is_theft
            pair.opened.is_over = True
            return multiple()
        assert is_known
        assert not is_theft
        pair.is_confirmed = True
        new = Pair(tokens, pair.opened, pair, self.now)
        pair.children.append(new)
        pair.opened.newest = new
        self.expect()
        return new

    @rule(target=pairs, pair=pairs)
    def refresh_twice(self, pair: Pair) -> Any:
        """Lose an answer, ask again, and go on with either."""
        return multiple(*(new for new in (self.refresh(pair), self.refresh(pair)) if isinstance(new, Pair)))

    @rule(pair=consumes(pairs))
    def sign_out(self, pair: Pair) -> None:
        self.sessions.end(pair.tokens.session.handle)

        pair.opened.is_over = True
        self.expect()

    # what an administrator does

    @precondition(lambda self: any(not each.is_deleted for each in self.people))
    @rule(data=st.data(), what=st.sampled_from(["block", "unblock", "delete", "password", "move", "verify", "doubt"]))
    def manage(self, data: st.DataObject, what: str) -> None:
        person = data.draw(st.sampled_from([each for each in self.people if not each.is_deleted]))
        getattr(self, f"_{what}")(person, data)

    def _block(self, person: Person, _data: st.DataObject) -> None:
        self.users.block(person.id)
        if not person.is_blocked:
            person.is_blocked = True
            self.void(person)
            self.end_all(person)
            self.expect(UserBlocked(**self.facts(person)))
        self.expect()

    def _unblock(self, person: Person, _data: st.DataObject) -> None:
        self.users.unblock(person.id)
        person.is_blocked = False
        self.expect()

    def _delete(self, person: Person, _data: st.DataObject) -> None:
        self.users.delete(person.id)
        person.is_deleted = True
        self.end_all(person)
        self.expect(UserDeleted(**self.facts(person)))

    def _password(self, person: Person, data: st.DataObject) -> None:
        person.password = data.draw(st.sampled_from(PASSWORDS))
        self.users.set_password(person.id, person.password)
        self.void(person)
        self.end_all(person)
        self.expect()

    def _move(self, person: Person, data: st.DataObject) -> None:
        email = data.draw(st.sampled_from(EMAILS))
        try:
            self.users.update(person.id, email=email)
        except BackendError:
            assert self.with_email(email) not in (None, person)
            self.expect()
            return
        assert self.with_email(email) in (None, person)
        if email.casefold() != person.email.casefold():
            person.is_verified = False
            self.void(person)
        person.email = email
        self.expect()

    def _verify(self, person: Person, _data: st.DataObject) -> None:
        self.users.update(person.id, is_verified=True)
        person.is_verified = True
        self.expect()

    def _doubt(self, person: Person, _data: st.DataObject) -> None:
        self.users.update(person.id, is_verified=False)
        person.is_verified = False
        self.expect()

    @rule(by=st.sampled_from(STEPS_OF_TIME))
    def wait(self, by: timedelta) -> None:
        self.now += by

    @rule(by=st.sampled_from([REFRESH_LIFE / 2, REFRESH_LIFE]))
    def wait_long(self, by: timedelta) -> None:
        self.now += by

    @invariant()
    def users_are_as_the_model_says(self) -> None:
        if not hasattr(self, "users"):
            return
        found = {(user.id, user.email, user.is_verified, user.is_blocked) for user in self.users.list().users}
        people = [each for each in self.people if not each.is_deleted]
        assert found == {(each.id, each.email, each.is_verified, each.is_blocked) for each in people}


def test_users_tokens_and_sessions_follow_the_model(new_database: Callable[[Path], Database], tmp_path: Path) -> None:
    numbers = itertools.count()

    class Machine(UserMachine):
        @staticmethod
        def new_database() -> Database:
            return new_database(tmp_path / str(next(numbers)))

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
