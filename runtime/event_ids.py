"""Ids of events: UUIDs of version 7, which begin with the time.

Ids in the order of time stay close together in an index: with a million events kept, one more touches pages that the
last one touched, where an id by chance alone would touch a page of its own in each of two indexes.
"""

from __future__ import annotations

import secrets
import time
from uuid import UUID

VERSION_7 = 7 << 76  # RFC 9562, 5.7: 48 bits of milliseconds, the version, 12 bits, the variant, 62 bits
VARIANT = 2 << 62
BY_CHANCE = ~(0xF << 76 | 3 << 62)


def new_id() -> str:
    """Return an id that no other event has; 74 of its bits are by chance."""
    return str(UUID(int=(time.time_ns() // 1_000_000) << 80 | VERSION_7 | VARIANT | secrets.randbits(80) & BY_CHANCE))
