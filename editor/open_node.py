"""The node that a panel is about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class OpenNode:
    """Shared by the parts of one panel; *id* becomes another one when the node gets another id."""

    id: str
