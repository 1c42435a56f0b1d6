"""Ids of events: UUIDs of version 7, which begin with the time.

Ids in the order of time stay close together in an index: with a million events kept, one more touches pages that the
last one touched, where an id by chance alone would touch a page of its own in each of two indexes.
"""

from __future__ import annotations

import os
import time

VERSION_7 = 7 << 76  # RFC 9562, 5.7: 48 bits of milliseconds, the version, 12 bits, the variant, 62 bits
VARIANT = 2 << 62
BY_CHANCE = ~(0xF << 76 | 3 << 62)
CHANCE_BYTES = 10
FETCHED = 256  # asking the system costs more than all the rest
_chances: list[bytes] = []
os.register_at_fork(after_in_child=_chances.clear)


def new_id() -> str:
    """Return an id that no other event has; 74 of its bits are by chance."""
    try:
        chance = _chances.pop()
    except IndexError:
        fetched = os.urandom(CHANCE_BYTES * FETCHED)
        chance, *more = [fetched[at : at + CHANCE_BYTES] for at in range(0, len(fetched), CHANCE_BYTES)]
        _chances.extend(more)
    bits = int.from_bytes(chance, "big") & BY_CHANCE
    text = f"{(time.time_ns() // 1_000_000) << 80 | VERSION_7 | VARIANT | bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
