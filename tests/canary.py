"""Looks for a secret in what was written down, however it was encoded; knows nothing of how masking works."""

from __future__ import annotations

import base64
import html
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

PART = 12  # characters of a secret in a row that count as a leak


def leaks(secret: str, *places: bytes | str) -> list[str]:
    """Return the forms of *secret*, or of 12 characters of it, that are in *places*."""
    data = b"\n".join(place.encode("utf-8", "surrogatepass") if isinstance(place, str) else place for place in places)
    return [
        f"{name}: {form[at : at + PART]!r}"
        for name, form in _forms(secret)
        for at in range(len(form) - PART + 1)
        if form[at : at + PART].encode() in data
    ][:5]


def stored(directory: Path) -> Iterator[bytes]:
    """Yield every file of an installation, the log of the database too, and every text of the database by itself."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield path.read_bytes()
    with closing(sqlite3.connect(directory / "pulsewire.db")) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield " ".join(map(str, row)).encode("utf-8", "surrogatepass")


def _forms(secret: str) -> Iterator[tuple[str, str]]:
    for name, text in (("raw", secret), ("upper", secret.upper()), ("lower", secret.lower()), ("back", secret[::-1])):
        yield name, text
        yield f"{name}, percent", quote(text, safe="")
        yield f"{name}, HTML", html.escape(text)
        yield f"{name}, JSON", json.dumps(text)[1:-1]
        yield f"{name}, hex", text.encode().hex()
        yield f"{name}, HEX", text.encode().hex().upper()
        yield f"{name}, commas", ",".join(text)
        yield f"{name}, list", json.dumps(list(text))[1:-1]
        for before in range(3):
            inside = base64.b64encode(b"\0" * before + text.encode()).decode().rstrip("=")[before + before // 2 : -1]
            yield f"{name}, base64 +{before}", inside[1 if before else 0 :]
            yield f"{name}, base64url +{before}", inside[1 if before else 0 :].replace("+", "-").replace("/", "_")
