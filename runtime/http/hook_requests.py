"""What a request to a webhook becomes: its event, with the login that was checked masked, and an id to be known by."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import orjson
from starlette.types import Scope

from backend.logins import Login
from runtime import causes, limits
from runtime.errors import BadRequest, Problem, RuntimeFault, TooLarge, Unauthorized
from runtime.http.hook_bodies import body_of, fields_of
from runtime.masking import MASK
from runtime.outbox import NewEvent
from runtime.webhook_view import Hook
from runtime.webhooks import event_of

Json: TypeAlias = Any

ID_CHARS = 255
BODYLESS = frozenset({"GET", "HEAD"})
INLINE_BYTES = 32_000  # a larger body is read in a thread
CHALLENGES = {"basic": 'Basic realm="webhook", charset="UTF-8"'}  # RFC 7617; some clients send nothing before it
REFUSED = Problem("webhook.refused", "This webhook did not accept the request.")
HIDDEN = frozenset({causes.HEADER.lower()})


class HeadersTooLarge(RuntimeFault):
    status = 431


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the request's headers, names in lower case; one that comes twice is joined. Raises HeadersTooLarge."""
    found: dict[str, str] = {}
    size = 0
    for raw_name, raw_value in scope["headers"]:
        size += len(raw_name) + len(raw_value)
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in found:
            value = f"{found[name]}{'; ' if name == 'cookie' else ', '}{value}"
        found[name] = value
    if size > limits.WEBHOOK_HEADER_BYTES:
        message = f"The headers are larger than {limits.WEBHOOK_HEADER_BYTES:,} bytes together."
        raise HeadersTooLarge(Problem("headers.too_large", message))
    return found


def admit(hook: Hook, headers: Mapping[str, str], raw: bytes, now_s: float) -> None:
    """Raise Unauthorized unless the caller knows the hook's login; it says nothing of why."""
    if hook.has_login and (hook.login is None or not hook.login.admits(headers, raw, now_s)):
        raise Unauthorized(REFUSED)


def challenge(hook: Hook) -> str:
    """Return how a caller who is refused is told to authenticate."""
    return CHALLENGES.get("" if hook.login is None else hook.login.kind, "Bearer")


async def event_in(hook: Hook, scope: Scope, headers: Mapping[str, str], raw: bytes) -> NewEvent:
    """Return the event. Raises BadRequest, Invalid, TooLarge or Unsupported, and they hold nothing of the request."""
    method = scope["method"]
    if method in BODYLESS:
        body = None
    elif len(raw) <= INLINE_BYTES:
        body = body_of(raw, headers)
    else:
        body = await asyncio.to_thread(body_of, raw, headers)
    query_string = scope["query_string"]
    query = fields_of(_ascii(query_string)) if query_string else {}
    payload = {"body": body, "query": query, "headers": _shown(headers, hook.login), "method": method}
    payload["path"] = hook.path
    if len(raw) > limits.PAYLOAD_BYTES:
        await asyncio.to_thread(_check_size, payload)
    key = _key(hook, headers)
    if key is None:
        return NewEvent(event_of(hook.path), payload)
    # headers are not part of it: a sender signs every attempt anew
    content = orjson.dumps([method, query, body], option=orjson.OPT_SORT_KEYS)
    return NewEvent(
        event_of(hook.path), payload, f"hooks/{hook.path}#{key}", digest=hashlib.sha256(content).hexdigest()
    )


def _shown(headers: Mapping[str, str], login: Login | None) -> dict[str, str]:
    """Return the headers as the flow sees them: the login was checked, and nobody needs it any more."""
    proofs: Iterable[str] = () if login is None else login.header_names
    return {name: MASK if name in proofs else value for name, value in headers.items() if name not in HIDDEN}


def _key(hook: Hook, headers: Mapping[str, str]) -> str | None:
    """Return what tells this request from others, if the sender says it; a signed id comes first."""
    names = ["idempotency-key", "webhook-id", "svix-id"]
    if hook.login is not None and hook.login.kind == "standard_webhooks":
        names = ["webhook-id", "svix-id"]
    key = next((headers[name] for name in names if headers.get(name)), None)
    if key is not None and (len(key) > ID_CHARS or not key.isprintable()):
        message = f"The id of the request must be text of at most {ID_CHARS} printable characters."
        raise BadRequest(Problem("webhook.id_invalid", message))
    return key


def _ascii(query: bytes) -> str:
    try:
        return query.decode("ascii")
    except UnicodeDecodeError as error:
        raise BadRequest(Problem("query.invalid", "Write characters of the query as %…, in UTF-8.")) from error


def _check_size(payload: dict[str, Json]) -> None:
    if len(orjson.dumps(payload)) > limits.WEBHOOK_PAYLOAD_BYTES:
        message = f"The request comes to more than {limits.WEBHOOK_PAYLOAD_BYTES:,} bytes as JSON."
        raise TooLarge(Problem("payload.too_large", message))
