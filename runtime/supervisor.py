"""Starts the web process and the engine process, starts a dead one again, and ends both when it ends itself.

Run as ``python -m runtime.supervisor``; uses the standard library only, so that it is small and starts at once.
A child holds the reading end of a pipe: when the supervisor dies, even by kill -9, the pipe closes and the child ends.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import NoReturn

NAMES = ("engine", "web")
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 5.0
STEADY_S = 10.0  # a child that lived this long starts again at once
GRACE_S = 35.0  # the engine gives running steps 30 s
REFUSED = 3  # exit status of a child that must not be started again: what it found will not pass by itself
LIFELINE = "PULSEWIRE_LIFELINE"  # environment variable: the pipe's descriptor in a child


class Child:
    """One supervised process."""

    def __init__(self, name: str, arguments: Sequence[str], lifeline: int) -> None:
        self.name = name
        self._arguments = arguments
        self._lifeline = lifeline
        self._failures = 0
        self.start_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._started_at = time.monotonic()
        command = [sys.executable, "-m", "runtime.supervisor", "--child", self.name, *self._arguments]
        environment = {**os.environ, LIFELINE: str(self._lifeline)}
        # a session of its own: a Ctrl-C of the terminal reaches the supervisor, which tells the children
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, env=environment, pass_fds=[self._lifeline], start_new_session=True
        )

    def has_died(self) -> int | None:
        """Return the exit status when the child has just died, and plan its next start."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        self.process = None
        lived_s = time.monotonic() - self._started_at
        self._failures = 0 if lived_s > STEADY_S else self._failures + 1
        delay_s = min(FIRST_DELAY_S * 2 ** max(self._failures - 1, 0), LONGEST_DELAY_S)
        self.start_at = time.monotonic() + delay_s
        return status

    def tell(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)


def main(arguments: Sequence[str] = ()) -> int:
    """Run until a signal; return the exit status. *arguments* are handed to both children."""
    asked = {"stop": 0}
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)

    def stop(_number: int, _frame: object) -> None:
        asked["stop"] += 1

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the loop below
    lifeline, _held = os.pipe()  # the writing end stays open here, and only here
    children = [Child(name, arguments, lifeline) for name in NAMES]
    try:
        while not asked["stop"]:
            if (status := _look_after(children)) is not None:
                _end(children, asked)
                return status
            select.select([wake_read], [], [], _pause_s(children))
            _drain(wake_read)
        return _end(children, asked)
    finally:
        for child in children:
            child.tell(signal.SIGKILL)


def _look_after(children: list[Child]) -> int | None:
    """Start what is due; return an exit status when there is no use in going on."""
    for child in children:
        status = child.has_died()
        if status == REFUSED:
            return REFUSED
        if status is not None:
            with contextlib.suppress(OSError):  # the log's disk may be what is full
                print(f"pulsewire: the {child.name} process ended ({status}) and is started again", file=sys.stderr)
        if child.process is None and time.monotonic() >= child.start_at:
            child.start()
    return None


def _pause_s(children: list[Child]) -> float | None:
    due = [child.start_at - time.monotonic() for child in children if child.process is None]
    return max(0.0, min(due)) if due else None


def _end(children: list[Child], asked: dict[str, int]) -> int:
    """Let the children end in peace; a second signal ends them at once."""
    for child in children:
        child.tell(signal.SIGTERM)
    until = time.monotonic() + GRACE_S
    while any(child.process is not None and child.process.poll() is None for child in children):
        if asked["stop"] > 1 or time.monotonic() > until:
            for child in children:
                child.tell(signal.SIGKILL)
        time.sleep(0.02)
    return 0


def _drain(descriptor: int) -> None:
    if select.select([descriptor], [], [], 0)[0]:
        os.read(descriptor, 1024)


def _hold_lifeline() -> None:
    """In a child: end when the supervisor is gone, in peace if that takes less than the grace."""
    descriptor = int(os.environ.pop(LIFELINE))

    def watch() -> None:
        os.read(descriptor, 1)  # nothing is ever written: this returns at the end of the file
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(2)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _child(name: str, arguments: list[str]) -> NoReturn:
    _hold_lifeline()
    sys.argv = ["pulsewire", *(["web"] if name == "web" else []), *arguments]
    module = importlib.import_module("runtime.worker" if name == "engine" else "runtime.cli")
    sys.exit(module.main())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], sys.argv[3:])
    sys.exit(main(sys.argv[1:]))
