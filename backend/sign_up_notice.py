"""The mail to somebody whose address was used to sign up although there is an account for it."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol
from uuid import uuid4

from backend.errors import BackendError
from backend.hosted import Hosted
from storage.errors import StorageError

SUBJECT = "You already have an account"
logger = logging.getLogger(__name__)


class Mails(Protocol):
    """What sends a mail: ``backend.mail.Mailer``."""

    async def send(self, *, to: str, subject: str, text: str, idempotency_key: str) -> tuple[str, str]: ...


class SignUpNotice:
    """Sends it beside the answer, so that who signed up cannot tell that it was sent."""

    def __init__(self, mails: Mails, base_url: str) -> None:
        self._mails = mails
        self._base_url = base_url.rstrip("/")
        self._under_way: set[asyncio.Task[None]] = set()

    def send(self, email: str, hosted: Hosted) -> None:
        """Begin to send the notice; must be called in the event loop."""
        task = asyncio.create_task(self._send(email, self._text(hosted)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def finish(self) -> None:
        """Return when everything that was begun is sent, or has failed."""
        await asyncio.gather(*self._under_way)

    async def _send(self, email: str, text: str) -> None:
        try:
            await self._mails.send(to=email, subject=SUBJECT, text=text, idempotency_key=f"sign-up-{uuid4()}")
        except (BackendError, StorageError) as error:
            logger.warning("a sign-up notice could not be sent: %s", error)

    def _text(self, hosted: Hosted) -> str:
        place = f" at {hosted.name}" if hosted.name else ""
        lines = [
            f"Somebody, perhaps you, wanted to sign up{place} with this address.",
            "There is an account for it already, so no new one was made.",
            "",
        ]
        if hosted.is_on:
            lines += [f"Sign in: {self._base_url}/login", f"Forgot the password? {self._base_url}/forgot-password", ""]
        return "\n".join([*lines, "If it was not you, there is nothing you need to do.", ""])
