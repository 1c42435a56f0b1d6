"""Signatures of webhooks, made and checked: an HMAC over the body, and Standard Webhooks.

Checks take the same time wherever two signatures differ. Header names are in lower case.

Source  RFC 2104 and the specification of Standard Webhooks
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

Algorithm: TypeAlias = Literal["sha256", "sha1", "sha512"]
Encoding: TypeAlias = Literal["hex", "base64"]

TOLERANCE_S = 300  # between a sender's clock and ours, either way
FAMILIES = ("webhook", "svix")  # how the names of the three headers begin; the second is older than the standard
KEY_PREFIX = "whsec_"
KEY_BYTES = range(24, 65)
SIGNATURES = 32  # in one header; while a sender changes its key there are two
_SECONDS = re.compile(r"[0-9]{1,12}")


def hmac_signature(secret: str, body: bytes, algorithm: str, encoding: str, prefix: str) -> str:
    """Return the header's value for *body*: the prefix, and the digest in hex or base64."""
    digest = hmac.digest(secret.encode(), body, algorithm)
    return prefix + (digest.hex() if encoding == "hex" else base64.b64encode(digest).decode())


def has_hmac_signature(given: str, secret: str, body: bytes, algorithm: str, encoding: str, prefix: str) -> bool:
    """Return whether *given*, the header's value, signs *body*; hex digits may be of either case."""
    expected = hmac_signature(secret, body, algorithm, encoding, prefix)
    if encoding == "hex":
        given = given[: len(prefix)] + given[len(prefix) :].lower()
    return is_equal(given, expected)


def standard_key(secret: str) -> bytes:
    """Return the key in ``whsec_…``, whose prefix and padding may be missing; raises ValueError for what is none."""
    text = secret.removeprefix(KEY_PREFIX).rstrip("=")
    key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    if len(key) not in KEY_BYTES:
        raise ValueError("the key is too short or too long")
    return key


def standard_signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a message, with its version."""
    signed = f"{message_id}.{timestamp}.".encode("latin-1") + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def has_standard_signature(key: bytes, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Return whether one of the message's signatures is right, and its time near *now_s*."""
    message_id, timestamp, signatures = standard_headers(headers)
    if not message_id or _SECONDS.fullmatch(timestamp) is None or abs(now_s - int(timestamp)) > TOLERANCE_S:
        return False
    expected = standard_signature(key, message_id, int(timestamp), body)
    given = [each for each in signatures.split(" ")[:SIGNATURES] if each.startswith("v1,")]
    return any([_is_same_digest(each, expected) for each in given])  # noqa: C419 - all are compared


def standard_headers(headers: Mapping[str, str]) -> tuple[str, str, str]:
    """Return id, time and signatures of a message, each empty where it is missing."""
    family = next((each for each in FAMILIES if f"{each}-id" in headers), FAMILIES[0])
    message_id, timestamp, signatures = (
        headers.get(f"{family}-{part}", "") for part in ("id", "timestamp", "signature")
    )
    return message_id, timestamp, signatures


def is_equal(given: str, expected: str) -> bool:
    """Compare in a time that tells nothing of where the two differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _is_same_digest(given: str, expected: str) -> bool:
    try:
        digests = [base64.b64decode(each[3:], validate=True) for each in (given, expected)]
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(*digests)
