from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from backend.signatures import (
    TOLERANCE_S,
    has_hmac_signature,
    has_standard_signature,
    hmac_signature,
    standard_key,
    standard_signature,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT_S = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
HEADERS = {"webhook-id": MESSAGE, "webhook-timestamp": str(SENT_S), "webhook-signature": SIGNATURE}


def signed_at(moment_s: int) -> dict[str, str]:
    signature = standard_signature(standard_key(SECRET), MESSAGE, moment_s, BODY)
    return HEADERS | {"webhook-timestamp": str(moment_s), "webhook-signature": signature}


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in HEADERS.items() if key != name}


def test_signature_is_the_one_of_the_published_vector():
    assert standard_signature(standard_key(SECRET), MESSAGE, SENT_S, BODY) == SIGNATURE


@pytest.mark.parametrize(
    ("headers", "is_right"),
    [
        pytest.param(HEADERS, True, id="valid"),
        pytest.param(without("webhook-id"), False, id="no id"),
        pytest.param(HEADERS | {"webhook-id": ""}, False, id="empty id"),
        pytest.param(HEADERS | {"webhook-id": "msg_other"}, False, id="other id"),
        pytest.param(without("webhook-timestamp"), False, id="no time"),
        pytest.param(HEADERS | {"webhook-timestamp": "hello"}, False, id="time in words"),
        pytest.param(HEADERS | {"webhook-timestamp": f"{SENT_S}.0"}, False, id="time with a fraction"),
        pytest.param(HEADERS | {"webhook-timestamp": "9" * 400}, False, id="endless time"),
        pytest.param(without("webhook-signature"), False, id="no signature"),
        pytest.param(HEADERS | {"webhook-signature": OTHER}, False, id="wrong signature"),
        pytest.param(HEADERS | {"webhook-signature": SIGNATURE[:-8]}, False, id="part of the signature"),
        pytest.param(HEADERS | {"webhook-signature": SIGNATURE[3:]}, False, id="no version"),
        pytest.param(HEADERS | {"webhook-signature": "v2" + SIGNATURE[2:]}, False, id="unknown version"),
        pytest.param(HEADERS | {"webhook-signature": "v1,ünlesbar"}, False, id="no base64"),
        pytest.param(HEADERS | {"webhook-signature": "v1 v1, , ,v1"}, False, id="torn"),
        pytest.param(HEADERS | {"webhook-signature": f"{OTHER} v2{OTHER[2:]} {SIGNATURE} {OTHER}"}, True, id="several"),
        pytest.param(HEADERS | {"webhook-signature": f"{OTHER} " * 40 + SIGNATURE}, False, id="too many"),
        pytest.param({f"svix{name[7:]}": value for name, value in HEADERS.items()}, True, id="older names"),
    ],
)
def test_standard_webhook_is_checked(headers: dict[str, str], is_right: bool):
    assert has_standard_signature(standard_key(SECRET), headers, BODY, SENT_S) is is_right


@pytest.mark.parametrize(("late_s", "is_right"), [(0, True), (TOLERANCE_S, True), (TOLERANCE_S + 1, False)])
@pytest.mark.parametrize("direction", [1, -1], ids=["old", "new"])
def test_standard_webhook_is_taken_within_five_minutes(late_s: int, is_right: bool, direction: int):
    headers = signed_at(SENT_S)

    assert TOLERANCE_S == 300
    assert has_standard_signature(standard_key(SECRET), headers, BODY, SENT_S + direction * late_s) is is_right


@pytest.mark.parametrize("body", [BODY + b" ", BODY.replace(b" ", b""), b""])
def test_standard_webhook_signs_the_body_byte_by_byte(body: bytes):
    assert not has_standard_signature(standard_key(SECRET), HEADERS, body, SENT_S)


@pytest.mark.parametrize(
    "written", [SECRET, SECRET.removeprefix("whsec_"), "whsec_" + base64.b64encode(standard_key(SECRET)).decode()]
)
def test_key_is_read_with_and_without_its_prefix(written: str):
    assert standard_key(written) == standard_key(SECRET)


@pytest.mark.parametrize("size", [25, 26, 27, 64])
def test_key_without_padding_is_the_same_key(size: int):
    key = bytes(range(size))
    padded = base64.b64encode(key).decode()

    assert standard_key("whsec_" + padded) == standard_key("whsec_" + padded.rstrip("=")) == key


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_****", "whsec_" + "A" * 20, "whsec_" + "A" * 100])
def test_what_is_no_key_is_refused(secret: str):
    with pytest.raises(ValueError, match=r".*"):
        standard_key(secret)


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_hmac_is_checked_as_it_is_made(algorithm: str, encoding: str, prefix: str):
    how = (algorithm, encoding, prefix)
    signature = hmac_signature("it's a secret", BODY, *how)

    def is_right(given: str, secret: str = "it's a secret", body: bytes = BODY) -> bool:
        return has_hmac_signature(given, secret, body, *how)

    assert signature.startswith(prefix)
    assert is_right(signature)
    assert not is_right(signature, secret="it's a Secret")
    assert not is_right(signature, body=BODY + b"\n")
    assert not is_right(signature[1:])
    assert not is_right("")
    assert not is_right(signature + "\udcff")
    assert not is_right(f"wrong{signature}")


def test_hmac_is_the_one_that_github_documents():
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    given: Callable[[str], bool] = lambda text: has_hmac_signature(  # noqa: E731
        text, "It's a Secret to Everybody", b"Hello, World!", "sha256", "hex", "sha256="
    )

    assert given(signature)
    assert given("sha256=" + signature[7:].upper())
    assert not given(signature.upper())
