"""Starts the web process and the engine process, starts a dead one again, and ends both when it ends itself.

Run as ``python -m runtime.supervisor``; uses the standard library only, so that it is small and starts at once.
A child holds the reading end of a pipe: when the supervisor dies, even by kill -9, the pipe closes and the child ends.
It writes into another one every second: when it is silent, it is stopped or frozen, and is killed and started again.
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
LAST_S = 2.0  # what a child has left when the supervisor is gone
BEAT_S = 1.0
SILENCE_S = 10.0  # a child that is silent for longer is killed; as long as an engine's lease
BOOT_S = 30.0  # until a child's first beat
LATE_S = 3.0  # a look at the children that comes later than this came after a sleep of the supervisor's own
REFUSED = 3  # exit status of a child that must not be started again: what it found will not pass by itself
LIFELINE = "PULSEWIRE_LIFELINE"  # environment variable: the descriptors of both pipes in a child


class Child:
    """One supervised process."""

    def __init__(self, name: str, arguments: Sequence[str], lifeline: int) -> None:
        self.name = name
        self._arguments = arguments
        self._lifeline = lifeline
        self._failures = 0
        self._beats = -1
        self._heard_at = 0.0
        self.start_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._started_at = time.monotonic()
        command = [sys.executable, "-m", "runtime.supervisor", "--child", self.name, *self._arguments]
        self._beats, beat = os.pipe()
        os.set_blocking(self._beats, False)
        self._heard_at = self._started_at + BOOT_S - SILENCE_S
        environment = {**os.environ, LIFELINE: f"{self._lifeline},{beat}"}
        # a session of its own: a Ctrl-C of the terminal reaches the supervisor, which tells the children
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, env=environment, pass_fds=[self._lifeline, beat], start_new_session=True
        )
        os.close(beat)

    def has_died(self) -> int | None:
        """Return the exit status when the child has just died, and plan its next start."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        self.process = None
        os.close(self._beats)
        lived_s = time.monotonic() - self._started_at
        self._failures = 0 if lived_s > STEADY_S else self._failures + 1
        delay_s = min(FIRST_DELAY_S * 2 ** max(self._failures - 1, 0), LONGEST_DELAY_S)
        self.start_at = time.monotonic() + delay_s
        return status

    def is_silent(self) -> bool:
        """Return whether the child is alive and has not been heard of for too long."""
        if self.process is None:
            return False
        with contextlib.suppress(BlockingIOError):
            while os.read(self._beats, 1024):
                self._heard_at = time.monotonic()
        return time.monotonic() - self._heard_at > SILENCE_S

    def forgive(self) -> None:
        """Count the silence from now on."""
        self._heard_at = max(self._heard_at, time.monotonic())

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
            due_at = time.monotonic() + _pause_s(children)
            select.select([wake_read], [], [], max(0.0, due_at - time.monotonic()))
            if time.monotonic() > due_at + LATE_S:
                for child in children:
                    child.forgive()
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
            _say(f"the {child.name} process ended ({status}) and is started again")
        if child.is_silent():
            _say(f"the {child.name} process is stopped or frozen and is killed")
            child.tell(signal.SIGKILL)
            child.forgive()
        if child.process is None and time.monotonic() >= child.start_at:
            child.start()
    return None


def _pause_s(children: list[Child]) -> float:
    due = [child.start_at - time.monotonic() for child in children if child.process is None]
    return max(0.0, min([BEAT_S, *due]))


def _say(what: str) -> None:
    with contextlib.suppress(OSError):  # the log's disk may be what is full
        print(f"pulsewire: {what}", file=sys.stderr)


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
    """In a child: tell that it is alive, and end when the supervisor is gone, in peace if that takes not too long."""
    lifeline, beat = (int(each) for each in os.environ.pop(LIFELINE).split(","))
    os.set_blocking(beat, False)

    def watch() -> None:
        while not select.select([lifeline], [], [], BEAT_S)[0]:
            with contextlib.suppress(OSError):  # the supervisor sleeps with enough to read, or is just gone
                os.write(beat, b".")
        # nothing is ever written to the lifeline: this is its end
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_S)
        os._exit(1)

    os.write(beat, b".")
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
