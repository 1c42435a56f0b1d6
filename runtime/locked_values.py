"""What of a database is locked with a secret key, and whether a key opens it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from backend.errors import BackendError
from backend.secrets import CREDENTIALS, MAILBOX, PAYLOADS, SETTINGS, SecretBox

KINDS = (
    (
        "the mail server's password",
        SETTINGS,
        "SELECT json_extract(value, '$.password') FROM setting WHERE key = 'smtp'",
    ),
    ("credentials", CREDENTIALS, "SELECT secret FROM credential"),
    ("kept mails", MAILBOX, "SELECT subject FROM mailbox_message ORDER BY id DESC"),
    ("tokens of runs under way", PAYLOADS, "SELECT sealed FROM event WHERE sealed <> ''"),
    ("what steps of runs under way gave out", PAYLOADS, "SELECT sealed FROM step WHERE sealed <> ''"),
)


def unreadable(database: Path, key: str | None) -> list[str]:
    """Return what is in the database and cannot be opened with *key*, each kind in words; one of a kind is tried."""
    box, found = key and SecretBox(key), []
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as raw:
        for words, purpose, query in KINDS:
            with suppress(sqlite3.OperationalError):  # an older schema has no such table
                locked = next((text for (text,) in raw.execute(f"{query} LIMIT 1") if text), None)
                if locked is not None and not (box and _opens(box.for_purpose(purpose), locked)):
                    found.append(words)
    return found


def _opens(box: SecretBox, locked: str) -> bool:
    try:
        box.decrypt(locked)
    except BackendError:
        return False
    return True
