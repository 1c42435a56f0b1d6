from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.user_values import COMMON, email_in, folded_email, password_faults

MOST_COMMON = [
    *("123456", "password", "12345678", "qwerty", "123456789", "12345", "1234", "111111", "1234567", "dragon"),
    *("password1", "abc12345", "trustno1", "letmein1", "welcome1", "1q2w3e4r", "qwerty123", "iloveyou1", "passw0rd"),
]


@pytest.mark.parametrize(
    ("password", "codes"),
    [
        ("nine lives 9", []),
        ("x" * 64 + "1", []),
        ("é" * 2_047 + "a1", []),  # 4,096 bytes
        ("\0 😀 null 1", []),
        ("       a1", []),
        ("a1" * 4, []),
        ("éàüöß١٢٣", []),
        ("", ["password.too_short", "password.no_lower_case", "password.no_digit"]),
        ("a", ["password.too_short", "password.no_digit"]),
        ("abcdef1", ["password.too_short"]),
        ("😀😀😀😀😀a1", ["password.too_short"]),
        ("abcdefgh", ["password.no_digit"]),
        ("QWXYVUT1", ["password.no_lower_case"]),
        ("        ", ["password.no_lower_case", "password.no_digit"]),
        ("password1", ["password.common"]),
        ("PassWord1", ["password.common"]),
        ("é" * 2_047 + "a12", ["password.too_long"]),
        ("a1" * 3_000_000, ["password.too_long"]),
        ("nine lives 9\ud800", ["password.invalid"]),
        (None, ["password.invalid"]),
        (12345678, ["password.invalid"]),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_password_rule(password: Any, codes: list[str]):
    assert [fault.code for fault in password_faults(password)] == codes
    assert {fault.field for fault in password_faults(password, "new")} <= {"new"}


@pytest.mark.parametrize("password", MOST_COMMON)
def test_most_common_passwords_are_refused(password: str):
    assert password_faults(password)


def test_every_password_on_the_list_is_refused_for_being_there():
    found = {password: [fault.code for fault in password_faults(password)] for password in COMMON}

    assert len(found) > 4_000
    assert {*map(tuple, found.values())} == {("password.common",)}


def test_fault_never_repeats_the_password():
    assert not any("hunter" in fault.message for fault in password_faults("hunter"))


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("Anna@Example.COM", "anna@example.com", True),
        ("ｱnna@example.com", "アnna@example.com", True),
        ("\ufb01n@example.com", "fin@example.com", True),
        ("\U0001d400nna@example.com", "anna@example.com", True),
        ("stra\u00dfe@example.com", "strasse@example.com", True),
        ("anna@m\u00fcller.example", "ANNA@M\u00dcLLER.example", True),
        ("anna@m\u00fcller.example", "anna@xn--mller-kva.example", True),
        ("\u0131rmak@example.com", "irmak@example.com", False),
        ("ann\u0430@example.com", "anna@example.com", False),
        ("anna+shop@example.com", "anna@example.com", False),
        ("a.nna@example.com", "anna@example.com", False),
        ("jos\u00e9@example.com", "jose@example.com", False),
    ],
    ids=lambda value: ascii(value),
)
def test_addresses_are_the_same_as_people_mean_it(one: str, other: str, is_same: bool):
    assert (folded_email(one) == folded_email(other)) == is_same


@given(st.text())
def test_folding_takes_any_text_and_is_stable(text: str):
    assert folded_email(folded_email(text)) == folded_email(text)


@given(st.from_regex(r"[A-Za-z0-9.+_-]{1,20}@[A-Za-z0-9-]{1,10}\.[a-z]{2,5}", fullmatch=True))
def test_address_that_was_taken_is_found_by_what_was_entered(text: str):
    faults: list[Any] = []

    taken = email_in(text, "email", faults)

    assert faults or folded_email(taken) == folded_email(text)
