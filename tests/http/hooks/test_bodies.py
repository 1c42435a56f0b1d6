"""How the bodies of webhooks are read: the content type decides, and what is odd is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from runtime import limits
from runtime.errors import RuntimeFault
from runtime.http import hook_forms
from runtime.http.hook_bodies import body_of, fields_of

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
HEAD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        (b'{"a": [1, null, "\xc3\xa4"]}', "application/json", {"a": [1, None, "ä"]}),
        (b'{"a": 1}', "application/vnd.api+json; charset=utf-8", {"a": 1}),
        (b"[1]", "Application/JSON", [1]),
        (b'"text"', "application/json", "text"),
        (b"null", "application/json", None),
        (b"", "application/json", None),
        (b"", "", None),
        (b"a=1&a=2&b=%C3%A4+x&c", FORM, {"a": ["1", "2"], "b": "ä x", "c": ""}),
        (b"a=%00", FORM, {"a": "\x00"}),
        ("grün".encode(), "text/plain", "grün"),
        ("grün".encode("latin-1"), "text/plain; charset=iso-8859-1", "grün"),
        (b"<a/>", "application/xml", "<a/>"),
        (b"<a/>", "application/soap+xml; charset=utf-8", "<a/>"),
        (b'{"a": 1}', "text/plain", '{"a": 1}'),
    ],
    ids=str,
)
def test_content_type_decides_how_a_body_is_read(content: bytes, content_type: str, expected: Any):
    assert body_of(content, {"content-type": content_type}) == expected


def test_form_with_files_brings_its_files():
    photo = bytes(range(256)) * 300
    parts = [
        b'Content-Disposition: form-data; name="photo"; filename="../../\xc3\xa4.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + photo,
        b'Content-Disposition: form-data; name="note"\r\n\r\ngr\xc3\xbcn',
        b'Content-Disposition: form-data; name="note"\r\n\r\n',
    ]
    raw = b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"

    assert body_of(raw, {"content-type": MULTIPART}) == {
        "photo": {
            "filename": "../../ä.png",
            "content_type": "image/png",
            "size": len(photo),
            "content_base64": base64.b64encode(photo).decode(),
        },
        "note": ["grün", ""],
    }


@pytest.mark.parametrize(
    "upload",
    [
        {"files": {"photo": {"filepath": "/etc/passwd", "originalFilename": "x", "mimetype": "text/plain"}}},
        {"photo": {"path": "/etc/passwd", "href": "file:///etc/passwd"}},
        {"photo": {"filename": "x", "content_type": "text/plain", "size": 3, "content_base64": "/etc/passwd"}},
    ],
)
def test_json_that_pretends_to_be_an_upload_is_plain_data(upload: dict[str, Any]):
    assert body_of(json.dumps(upload).encode(), {"content-type": "application/json"}) == upload


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b'{"a": 1', "application/json", 400, "json.invalid"),
        (b'{"a": 1, "a": 2}', "application/json", 422, "json.key_duplicate"),
        (b'{"a": NaN}', "application/json", 422, "json.number_range"),
        (b'{"a": 1e999}', "application/json", 422, "json.number_range"),
        (b'{"a": 99999999999999999999}', "application/json", 422, "json.number_range"),
        (b'{"a": "\\ud800"}', "application/json", 422, "json.text_invalid"),
        (b'{"a": "\xff"}', "application/json", 400, "json.invalid"),
        (nested(limits.PAYLOAD_DEPTH), "application/json", 422, "json.too_deep"),
        (nested(100_000), "application/json", 422, "json.too_deep"),
        (json.dumps(dict.fromkeys(map(str, range(20_001)))).encode(), "application/json", 422, "json.too_many_keys"),
        (b"--x\r\n", "application/json", 400, "json.invalid"),
        (b'{"a": 1}', "", 415, "body.type_unknown"),
        (b'{"a": 1}', "application/octet-stream", 415, "body.type_unknown"),
        (b'{"a": 1}', "image/png", 415, "body.type_unknown"),
        (b'{"a": 1}', "json", 415, "body.type_unknown"),
        (b'{"a": 1}', "text", 415, "body.type_unknown"),
        (b"a=%FF", FORM, 400, "form.not_utf8"),
        (b"&".join([b"a=1"] * 1_001), FORM, 400, "form.too_many_fields"),
        (b"\xff", "text/plain", 400, "body.not_text"),
        (b"a", "text/plain; charset=nonsense", 400, "body.not_text"),
        (b"a", "text/plain; charset=idna", 400, "body.not_text"),
        (b"\\ud800", "text/plain; charset=unicode_escape", 400, "body.not_text"),
        (b"\x00\xd8", "text/plain; charset=utf-16-le", 400, "body.not_text"),
        (b"{}", "multipart/form-data", 400, "form.invalid"),
        (b"{}", MULTIPART, 400, "form.invalid"),
        (HEAD + b"1", MULTIPART, 400, "form.invalid"),
        (HEAD + b"1\r\n--x\r\n", MULTIPART, 400, "form.invalid"),
        (HEAD + b"\xff\r\n--x--\r\n", MULTIPART, 400, "form.invalid"),
        (b"--x\r\nA: b\r\n\r\n1\r\n--x--\r\n", MULTIPART, 400, "form.invalid"),
        ((HEAD + b"\r\n") * 1_001 + b"--x--", MULTIPART, 400, "form.invalid"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_hostile_body_is_refused(content: bytes, content_type: str, status: int, code: str):
    with pytest.raises(RuntimeFault) as refused:
        body_of(content, {"content-type": content_type})

    assert (refused.value.status, refused.value.problems[0].code) == (status, code)


def test_body_that_is_packed_is_refused():
    with pytest.raises(RuntimeFault) as refused:
        body_of(b"{}", {"content-type": "application/json", "content-encoding": "gzip"})

    assert refused.value.status == 415


def test_boundary_is_none_that_two_readers_could_read_differently():
    for boundary in ("", "x" * 71, "a\tb", "a ", '"a', "ä"):
        with pytest.raises(RuntimeFault):
            body_of(HEAD + b"1\r\n--x--\r\n", {"content-type": f"multipart/form-data; boundary={boundary}"})


@pytest.mark.parametrize("filler", [b"\r\n--", b"\r", b"-"], ids=["ends", "returns", "dashes"])
def test_form_full_of_half_boundaries_is_read(filler: bytes):
    text = filler * (limits.WEBHOOK_BYTES // len(filler))

    assert body_of(HEAD + text + b"\r\n--x--\r\n", {"content-type": MULTIPART}) == {"a": text.decode()}


def test_form_that_takes_too_long_to_read_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hook_forms, "PARSE_S", 0.0)

    with pytest.raises(RuntimeFault, match="too long"):
        body_of(HEAD + b"1\r\n--x--\r\n", {"content-type": MULTIPART})


def test_fields_of_a_query_are_those_of_a_form():
    assert fields_of("a=1&a=2&b=%20&c") == {"a": ["1", "2"], "b": " ", "c": ""}
