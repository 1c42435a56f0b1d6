"""Passwords and login headers in events that come from outside: locked like the tokens of the backend's own events.

A field is one by its name, in any case and at any depth: ``password``, ``new_password``, ``Authorization``, ``Cookie``.
Of a request to a webhook, also headers and parts of the query that prove something: ``X-Api-Key``, ``X-Hub-Signature``.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import orjson

from runtime.masking import MASK
from runtime.sealing import Sealed, Seals
from runtime.webhooks import PREFIX
from storage.journal_rows import EventSeed

Json: TypeAlias = Any
NAMED = re.compile("passw|authorization|cookie", re.IGNORECASE)
PROVING = re.compile("passw|authorization|cookie|signature|token|secret|api[_-]?key", re.IGNORECASE)
LOGINS = frozenset({"passwd", "authorization", "proxyauthorization", "cookie", "setcookie"})


def veiled(event: EventSeed, seals: Seals) -> EventSeed:
    """Return *event* as it may be stored; itself where no field is named like a login."""
    is_request = event.name.startswith(PREFIX)
    if (PROVING if is_request else NAMED).search(event.payload_text) is None:
        return event
    secrets: list[str] = []
    shown = _shown_request(event.payload, secrets) if is_request else _shown(event.payload, secrets)
    if not secrets:
        return event
    return event._replace(
        payload=shown,
        payload_text=orjson.dumps(shown).decode(),
        digest=event.digest and seals.tag(event.digest),  # what is easily guessed must not be told by its digest
        sealed=seals.lock(Sealed(event.payload, tuple(dict.fromkeys(secrets)), None)),
    )


def _shown_request(payload: dict[str, Json], secrets: list[str]) -> dict[str, Json]:
    """Return a webhook's payload with what proves who called masked in its headers and query too."""
    proofs = {part: _shown_proofs(payload.get(part, {}), secrets) for part in ("headers", "query")}
    return {name: proofs[name] if name in proofs else _shown(value, secrets) for name, value in payload.items()}


def _shown_proofs(fields: dict[str, str | list[str]], secrets: list[str]) -> dict[str, Json]:
    shown: dict[str, Json] = {}
    for name, value in fields.items():
        texts = [each for each in (value if isinstance(value, list) else [value]) if each not in ("", MASK)]
        is_proof = bool(texts) and PROVING.search(name) is not None
        secrets += texts if is_proof else ()
        shown[name] = MASK if is_proof else value
    return shown


def _shown(value: Json, secrets: list[str]) -> Json:
    if isinstance(value, dict):
        return {key: _field(key, entry, secrets) for key, entry in value.items()}
    return [_shown(entry, secrets) for entry in value] if isinstance(value, list) else value


def _field(name: str, value: Json, secrets: list[str]) -> Json:
    if not isinstance(value, str) or value in ("", MASK) or not _is_login(name):
        return _shown(value, secrets)
    secrets.append(value)
    return MASK


def _is_login(name: str) -> bool:
    plain = re.sub("[_ -]", "", name).lower()
    return plain in LOGINS or plain.endswith("password")
