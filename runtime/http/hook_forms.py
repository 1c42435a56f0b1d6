"""Multipart forms of webhooks: their fields as text, their files in Base64. Nothing is written to a disk."""

from __future__ import annotations

import base64
import re
import time
from typing import Any, TypeAlias

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from runtime import limits
from runtime.errors import BadRequest, Problem

Json: TypeAlias = Any

BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046 5.1.1
SLICE_BYTES = 65_536
PARSE_S = 5.0  # a body that is made to be slow to read


def parts_of(raw: bytes, boundary: str) -> list[tuple[str, Json]]:
    """Return the parts of a form by their names, in order. Raises BadRequest."""
    if BOUNDARY.fullmatch(boundary) is None:
        raise _invalid("names no boundary between its parts")
    reader = _Reader(boundary)
    until = time.monotonic() + PARSE_S
    try:
        for start in range(0, len(raw), SLICE_BYTES):
            reader.read(raw[start : start + SLICE_BYTES])
            if time.monotonic() > until:
                raise _invalid("takes too long to read")
    except FormParserError as error:
        raise _invalid("is not written as one") from error
    if not reader.is_complete:
        raise _invalid("breaks off before its end")
    return reader.parts


class _Reader:
    def __init__(self, boundary: str) -> None:
        self.parts: list[tuple[str, Json]] = []
        self.is_complete = False
        self._headers: dict[str, str] = {}
        self._name, self._value, self._content = bytearray(), bytearray(), bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
                "on_part_end": self._end_part,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_end": self._end,
            },
        )

    def read(self, data: bytes) -> None:
        self._parser.write(data)

    def _begin(self) -> None:
        if len(self.parts) >= limits.WEBHOOK_FIELDS:
            raise _invalid(f"has more than {limits.WEBHOOK_FIELDS:,} parts")
        self._headers, self._content = {}, bytearray()

    def _end_header(self) -> None:
        self._headers[_text(self._name).lower()] = _text(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _end_part(self) -> None:
        _kind, options = parse_options_header(self._headers.get("content-disposition", "").encode("utf-8"))
        if b"name" not in options:
            raise _invalid("has a part without a name")
        # the parser has read the header as latin-1, byte by byte
        name, filename = _text(options[b"name"]), options.get(b"filename")
        content = bytes(self._content)
        self.parts.append((name, _text(content) if filename is None else self._file(_text(filename), content)))

    def _file(self, filename: str, content: bytes) -> dict[str, Json]:
        return {
            "filename": filename,
            "content_type": self._headers.get("content-type", "application/octet-stream"),
            "size": len(content),
            "content_base64": base64.b64encode(content).decode(),
        }

    def _end(self) -> None:
        self.is_complete = True


def _text(raw: bytes | bytearray) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _invalid("holds characters that are not UTF-8") from error


def _invalid(what: str) -> BadRequest:
    return BadRequest(Problem("form.invalid", f"The multipart form {what}."))
