"""Reads what ``POST /api/events`` takes: our own envelope, or CloudEvents 1.0 in each of its HTTP modes.

A CloudEvent is the same event as another when ``source`` and ``id`` are equal, so both are in our event id.
Source  CloudEvents 1.0 core specification and HTTP protocol binding
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers

from runtime import payloads
from runtime.errors import Invalid, Problem
from runtime.http import bodies
from runtime.limits import BATCH_EVENTS, NAME_CHARS
from runtime.outbox import NewEvent

ID_CHARS = 400
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
REQUIRED = ("id", "source", "specversion", "type")
OWN_KEYS = frozenset({"name", "payload", "id"})


def events_in(headers: Headers, raw: bytes) -> tuple[list[NewEvent], bool]:
    """Return the events in a request, and whether it was a batch.

    Raises BadRequest, TooLarge or Invalid; the problems of a batch name the place in it.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == BATCH:
        return _batch(bodies.parse(raw)), True
    if kind == STRUCTURED:
        return [_structured(bodies.parse(raw))], False
    if any(f"ce-{name}" in headers for name in REQUIRED):
        return [_binary(headers, raw)], False
    bodies.require_json(headers)
    return [_own(bodies.parse(raw))], False


def _own(value: Any) -> NewEvent:
    if not isinstance(value, dict):
        raise _wrong("An event is a JSON object with “name” and “payload”.")
    if unknown := value.keys() - OWN_KEYS:
        names = ", ".join(f"“{name[:40]}”" for name in sorted(unknown)[:5])
        raise _wrong(f"{names} is not part of an event: it has “name”, “payload” and, if you like, “id”.")
    event_id = value.get("id")
    if event_id is not None:
        event_id = _text(event_id, "id", ID_CHARS)
    name = _text(value.get("name"), "name", NAME_CHARS)
    return NewEvent(name, payloads.check_value(value.get("payload", {})), event_id)


def _batch(value: Any) -> list[NewEvent]:
    if not isinstance(value, list) or not value:
        raise _wrong("A batch is a JSON array of at least one CloudEvent.")
    if len(value) > BATCH_EVENTS:
        raise _wrong(f"A batch has at most {BATCH_EVENTS:,} events, this one has {len(value):,}.")
    events, problems = [], []
    for place, item in enumerate(value):
        try:
            events.append(_structured(item))
        except Invalid as refused:
            problems += [Problem(each.code, each.message, param=f"[{place}]") for each in refused.problems]
    if problems:
        raise Invalid(*problems)
    return events


def _structured(value: Any) -> NewEvent:
    if not isinstance(value, dict):
        raise _wrong("A CloudEvent is a JSON object.")
    if "data_base64" in value:
        try:
            data = bodies.parse(base64.b64decode(value["data_base64"], validate=True))
        except (TypeError, ValueError, binascii.Error) as error:
            raise _wrong("“data_base64” is not Base64.", "data_base64") from error
    else:
        data = value.get("data", {})
    return _event(value, data)


def _binary(headers: Headers, raw: bytes) -> NewEvent:
    attributes = {name: unquote(headers[f"ce-{name}"]) for name in REQUIRED if f"ce-{name}" in headers}
    if raw:
        bodies.require_json(headers)
    return _event(attributes, bodies.parse(raw) if raw else {})


def _event(attributes: dict[str, Any], data: Any) -> NewEvent:
    for name in REQUIRED:
        _text(attributes.get(name), name, NAME_CHARS)
    if attributes["specversion"] != "1.0":
        raise _wrong("“specversion” must be “1.0”.", "specversion")
    return NewEvent(attributes["type"], payloads.check_value(data), f"{attributes['source']}#{attributes['id']}")


def _text(value: Any, name: str, limit: int) -> str:
    if not isinstance(value, str) or not value or len(value) > limit or not value.isprintable():
        raise _wrong(f"“{name}” must be text of 1 to {limit} printable characters.", name)
    return value


def _wrong(message: str, param: str | None = None) -> Invalid:
    return Invalid(Problem("event.invalid", message, param=param))
