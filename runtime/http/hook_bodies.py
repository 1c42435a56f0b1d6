"""The body of a webhook's request as JSON: its content type, and nothing in it, decides how it is read.

A file is what the parser of multipart forms found in one; JSON that looks like a file stays plain data.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from email.message import Message
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from runtime import limits, strictjson
from runtime.errors import BadRequest, Invalid, Problem, RuntimeFault
from runtime.http.hook_forms import parts_of

Json: TypeAlias = Any

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
TEXTS = frozenset({"application/xml", "application/x-ndjson", "application/graphql", "application/javascript"})
CHARSETS = frozenset(  # as Python calls them; others are slow, or make characters that are none
    {
        *("utf-8", "utf-8-sig", "ascii", "utf-16", "utf-16-le", "utf-16-be", "shift_jis", "euc_jp", "euc_kr"),
        *("gb2312", "gbk", "gb18030", "big5", "koi8-r", "koi8-u"),
        *(f"iso8859-{number}" for number in range(1, 17)),
        *(f"cp125{number}" for number in range(9)),
    }
)


class Unsupported(RuntimeFault):
    """The body is of a kind that is not read here."""

    status = 415


def body_of(raw: bytes, headers: Mapping[str, str]) -> Json:
    """Return a body as JSON, None when there is none.

    Raises BadRequest, Invalid or Unsupported, whose messages hold nothing of the body.
    """
    if not raw:
        return None
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Unsupported(Problem("body.encoding_unknown", "Send the body as it is, without a content encoding."))
    content_type = headers.get("content-type", "")
    if content_type == JSON:
        return _json(raw)
    header = Message()
    header["content-type"] = content_type
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON or (kind.startswith("application/") and kind.endswith("+json")):
        return _json(raw)
    if kind == FORM:
        return fields_of(_text(raw, "utf-8"))
    if kind == MULTIPART:
        return _gathered(parts_of(raw, header.get_boundary("")))
    if kind.startswith("text/") or kind in TEXTS or kind.endswith("+xml"):
        return _text(raw, header.get_content_charset("utf-8"))
    message = "Send JSON, a form or text, and say which with the header “Content-Type”."
    raise Unsupported(Problem("body.type_unknown", message))


def fields_of(text: str) -> dict[str, Json]:
    """Return the fields of a form or a query; a name that comes more than once has a list. Raises BadRequest."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=limits.WEBHOOK_FIELDS)
    except UnicodeDecodeError as error:
        raise BadRequest(Problem("form.not_utf8", "The form or query holds characters that are not UTF-8.")) from error
    except ValueError as error:
        message = f"The form or query has more than {limits.WEBHOOK_FIELDS:,} fields."
        raise BadRequest(Problem("form.too_many_fields", message)) from error
    return _gathered(pairs)


def _json(raw: bytes) -> Json:
    # the payload is one level above the body
    value, fault = strictjson.read(raw, depth=limits.PAYLOAD_DEPTH - 1, keys=limits.PAYLOAD_KEYS)
    if fault is None:
        return value
    problem = Problem(f"json.{fault.code.removeprefix('json_')}", f"The body {fault.message}.")
    raise (BadRequest if fault.code == "json_invalid" else Invalid)(problem)


def _text(raw: bytes, charset: str) -> str:
    try:
        if codecs.lookup(charset).name in CHARSETS:
            return raw.decode(charset)
    except (LookupError, ValueError):
        pass
    message = "The body is not text in the character set that its content type names; without one, in UTF-8."
    raise BadRequest(Problem("body.not_text", message))


def _gathered(pairs: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, list[Json]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
