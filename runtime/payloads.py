"""The door for payloads: a JSON object within the limits, or a refusal that names the limit."""

from __future__ import annotations

from typing import Any

import orjson

from runtime import limits, strictjson
from runtime.errors import BadRequest, Invalid, Problem, RuntimeFault, TooLarge

_ERRORS: dict[str, type[RuntimeFault]] = {"too_large": TooLarge, "json_invalid": BadRequest}


def check_payload(raw: bytes) -> dict[str, Any]:
    """Return the payload in *raw*. Raises TooLarge, BadRequest (not JSON) or Invalid, each naming the limit."""
    value, fault = strictjson.read(raw, size=limits.PAYLOAD_BYTES, depth=limits.PAYLOAD_DEPTH, keys=limits.PAYLOAD_KEYS)
    if fault is not None:
        raise _refusal(fault)
    return _object(value)


def check_value(value: object) -> dict[str, Any]:
    """Return *value*, already read from JSON, as a payload. Raises TooLarge or Invalid."""
    fault = strictjson.fault_of(value, depth=limits.PAYLOAD_DEPTH, keys=limits.PAYLOAD_KEYS)
    if fault is None and len(orjson.dumps(value)) > limits.PAYLOAD_BYTES:
        fault = strictjson.too_large(limits.PAYLOAD_BYTES)
    if fault is not None:
        raise _refusal(fault)
    return _object(value)


def read_json(raw: bytes, *, size: int) -> Any:
    """Return the JSON value in a request body. Raises TooLarge, BadRequest or Invalid."""
    value, fault = strictjson.read(raw, size=size, depth=limits.PAYLOAD_DEPTH + 16)
    if fault is not None:
        raise _refusal(fault, area="body", what="The body")
    return value


def _refusal(fault: strictjson.Fault, *, area: str = "payload", what: str = "The payload") -> RuntimeFault:
    problem = Problem(f"{area}.{fault.code}", f"{what} {fault.message}.")
    return _ERRORS.get(fault.code, Invalid)(problem)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = 'A payload is a JSON object, such as {"name": "orders"}.'
        raise Invalid(Problem("payload.not_an_object", message))
    return value
