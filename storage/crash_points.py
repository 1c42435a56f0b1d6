"""Named places before and after every commit and every effect outside, where a test can let the process die.

``PULSEWIRE_CRASH_AT=journal.before_commit:3`` ends it like kill -9 when it comes there for the third time. Unset, as it
is outside of tests, a place costs one comparison.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "PULSEWIRE_CRASH_AT"
_awaited: dict[str, int] = {}  # name -> how many more times it is passed before it is the end


def arm(text: str) -> None:
    """Choose the place and the time: ``name`` or ``name:count``."""
    name, _, count = text.partition(":")
    _awaited.clear()
    if name:
        _awaited[name] = int(count or 1)


def crash_here(name: str) -> None:
    """Die if a test has chosen this place."""
    if _awaited and name in _awaited:
        _awaited[name] -= 1
        if not _awaited[name]:
            os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get(VARIABLE, ""))
