"""What an end user's address, names and password may be; the same for sign-up, pages, API and flows."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from backend.datahub_schema import UNPRINTABLE
from backend.errors import Fault
from backend.message import address

EMAIL_CHARS = 254  # RFC 5321: a path has 256 with its brackets
NAME_CHARS = 100
PASSWORD_CHARS = 8  # the fewest
PASSWORD_BYTES = 4_096  # the most, UTF-8; more is refused before anything is computed
COMMON_FILE = Path(__file__).parent / "common_passwords.txt"


def folded_email(text: str) -> str:
    """Return what two addresses have in common when they are the same; for any text, also one that is no address.

    NFKC and casefold, never ``upper``, which makes “ı” and “i” one. A domain is compared as DNS has it.
    """
    folded = _folded(text)
    local, at, domain = folded.rpartition("@")
    if domain.isascii() or len(domain) > EMAIL_CHARS:
        return folded
    try:
        return f"{local}{at}{domain.encode('idna').decode()}"
    except UnicodeError:
        return folded


def email_in(value: object, field: str, faults: list[Fault]) -> str:
    """Return the one address that *value* is, as mail will go to it; adds to *faults* if it is not exactly one."""
    found: list[Fault] = []
    text = unicodedata.normalize("NFKC", value).strip() if isinstance(value, str) and len(value) <= EMAIL_CHARS else ""
    email = address(text, field, found).addr_spec
    if found or "<" in text or len(email) > EMAIL_CHARS:
        faults.append(Fault("user.email_invalid", "This is not exactly one address such as anna@example.com.", field))
    return email


def name_in(value: object, field: str, faults: list[Fault]) -> str:
    """Return a first or last name, which may be empty; adds to *faults* what is wrong with it."""
    text = value.strip() if isinstance(value, str) else ""
    if not isinstance(value, str) or len(text) > NAME_CHARS or not is_printable(text):
        message = f"A name is at most {NAME_CHARS} printable characters on one line."
        faults.append(Fault("user.name_invalid", message, field))
    return text


def password_faults(value: object, field: str = "password") -> list[Fault]:
    """Return everything wrong with a new password. It is compared exactly; spaces, NUL and emoji count as any other."""
    if (refused := unusable_password(value, field)) is not None:
        return [refused]
    return [Fault(code, message, field) for code, message in _weaknesses(str(value))]


def unusable_password(value: object, field: str = "password") -> Fault | None:
    """Return what keeps *value* from being compared with any password, or None."""
    try:
        size_bytes = len(value.encode()) if isinstance(value, str) else 0
    except UnicodeEncodeError:
        size_bytes = 0
        value = None
    if not isinstance(value, str):
        return Fault("password.invalid", "A password is text without broken characters.", field)
    if size_bytes > PASSWORD_BYTES:
        message = f"A password has at most {PASSWORD_BYTES:,} bytes; this one has more."
        return Fault("password.too_long", message, field)
    return None


def is_printable(text: str) -> bool:
    """Return whether *text* is one line without control characters and half surrogate pairs."""
    return not any(unicodedata.category(char) in UNPRINTABLE for char in text)


def _weaknesses(password: str) -> Iterator[tuple[str, str]]:
    if len(password) < PASSWORD_CHARS:
        yield "password.too_short", f"A password needs at least {PASSWORD_CHARS} characters."
    if not any(char.islower() for char in password):
        yield "password.no_lower_case", "A password needs a lower-case letter."
    if not any(char.isdecimal() for char in password):
        yield "password.no_digit", "A password needs a digit."
    if password.lower() in COMMON:
        yield "password.common", "This password is one of the most common ones. Choose one that others do not use."


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()


def _common() -> frozenset[str]:
    lines = COMMON_FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


COMMON = _common()  # in lower case
