"""The people who use the editor: how they get in, and how they are let go."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from backend.errors import BackendError, Conflict, NotFound
from backend.operator_links import INVITATION_LIVES, SET_UP_LIVES
from backend.operator_sessions import LIVES, NOTED_EVERY, OperatorSessions
from backend.operator_sign_in import OperatorSignIn, SignedIn
from backend.operators import Operators
from backend.passwords import CHEAP, Cost, Passwords
from backend.throttle import Throttled
from backend.tokens import digest_of
from storage.database import Database

SECOND = timedelta(seconds=1)
PASSWORD = "correct horse 7"


class Installation:
    """Operators, their sign-ins and a clock that the test sets."""

    def __init__(self, database: Database, cost: Cost = CHEAP) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.database = database
        self.operators = Operators(database, clock=lambda: self.now)
        self.sessions = OperatorSessions(database, clock=lambda: self.now)
        self.door = OperatorSignIn(database, Passwords(cost), clock=lambda: self.now)

    async def set_up(self, email: str = "owner@example.com") -> SignedIn:
        return await self.door.accept(self.operators.set_up_link() or "", PASSWORD, email=email, name="Olivia")

    async def joined(self, email: str, role: str) -> SignedIn:
        return await self.door.accept(self.operators.invite(email, role).token, PASSWORD)

    def is_in(self, signed_in: SignedIn) -> bool:
        return self.sessions.visit_by(signed_in.cookie) is not None


@pytest.fixture
def here(database: Database) -> Installation:
    return Installation(database)


def let_go(here: Installation, operator: SignedIn, change: str) -> None:
    if change in ("disable", "delete"):
        getattr(here.operators, change)(operator.operator.id)
    else:
        here.operators.set_role(operator.operator.id, change)


def codes(refusal: BackendError) -> list[str]:
    return [fault.code for fault in refusal.faults]


async def test_set_up_link_makes_one_owner_and_is_worth_nothing_afterwards(here: Installation):
    token = here.operators.set_up_link() or ""

    owner = await here.door.accept(token, PASSWORD, email="Owner@Example.com", name=" Olivia ")

    assert (owner.operator.email, owner.operator.name, owner.operator.role) == ("Owner@Example.com", "Olivia", "owner")
    assert here.is_in(owner)
    assert here.operators.set_up_link() is None
    with pytest.raises(BackendError, match="used already"):
        await here.door.accept(token, PASSWORD, email="second@example.com")
    assert [each.email for each in here.operators.list()] == ["Owner@Example.com"]


async def test_each_set_up_link_voids_the_one_before(here: Installation):
    older, newer = here.operators.set_up_link() or "", here.operators.set_up_link() or ""

    assert here.door.link(older) is None
    assert (here.door.link(newer) or object()) is not None
    assert here.door.link(newer).kind == "set-up"  # type: ignore[union-attr]


@pytest.mark.parametrize(("late", "works"), [(-SECOND, True), (timedelta(), False), (SECOND, False)])
async def test_set_up_link_lives_for_a_day(here: Installation, late: timedelta, works: bool):
    token = here.operators.set_up_link() or ""

    here.now += SET_UP_LIVES + late

    assert (here.door.link(token) is not None) is works


@pytest.mark.parametrize("late", [-SECOND, timedelta()])
async def test_invitation_lives_for_a_week_and_is_used_once(here: Installation, late: timedelta):
    await here.set_up()
    token = here.operators.invite("e@example.com", "editor", "Eve").token

    here.now += INVITATION_LIVES + late

    if late:
        assert (await here.door.accept(token, PASSWORD)).operator.name == "Eve"
    with pytest.raises(BackendError) as refusal:
        await here.door.accept(token, PASSWORD)
    assert codes(refusal.value) == ["operator.link_void"]


async def test_weak_password_is_told_and_leaves_the_link_alive(here: Installation):
    token = here.operators.set_up_link() or ""

    with pytest.raises(BackendError) as refusal:
        await here.door.accept(token, "SHORT", email="o@example.com")

    assert {"password.too_short", "password.no_digit"} <= set(codes(refusal.value))
    assert here.door.link(token) is not None


async def test_wrong_address_is_told_at_the_set_up(here: Installation):
    with pytest.raises(BackendError) as refusal:
        await here.door.accept(here.operators.set_up_link() or "", PASSWORD, email="a@example.com, b@example.com")

    assert codes(refusal.value) == ["user.email_invalid"]
    assert here.operators.list() == []


async def test_sign_in_takes_the_address_in_any_case_and_the_password_exactly(here: Installation):
    await here.set_up("Owner@Example.com")

    signed_in = await here.door.sign_in("oWNER@example.COM", PASSWORD)

    assert here.is_in(signed_in)
    with pytest.raises(BackendError) as refusal:
        await here.door.sign_in("owner@example.com", PASSWORD + " ")
    assert codes(refusal.value) == ["operator.sign_in_wrong"]


async def test_unknown_disabled_and_invited_are_refused_like_a_wrong_password(here: Installation):
    await here.set_up()
    gone = await here.joined("gone@example.com", "editor")
    here.operators.disable(gone.operator.id)
    here.operators.invite("new@example.com", "editor")
    told = set()

    for email in ("owner@example.com", "gone@example.com", "new@example.com", "nobody@example.com", "", "a@b@c"):
        with pytest.raises(BackendError) as refusal:
            await here.door.sign_in(email, "not the password 1" if email.startswith("owner") else PASSWORD)
        told.add(refusal.value.faults)

    assert len(told) == 1


async def test_wrong_passwords_slow_down_their_own_address_only(here: Installation):
    await here.set_up()
    for _ in range(5):
        with pytest.raises(BackendError, match="wrong"):
            await here.door.sign_in("owner@example.com", "wrong horse 1", address="203.0.113.1")

    with pytest.raises(Throttled):
        await here.door.sign_in("owner@example.com", PASSWORD, address="203.0.113.1")
    assert here.is_in(await here.door.sign_in("owner@example.com", PASSWORD, address="203.0.113.2"))


async def test_links_cannot_be_guessed_at_speed(here: Installation):
    for _ in range(10):
        assert here.door.link("x" * 43, address="203.0.113.1") is None

    with pytest.raises(Throttled):
        here.door.link("x" * 43, address="203.0.113.1")


@pytest.mark.parametrize("token", ["", "x", "x" * 42, "x" * 43, "x" * 1_000_000, "ü" * 43, " " * 43])
async def test_token_that_is_none_opens_nothing(here: Installation, token: str):
    here.operators.set_up_link()

    assert here.door.link(token) is None
    with pytest.raises(BackendError, match="expired"):
        await here.door.accept(token, PASSWORD, email="o@example.com")


async def test_sign_in_ends_two_weeks_after_the_last_page(here: Installation):
    owner = await here.set_up()
    here.now += LIVES - SECOND
    was_in = here.is_in(owner)
    assert here.sessions.touch(digest_of(owner.cookie))
    here.now += LIVES - SECOND
    is_in = here.is_in(owner)
    here.now += SECOND

    assert (was_in, is_in, here.is_in(owner)) == (True, True, False)


async def test_pages_note_a_sign_in_once_an_hour(here: Installation):
    owner = await here.set_up()
    here.now += NOTED_EVERY - SECOND
    early = here.sessions.touch(digest_of(owner.cookie))
    here.now += SECOND

    assert (early, here.sessions.touch(digest_of(owner.cookie))) == (False, True)
    assert here.operators.get(owner.operator.id).last_seen_at == here.now


async def test_ended_sign_in_cannot_be_used_again(here: Installation):
    owner = await here.set_up()

    here.sessions.end(digest_of(owner.cookie))

    assert not here.is_in(owner)
    assert here.sessions.visit_by("x" * 1_000) is here.sessions.visit_by("") is here.sessions.visit_by(None) is None


async def test_no_cookie_and_no_link_is_kept_in_the_clear(here: Installation):
    owner = await here.set_up()
    invited = here.operators.invite("e@example.com", "editor")

    kept = b"".join(path.read_bytes() for path in here.database.path.parent.glob("*.db*"))

    for secret in (owner.cookie, invited.token, PASSWORD):
        assert secret.encode() not in kept


async def test_new_password_ends_every_other_sign_in(here: Installation):
    kept = await here.set_up()
    other = await here.door.sign_in("owner@example.com", PASSWORD)

    await here.door.change_password(kept.operator.id, PASSWORD, "another horse 8", keep=digest_of(kept.cookie))

    assert (here.is_in(kept), here.is_in(other)) == (True, False)
    assert here.is_in(await here.door.sign_in("owner@example.com", "another horse 8"))


async def test_password_is_changed_by_those_who_know_it(here: Installation):
    owner = await here.set_up()

    with pytest.raises(BackendError) as refusal:
        await here.door.change_password(owner.operator.id, "wrong horse 1", "another horse 8")

    assert codes(refusal.value) == ["operator.password_wrong"]
    assert here.is_in(owner)


async def test_password_cannot_be_guessed_in_a_browser_that_is_signed_in(here: Installation):
    owner = await here.set_up()
    found, own = digest_of(owner.cookie), digest_of((await here.door.sign_in("owner@example.com", PASSWORD)).cookie)
    for _ in range(5):
        with pytest.raises(BackendError, match="not your password"):
            await here.door.change_password(owner.operator.id, "wrong horse 1", "another horse 8", keep=found)

    with pytest.raises(Throttled):
        await here.door.change_password(owner.operator.id, PASSWORD, "another horse 8", keep=found)
    await here.door.change_password(owner.operator.id, PASSWORD, "another horse 8", keep=own)


async def test_password_that_was_replaced_meanwhile_is_not_replaced_again(here: Installation):
    owner = await here.set_up()
    link = here.operators.link_for("owner@example.com")
    change = here.door.change_password(owner.operator.id, PASSWORD, "a thief's horse 9", keep=digest_of(owner.cookie))

    answers = await asyncio.gather(here.door.accept(link.token, "another horse 8"), change, return_exceptions=True)

    assert [codes(each) for each in answers if isinstance(each, BackendError)] in (
        [["operator.password_wrong"]],
        [["operator.link_void"]],
    )


async def test_link_for_a_lost_password_signs_out_elsewhere(here: Installation):
    owner = await here.set_up()
    link = here.operators.link_for("owner@example.com")

    again = await here.door.accept(link.token, "another horse 8")

    assert here.door.link(link.token) is None
    assert (here.is_in(owner), here.is_in(again)) == (False, True)
    assert again.operator.id == owner.operator.id


async def test_disabled_operator_is_out_at_once_and_may_come_back(here: Installation):
    await here.set_up()
    eve = await here.joined("eve@example.com", "editor")
    link = here.operators.link_for(eve.operator.id)

    here.operators.disable(eve.operator.id)
    was_in = here.is_in(eve)
    here.operators.enable(eve.operator.id)

    assert (was_in, here.is_in(eve)) == (False, False)
    assert here.door.link(link.token) is None
    assert here.is_in(await here.door.sign_in("eve@example.com", PASSWORD))


@pytest.mark.parametrize("change", ["editor", "viewer", "disable", "delete"])
async def test_last_owner_stays(here: Installation, change: str):
    owner = await here.set_up()
    here.operators.invite("second@example.com", "owner")  # cannot sign in yet

    with pytest.raises(Conflict) as refusal:
        let_go(here, owner, change)

    assert codes(refusal.value) == ["operator.last_owner"]
    assert here.operators.get(owner.operator.id).role == "owner"
    assert here.is_in(owner)


@pytest.mark.parametrize("change", ["editor", "disable", "delete"])
async def test_one_of_two_owners_may_go(here: Installation, change: str):
    owner = await here.set_up()
    await here.joined("second@example.com", "owner")

    let_go(here, owner, change)

    assert here.operators.has_owner()
    assert here.operators.set_up_link() is None


async def test_address_is_invited_once(here: Installation):
    here.operators.invite("eve@example.com", "viewer")

    with pytest.raises(Conflict, match="already"):
        here.operators.invite("EVE@example.com", "owner")


@pytest.mark.parametrize("role", ["", "admin", "Owner", "system"])
def test_role_is_one_of_three(here: Installation, role: str):
    with pytest.raises(BackendError, match="viewer, editor, owner"):
        here.operators.invite("eve@example.com", role)


def test_operator_who_does_not_exist_is_told(here: Installation):
    with pytest.raises(NotFound):
        here.operators.set_role("nobody@example.com", "viewer")
