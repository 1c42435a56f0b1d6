"""What is masked: a secret in all its forms, parts of it, and nothing else."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.masking import MASK, Masker
from tests.canary import leaks

TOKEN = "dK3x-Qp9_ZtR7mWv2LbNc8HsYfA1eGuJoT4iXnP6kEw"  # as one_time_tokens makes them
LINK = f"https://flows.example.com/verify-email?token={TOKEN}"
ENCODINGS: dict[str, Callable[[str], Any]] = {
    "raw": str,
    "percent": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "every byte as percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "HTML": html.escape,
    "HTML numbers": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps({"a": json.dumps({"b": text})}),
    "JSON escapes": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 after one byte": lambda text: base64.b64encode(b"x" + text.encode()).decode(),
    "base64 after two bytes": lambda text: base64.b64encode(b"xy" + text.encode() + b"z").decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(b"a" * 50 + text.encode()).decode(),
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "base64, percent": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex(":").upper(),
    "upper": str.upper,
    "lower": str.lower,
    "title": str.title,
    "backwards": lambda text: text[::-1],
    "base64 backwards": lambda text: base64.b64encode(text.encode()).decode()[::-1],
    "backwards in base64": lambda text: base64.b64encode(text[::-1].encode()).decode(),
    "upper in hex": lambda text: text.upper().encode().hex(),
    "list of characters": list,
    "list of pieces": lambda text: [text[at : at + 5] for at in range(0, len(text), 5)],
    "object of pieces": lambda text: {f"part{at}": text[at : at + 7] for at in range(0, len(text), 7)},
    "joined with commas": ", ".join,
    "key of an object": lambda text: {text: 1},
    "deep inside": lambda text: [[{"a": {"b": [text]}}]],
    "first 12": lambda text: text[:12],
    "last 12": lambda text: text[-12:],
    "cut short": lambda text: text[:20] + "...",
    "a part in base64": lambda text: base64.b64encode(text[4:24].encode()).decode(),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=list(ENCODINGS))
def test_token_is_masked_in_every_form(encode: Callable[[str], Any]) -> None:
    shown = Masker([TOKEN]).mask({"before": "hello", "value": encode(TOKEN), "after": 7})

    assert MASK in json.dumps(shown, ensure_ascii=False)
    assert leaks(TOKEN, json.dumps(shown, ensure_ascii=False)) == []
    assert (shown["before"], shown["after"]) == ("hello", 7)


@pytest.mark.parametrize(
    "encode", [ENCODINGS[name] for name in ("raw", "percent", "HTML", "JSON", "base64", "hex", "upper", "backwards")]
)
def test_token_of_a_link_is_masked_in_every_form(encode: Callable[[str], Any]) -> None:
    shown = Masker([TOKEN]).mask([f"Click {encode(LINK)} now"])

    assert leaks(TOKEN, shown[0]) == []
    assert shown[0].startswith("Click ")
    assert shown[0].endswith(" now")


def test_link_keeps_its_front() -> None:
    assert Masker([TOKEN]).mask(LINK) == f"https://flows.example.com/verify-email?token={MASK}"


@pytest.mark.parametrize(
    "value",
    ["", "hello " * 1000, TOKEN[:8], 7, None, [True, 1.5, {"a": ["b"]}], "ünïcödé \ud800", {"token": TOKEN[10:18]}],
    ids=["empty", "long", "8 characters", "number", "null", "nested", "odd characters", "8 inside"],
)
def test_value_without_a_secret_is_the_same_object(value: Any) -> None:
    masker = Masker([TOKEN])

    assert masker.mask(value) is value
    assert not masker.finds(value)


def test_no_secrets_mask_nothing() -> None:
    value = {"token": TOKEN}

    assert Masker(()).mask(value) is value


def test_two_keys_that_are_masked_stay_two() -> None:
    assert Masker([TOKEN]).mask({TOKEN: 1, TOKEN.upper(): 2}) == {MASK: 1, f"{MASK} 2": 2}


@pytest.mark.parametrize(
    ("password", "text", "shown"),
    [
        ("correct horse 1", "it is Correct Horse 1!", f"it is {MASK}!"),
        ("pä$$ wörd1", "as p%C3%A4%24%24+w%C3%B6rd1.", f"as {MASK}."),
        ("pä$$ wörd1", "as pä$$ wörd1.", f"as {MASK}."),
        ("🔑🔑🔑🔑🔑🔑🔑a1", "🔑🔑🔑🔑🔑🔑🔑a1 and 🔑", f"{MASK} and 🔑"),
        ("abc1", "abc1", MASK),
        ("abc1", "abc123", "abc123"),
    ],
    ids=["case", "percent", "raw", "emoji", "short and alone", "short inside"],
)
def test_password_is_masked(password: str, text: str, shown: str) -> None:
    assert Masker([password]).mask(text) == shown


words = st.text(max_size=40)
tokens = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", min_size=43, max_size=43)


@given(tokens, words, words, st.sampled_from(sorted(ENCODINGS)), st.data())
@settings(max_examples=300, deadline=None)
def test_any_token_between_any_text(token: str, before: str, after: str, encoding: str, data: st.DataObject) -> None:
    if sum(char.isalnum() for char in token) < 30:  # a random token has more: this is 1 of 10^8
        return
    encoded = ENCODINGS[encoding](token)
    value = [before, before + encoded + after] if isinstance(encoded, str) else [before, encoded, after]

    shown = json.dumps(Masker([token]).mask(value), ensure_ascii=False)

    assert [leak for leak in leaks(token, shown) if not _is_outside(leak, before, after)] == []


def _is_outside(leak: str, before: str, after: str) -> bool:
    part = leak.partition(": ")[2].strip("'\"")
    return part in before or part in after


@pytest.mark.parametrize("secret", ["a" * 4_000 + "1", "ab" * 2_000 + "1", "1" * 120 + "a"])
def test_secret_that_repeats_itself_takes_no_longer_than_others(secret: str) -> None:  # it took hours
    text = secret * (100_000 // len(secret))

    assert Masker([secret]).mask({"text": text, "other": "b" * 1_000}) == {"text": MASK, "other": "b" * 1_000}


@pytest.mark.parametrize("name", ["raw", "percent", "HTML", "JSON", "base64", "base64 after one byte", "hex", "upper"])
def test_long_secret_is_masked_in_the_usual_encodings(name: str) -> None:
    secret = "".join(f"{number:x}-&Q" for number in range(1_000, 1_400))

    shown = Masker([secret]).mask({"text": f"before {ENCODINGS[name](secret)} after"})

    assert leaks(secret, json.dumps(shown)) == []


def test_part_of_a_password_is_shown() -> None:
    masker = Masker(["christopher 1987", TOKEN])

    assert masker.mask("christopher@example.com was born in 1987") == "christopher@example.com was born in 1987"
    assert masker.mask(f"Christopher-1987 has {TOKEN[5:21]}") == f"{MASK} has {MASK}"
    assert masker.mask(["chris", "topher", "1987"]) != ["chris", "topher", "1987"]
