"""Mail as flows send it: through the SMTP server in the settings, or into the built-in mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

from sqlmodel import Session

from backend.errors import BackendError, Fault, StorageBusy, StorageFull
from backend.mailbox import Mailbox
from backend.message import MailDelayed, MailRefused, compose
from backend.preferences import Preferences
from backend.smtp import DEADLINE_S, Smtp, deliver

__all__ = ["DEFAULT_SENDER", "MailDelayed", "MailRefused", "Mailer"]

Write: TypeAlias = Callable[[Callable[[Session], None]], Awaitable[None]]
"""Does what it is given in a transaction of whoever sends."""
DEFAULT_SENDER = "pulsewire@localhost"  # for the mailbox, which sends nothing


class Mailer:
    """Sends mail; without an SMTP server the sender is *default_sender* and the mailbox keeps it."""

    def __init__(
        self,
        preferences: Preferences,
        mailbox: Mailbox,
        default_sender: str,
        *,
        deadline_s: float = DEADLINE_S,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._preferences = preferences
        self._mailbox = mailbox
        self._default_sender = default_sender
        self._deadline_s = deadline_s
        self._clock = clock

    def preview(
        self,
        *,
        to: Sequence[str] | str,
        subject: str,
        text: str | None = None,
        html: str | None = None,
        cc: Sequence[str] | str = (),
        bcc: Sequence[str] | str = (),
        reply_to: str | None = None,
    ) -> dict[str, Any]:
        """Return the mail as it would leave; ``via`` is ``smtp`` or ``mailbox``. Raises MailRefused."""
        shown = self._preferences.smtp_view()
        sender = shown["sender"] if shown else self._default_sender
        mail = compose(sender=sender, to=to, subject=subject, text=text, html=html, cc=cc, bcc=bcc, reply_to=reply_to)
        return {
            "from": str(mail.sender),
            "to": [str(address) for address in mail.to],
            "cc": [str(address) for address in mail.cc],
            "bcc": [str(address) for address in mail.bcc],
            "reply_to": str(mail.reply_to) if mail.reply_to else None,
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "via": "smtp" if shown else "mailbox",
        }

    async def send(
        self,
        *,
        to: Sequence[str] | str,
        subject: str,
        text: str | None = None,
        html: str | None = None,
        cc: Sequence[str] | str = (),
        bcc: Sequence[str] | str = (),
        reply_to: str | None = None,
        idempotency_key: str,
        run_id: int | None = None,
        has_secret: bool = False,
        write: Write | None = None,
    ) -> tuple[str, str]:
        """Send the mail and return its Message-ID and ``smtp`` or ``mailbox``.

        *has_secret* is for the mailbox, and *write*, the transaction in which it keeps the mail; else its own.
        The Message-ID derives from *idempotency_key*, and the mailbox keeps one mail per key. Raises MailRefused
        where trying again will not help, MailDelayed where it may.
        """
        smtp = await asyncio.to_thread(self._server)
        sender = smtp.sender if smtp else self._default_sender
        mail = compose(sender=sender, to=to, subject=subject, text=text, html=html, cc=cc, bcc=bcc, reply_to=reply_to)
        message_id = mail.message_id(idempotency_key)
        source = mail.source(message_id, self._clock())
        if smtp is None:
            kept: dict[str, Any] = {
                "message_id": message_id,
                "sender": str(mail.sender),
                "recipients": mail.recipients,
                "subject": mail.subject,
                "idempotency_key": idempotency_key,
                "run_id": run_id,
                "has_secret": has_secret,
            }
            if write is None:
                await asyncio.to_thread(self._keep, source, kept)
            else:
                await write(await asyncio.to_thread(partial(self._mailbox.keeping, source, **kept)))
            return message_id, "mailbox"
        await deliver(smtp, mail.sender.addr_spec, mail.recipients, source, deadline_s=self._deadline_s)
        return message_id, "smtp"

    def _server(self) -> Smtp | None:
        try:
            return self._preferences.smtp()
        except BackendError as error:
            raise MailRefused(*error.faults) from error

    def _keep(self, source: bytes, kept: dict[str, Any]) -> None:
        try:
            self._mailbox.keep(source, **kept)
        except (StorageFull, StorageBusy) as error:
            message = f"The mailbox could not keep the mail. {error}"
            raise MailDelayed(Fault("mail.delayed", message)) from error
