"""What an HTTP answer is turned into: unpacked within a limit, headers as plain text."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from nodes.spec import NodeError


def unpacked(body: bytes, encoding: str, host: str, limit_bytes: int) -> bytes:
    """Return *body* without its ``Content-Encoding``, stopping as soon as it grows beyond the limit.

    Raises NodeError ``http.answer_too_large``, or ``http.answer_invalid`` for another packing, a wrong or a cut one.
    """
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise bad_answer(host, "is packed in a way that was not asked for")
    is_raw = encoding == "deflate" and body[0] & 0x0F != zlib.DEFLATED  # the header of RFC 1950 was left out
    window = -zlib.MAX_WBITS if is_raw else zlib.MAX_WBITS | 32
    whole = bytearray()
    rest = body
    try:
        while rest:  # a gzip file may have several members
            unpacker = zlib.decompressobj(window)
            whole += unpacker.decompress(rest, limit_bytes + 1 - len(whole))
            if len(whole) > limit_bytes:
                raise too_large(host, limit_bytes)
            if not unpacker.eof:
                raise bad_answer(host, "is packed and ends too early")
            rest = unpacker.unused_data
    except zlib.error as error:
        raise bad_answer(host, "is not packed as it says") from error
    return bytes(whole)


def joined(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by name in lower case, repeated ones joined with a comma, as text that JSON can carry."""
    headers: dict[str, str] = {}
    for name, value in items:
        if not value.isascii():  # bytes that were no UTF-8 arrive as lone surrogates
            value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def too_large(host: str, limit_bytes: int) -> NodeError:
    message = f"The answer of “{host}” is larger than {limit_bytes:,} bytes."
    return NodeError(message, code="http.answer_too_large", param="url")


def bad_answer(host: str, fault: str) -> NodeError:
    return NodeError(f"The answer of “{host}” {fault}.", code="http.answer_invalid", param="url")
