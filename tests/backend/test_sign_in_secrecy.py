"""What is handed out to be used like a password is nowhere on the disk."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.events import EmailVerificationRequested, Event, PasswordResetRequested
from runtime.service import Service

WINDOW = 12  # bytes of a text that are enough to find it by


def encoded(text: str) -> Iterator[bytes]:
    """Give the ways in which a token may be written down, without what depends on its neighbours."""
    raw = text.encode()
    yield from (raw, raw[::-1], raw.lower(), raw.upper(), raw.hex().encode(), raw.hex().upper().encode())
    yield text.encode("utf-16-le")
    decoded = base64.urlsafe_b64decode(f"{text}=")
    yield from (decoded, decoded.hex().encode(), decoded.hex().upper().encode(), base64.b64encode(decoded))
    for shift in range(3):
        padded = b"\0" * shift + raw
        yield base64.b64encode(padded)[4:-4]
        yield base64.urlsafe_b64encode(padded)[4:-4]


def found_on_disk(folder: Path, texts: list[str]) -> set[bytes]:
    """Return the beginnings of what was found of *texts* in any file."""
    wanted = {form[:WINDOW] for text in texts for form in encoded(text)}
    stored = b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    return {part for start in range(len(stored)) if (part := stored[start : start + WINDOW]) in wanted}


async def test_none_of_a_thousand_tokens_is_in_the_database(
    service: Service, fired: list[Event], settings: Any
) -> None:
    with service.database.write() as session:
        for number in range(500):
            user = service.users.create_in(session, f"user{number}@example.com")
            service.users.request_verification_in(session, user.id)
            service.users.request_reset_in(session, user.id)

    tokens = [event.token for event in fired if isinstance(event, EmailVerificationRequested | PasswordResetRequested)]

    assert len({*tokens}) == 1_000
    assert found_on_disk(settings.data_dir, tokens) == set()
    with service.database.write() as session:  # what is there is found, or the search is worth nothing
        service.users.create_in(session, "anna@example.com", first_name=tokens[0])
    assert found_on_disk(settings.data_dir, tokens) != set()


async def test_no_password_and_no_session_token_is_in_the_database(service: Service, settings: Any) -> None:
    password = "my own 1 and only password"
    service.users.create("anna@example.com", password=password)
    texts = [password]
    for _ in range(20):
        tokens = await service.sign_in.sign_in("anna@example.com", password, address="192.0.2.1", with_csrf=True)
        new = service.sessions.refresh(tokens.refresh, with_csrf=True, csrf=tokens.csrf)
        texts += [tokens.access, tokens.refresh, new.access, new.refresh, str(new.csrf)]

    plain = {text.encode()[:WINDOW] for text in texts}
    stored = b"\0".join(path.read_bytes() for path in settings.data_dir.rglob("*") if path.is_file())

    assert [start for start in plain if start in stored] == []
