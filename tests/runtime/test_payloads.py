"""The door for payloads: every limit just met, and just passed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime import limits
from runtime.errors import BadRequest, Invalid, RuntimeFault, TooLarge
from runtime.payloads import check_payload, check_value, read_json


def nested(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": [1, 2.5, "x", None, True, {"b": "😀"}]},
        nested(limits.PAYLOAD_DEPTH),
        {str(number): 0 for number in range(limits.PAYLOAD_KEYS)},
        {"a": "x" * (limits.PAYLOAD_BYTES - 8)},
        {"most": 2**63 - 1, "least": -(2**63) + 1},
        {"__proto__": 1, "items": 2},
    ],
)
def test_what_is_within_the_limits_comes_through_unchanged(value: dict[str, Any]) -> None:
    raw = json.dumps(value, separators=(",", ":")).encode()

    assert check_payload(raw) == value
    assert check_value(value) == value


@pytest.mark.parametrize(
    ("raw", "error", "code"),
    [
        (b'{"a":"' + b"x" * limits.PAYLOAD_BYTES + b'"}', TooLarge, "payload.too_large"),
        (json.dumps(nested(limits.PAYLOAD_DEPTH + 1)).encode(), Invalid, "payload.too_deep"),
        (b'{"a":' * 100_000, Invalid, "payload.too_deep"),
        (b"[" * 100_000, Invalid, "payload.too_deep"),
        (json.dumps({str(n): 0 for n in range(limits.PAYLOAD_KEYS + 1)}).encode(), Invalid, "payload.too_many_keys"),
        (b'{"a": NaN}', Invalid, "payload.number_range"),
        (b'{"a": -Infinity}', Invalid, "payload.number_range"),
        (b'{"a": 1e999}', Invalid, "payload.number_range"),
        (b'{"a": 9223372036854775808}', Invalid, "payload.number_range"),
        (b'{"a": ' + b"9" * 5000 + b"}", Invalid, "payload.number_range"),
        (b'{"a": 1, "a": 2}', Invalid, "payload.key_duplicate"),
        (b'{"a": "\\ud800"}', Invalid, "payload.text_invalid"),
        (b'{"\\udfff": 1}', Invalid, "payload.text_invalid"),
        (b'{"a": }', BadRequest, "payload.json_invalid"),
        (b"", BadRequest, "payload.json_invalid"),
        (b'{"a": "\xff"}', BadRequest, "payload.json_invalid"),
        (b"[1]", Invalid, "payload.not_an_object"),
        (b'"{}"', Invalid, "payload.not_an_object"),
        (b"null", Invalid, "payload.not_an_object"),
    ],
)
def test_what_is_outside_is_refused(raw: bytes, error: type[RuntimeFault], code: str) -> None:
    with pytest.raises(error) as caught:
        check_payload(raw)

    assert [problem.code for problem in caught.value.problems] == [code]


@pytest.mark.parametrize(
    ("raw", "limit"),
    [
        (b'{"a":"' + b"x" * limits.PAYLOAD_BYTES + b'"}', f"{limits.PAYLOAD_BYTES:,}"),
        (json.dumps(nested(limits.PAYLOAD_DEPTH + 1)).encode(), str(limits.PAYLOAD_DEPTH)),
        (json.dumps({str(n): 0 for n in range(limits.PAYLOAD_KEYS + 1)}).encode(), f"{limits.PAYLOAD_KEYS:,}"),
    ],
    ids=["bytes", "depth", "keys"],
)
def test_the_limit_is_named(raw: bytes, limit: str) -> None:
    with pytest.raises(RuntimeFault) as caught:
        check_payload(raw)

    assert limit in caught.value.problems[0].message


def test_a_value_that_is_no_json_is_refused() -> None:
    for value in ({"a": {1, 2}}, {"a": float("inf")}, {1: 2}, [1], {"a": "x" * limits.PAYLOAD_BYTES}):
        with pytest.raises(RuntimeFault):
            check_value(value)


def test_a_surrogate_pair_is_one_character() -> None:
    assert check_payload(b'{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


def test_a_body_is_read_with_its_own_limit() -> None:
    assert read_json(b"[1]", size=3) == [1]
    with pytest.raises(TooLarge):
        read_json(b"[1, 2]", size=3)
