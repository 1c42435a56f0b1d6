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
NAMED = ("passw", "authorization", "cookie")
PROVING = (*NAMED, "signature", "token", "secret", "apikey", "api_key", "api-key")
LONG = 100_000  # characters
LOGINS = frozenset({"passwd", "authorization", "proxyauthorization", "cookie", "setcookie"})


def veiled(event: EventSeed, seals: Seals) -> EventSeed:
    """Return *event* as it may be stored; itself where no field is named like a login."""
    is_request = event.name.startswith(PREFIX)
    words = PROVING if is_request else NAMED
    is_long = len(event.payload_text) > LONG  # then most of it is values, and only keys count
    if not (_has_key(event.payload, words) if is_long else _names(event.payload_text, words)):
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
        is_proof = bool(texts) and _names(name, PROVING)
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


def _has_key(payload: dict[str, Json], words: tuple[str, ...]) -> bool:
    waiting: list[Any] = [payload]
    while waiting:
        value = waiting.pop()
        if type(value) is dict:
            if any(_names(key, words) for key in value):
                return True
            value = value.values()
        waiting += [entry for entry in value if type(entry) is dict or type(entry) is list]
    return False


def _names(text: str, words: tuple[str, ...]) -> bool:
    lowered = text.lower()
    return any(map(lowered.__contains__, words))


def _is_login(name: str) -> bool:
    plain = re.sub("[_ -]", "", name).lower()
    return plain in LOGINS or plain.endswith("password")
