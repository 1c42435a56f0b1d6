"""What the user triggers share: the payload of ``auth.…`` events. Those with a token add it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from nodes.spec import Output, Params

SAMPLE: dict[str, Any] = {
    "userId": "fa02e4bb-405d-4c20-97c8-060b756a890e",
    "email": "ada@example.com",
    "emailVerified": True,
    "roles": ["customer"],
}
TOKEN = "Sample-token-that-opens-nothing_0123456789a"  # noqa: S105 - as long as a real one


class UserEventParams(Params):
    pass


class UserEventPayload(Output):
    # NOTE: published names, the same as in backend/events.py; tests/test_nodes.py compares them
    userId: UUID = Field(title="User id", description="The user's id.")
    email: str = Field(title="Email", description="The user's address.")
    emailVerified: bool = Field(title="Email verified", description="Whether the user has shown that it is theirs.")
    roles: list[str] = Field(title="Roles", description="The names of the user's roles.")


def link(page: str) -> str:
    """Return the sample's link to a hosted page."""
    return f"https://app.example.com/{page}?token={TOKEN}"
