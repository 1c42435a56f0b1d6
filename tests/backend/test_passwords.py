from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend.errors import BackendError
from backend.passwords import CHEAP, COST, Busy, Cost, PasswordHash, Passwords

PASSWORD = "nine lives 9"


class Gate(Passwords):
    """Passwords whose work waits until the test lets it go."""

    def __init__(self) -> None:
        super().__init__(CHEAP, threads=1, waiting=2)
        self.is_open = threading.Event()

    def _begin(self, work: Callable[[], Any]) -> Any:
        return super()._begin(lambda: self.is_open.wait() and work())


@pytest.fixture
def gate() -> Iterator[Gate]:
    """One password at a time, two that wait."""
    gate = Gate()
    yield gate
    gate.is_open.set()
    gate.close()


@pytest.mark.parametrize(
    "password",
    ["x" * 63 + "1", "é" * 500, "\0 start and \0 end \0", "        ", "😀 \u200d 👩‍👩‍👧", "a" * 4_096],
    ids=["64 bytes", "1,000 bytes", "NUL", "spaces", "emoji", "the longest"],
)
def test_password_comes_back_exactly(passwords: Passwords, password: str):
    hashed = passwords.hash(password)

    assert passwords.verify(hashed, password)
    for other in (password[:-1], password + " ", password.upper() + "x", password.split("\0")[0] + "y", ""):
        assert not passwords.verify(hashed, other)


def test_spellings_of_one_character_are_two_passwords(passwords: Passwords):
    assert not passwords.verify(passwords.hash("caf\u00e9 con leche 1"), "cafe\u0301 con leche 1")


def test_each_hash_has_its_own_salt(passwords: Passwords):
    assert passwords.hash(PASSWORD) != passwords.hash(PASSWORD)


def test_cost_is_what_is_recommended():
    passwords = Passwords()

    hashed = passwords.hash(PASSWORD)

    assert Cost(19_456, 2, 1) == COST
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not passwords.needs_rehash(hashed)
    assert passwords.verify(hashed, PASSWORD)
    passwords.close()


def test_hash_of_another_cost_still_opens_and_is_to_be_made_anew(passwords: Passwords):
    costlier = Passwords(Cost(64, 2, 1))
    hashed = costlier.hash(PASSWORD)
    costlier.close()

    assert passwords.verify(hashed, PASSWORD)
    assert passwords.needs_rehash(hashed)
    assert not passwords.needs_rehash(passwords.hash(PASSWORD))


@pytest.mark.parametrize("password", ["", PASSWORD, "\0"])
def test_no_hash_is_never_right_and_costs_the_same(passwords: Passwords, password: str):
    assert not passwords.verify(None, password)
    assert passwords._no_hash.rpartition("$")[0].rpartition("$")[0] == passwords.hash("x").rsplit("$", 2)[0]
    assert len(passwords._no_hash) == len(passwords.hash("x"))


@pytest.mark.parametrize("hashed", ["", "x", "$argon2id$v=19$m=8,t=1,p=1$broken", "$2b$12$" + "x" * 53])
def test_what_is_no_hash_of_ours_opens_nothing(passwords: Passwords, hashed: str):
    assert not passwords.verify(hashed, PASSWORD)


@pytest.mark.parametrize(
    "password", ["a1" * 2_049, "\ud800 nine lives 9", "x" * 10_000_000], ids=["4,098", "half", "10 MB"]
)
def test_password_that_cannot_be_is_refused_before_hashing(password: str):
    passwords = Passwords(Cost(2**31, 1, 1))  # two tebibytes: hashing anything would fail

    with pytest.raises(BackendError, match="A password"):
        passwords.hash(password)

    assert not passwords.verify(None, password)
    passwords.close()


async def test_new_password_is_checked_and_hashed(passwords: Passwords):
    accepted = await passwords.accept_soon(PASSWORD)

    assert isinstance(accepted, PasswordHash)
    assert await passwords.verify_soon(accepted.text, PASSWORD)
    assert accepted.text not in repr(accepted)
    with pytest.raises(BackendError) as caught:
        await passwords.accept_soon("Password")
    assert [fault.code for fault in caught.value.faults] == ["password.no_digit"]
    with pytest.raises(BackendError):
        passwords.accept("password1")


async def test_event_loop_goes_on_while_passwords_are_hashed(gate: Gate):
    hashing = [asyncio.ensure_future(gate.hash_soon(PASSWORD)) for _ in range(3)]

    await asyncio.sleep(0)  # the loop turns although nothing can be hashed yet

    assert not any(future.done() for future in hashing)
    gate.is_open.set()
    assert len({*await asyncio.gather(*hashing)}) == 3


async def test_too_many_at_once_are_told_to_come_back(gate: Gate):
    taken = [asyncio.ensure_future(gate.verify_soon(None, PASSWORD)) for _ in range(3)]
    await asyncio.sleep(0)

    for ask in (gate.hash_soon(PASSWORD), gate.verify_soon(None, PASSWORD), gate.accept_soon(PASSWORD)):
        with pytest.raises(Busy) as caught:
            await ask
        assert [fault.code for fault in caught.value.faults] == ["auth.busy"]
    with pytest.raises(Busy):
        gate.hash(PASSWORD)

    gate.is_open.set()
    assert await asyncio.gather(*taken) == [False] * 3
    assert await gate.hash_soon(PASSWORD)


async def test_who_gave_up_waiting_leaves_the_place_to_others(gate: Gate):
    under_way, waits, gives_up = [asyncio.ensure_future(gate.hash_soon(PASSWORD)) for _ in range(3)]
    await asyncio.sleep(0)

    gives_up.cancel()
    await asyncio.wait([gives_up])

    next_one = asyncio.ensure_future(gate.hash_soon(PASSWORD))
    await asyncio.sleep(0)
    gate.is_open.set()
    assert len({*await asyncio.gather(under_way, waits, next_one)}) == 3
