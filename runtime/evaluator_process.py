"""The process in which expressions are evaluated that could take much: ``python -m runtime.evaluator_process``.

It answers one question at a time over the socket that it has as its standard input: *what is written* (JSON text, see
``expressions.made``), the *names* that it reads, and how many of the values in them have expired. It may ask for so
much memory and no more, and the kernel ends it when an evaluation computes for too long, or when nobody is left to
read the answer. What it has compiled is kept.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeAlias

import orjson

from runtime import access, limits
from runtime.errors import ExpressionError
from runtime.expressions import Value, made
from runtime.scope import Scope

Json: TypeAlias = Any
LENGTH_BYTES = 4
NO_MEMORY = 4  # exit status when not even the question could be read
KEPT = 512  # values that were compiled
KEPT_CHARS = 20_000  # a longer one is compiled each time
LONG_BYTES = 1_000_000
BLOATED_BYTES = 64 * 1024 * 1024  # beyond what it has at the start; then it is replaced


def main() -> int:
    """Answer until the other end is closed; return the exit status."""
    _answer(orjson.dumps(["value", "{{ [1] | map('string') | join }}", []]).decode(), {}, "")  # loads what it needs
    mark = sys.argv[1] if len(sys.argv) > 1 else ""
    size = _Size()
    size.limit()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=0) as link:
        _send(link, ["ready", None, False])
        while (question := _receive(link)) is not None:
            written, names, expired = question
            _set_timers(limits.EXPRESSION_S, limits.EXPRESSION_WALL_S + 1)
            value, fault = _answer(written, names, mark if expired else "")
            _set_timers(0, 0)
            is_last = size.is_bloated() or (fault is not None and fault[0] == "expression.too_much_memory")
            try:
                _send(link, [value, fault, is_last])
            except TypeError:
                _send(link, [None, ("expression.result", _NO_JSON, None, ()), is_last])
            if is_last:
                break
    return 0


_NO_JSON = "The expression gives something that is not a JSON value."
_NO_MEMORY = "The expression needs too much memory; make it smaller."


def _answer(written: str, names: dict[str, Json], mark: str) -> tuple[Json, tuple[Any, ...] | None]:
    try:
        value = _made(written) if len(written) <= KEPT_CHARS else _made.__wrapped__(written)
        return value.evaluate(Scope(**(_opened(names, mark) if mark else names))), None
    except ExpressionError as error:
        return None, (error.code, error.message, error.position, error.path)
    except MemoryError:
        return None, ("expression.too_much_memory", _NO_MEMORY, None, ())
    except RecursionError:
        return None, ("expression.too_deep", "The values are nested too deeply for an expression.", None, ())


@lru_cache(maxsize=KEPT)
def _made(written: str) -> Value:
    return made(*orjson.loads(written))


def _opened(value: Json, mark: str) -> Json:
    """Return *value* with what stands for something that has expired as that again."""
    if isinstance(value, dict):
        if len(value) == 1 and mark in value:
            return access.told_as_expired(value[mark])
        return {key: _opened(entry, mark) for key, entry in value.items()}
    return [_opened(entry, mark) for entry in value] if isinstance(value, list) else value


class _Size:
    """How much memory this process has: of addresses, and really; not known everywhere."""

    def __init__(self) -> None:
        try:
            self._file = os.open("/proc/self/statm", os.O_RDONLY)
        except OSError:
            self._file = -1
        self._at_start = self._now()

    def limit(self) -> None:
        """Let an allocation fail that goes beyond what an evaluation may ask for."""
        if self._file >= 0:
            most = self._at_start[0] + limits.EXPRESSION_MEMORY_BYTES
            resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def is_bloated(self) -> bool:
        """Return whether so much is still held after an evaluation that the next one would have too little."""
        return self._now()[1] - self._at_start[1] > BLOATED_BYTES

    def _now(self) -> tuple[int, int]:
        if self._file < 0:
            return 0, 0
        addresses, resident = os.pread(self._file, 100, 0).split()[:2]
        return int(addresses) * resource.getpagesize(), int(resident) * resource.getpagesize()


def _set_timers(computing_s: float, wall_s: float) -> None:
    """Let the kernel end this process after so much time, whatever it is doing then; 0: not any more."""
    signal.setitimer(signal.ITIMER_PROF, computing_s)
    signal.setitimer(signal.ITIMER_REAL, wall_s)


def _receive(link: socket.socket) -> Any:
    try:
        head = _read(link, LENGTH_BYTES)
        body = None if head is None else _read(link, int.from_bytes(head, "big"))
        if body is None:
            return None
        return orjson.loads(body) if len(body) < LONG_BYTES else json.loads(body)  # slower, and bears to have no memory
    except MemoryError:
        os._exit(NO_MEMORY)  # at once: whoever asked looks at the status when the connection ends


def _read(link: socket.socket, length: int) -> bytearray | None:
    body = bytearray(length)
    view, at = memoryview(body), 0
    while at < length:
        try:
            count = link.recv_into(view[at:])
        except OSError:
            return None
        if not count:
            return None
        at += count
    return body


def _send(link: socket.socket, message: Any) -> None:
    body = orjson.dumps(message)
    with suppress(OSError):  # nobody is there any more; the next read says so
        link.sendall(len(body).to_bytes(LENGTH_BYTES, "big") + body)


if __name__ == "__main__":
    sys.exit(main())
