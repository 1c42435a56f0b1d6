"""Handing a mail to an SMTP server, within one deadline, and telling apart what may pass from what will not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from backend.errors import Fault
from backend.message import MailDelayed, MailRefused
from storage.crash_points import crash_here

if TYPE_CHECKING:
    from aiosmtplib import SMTP

DEADLINE_S = 60.0
QUIT_S = 2.0
Tls: TypeAlias = Literal["none", "starttls", "tls"]


@dataclass(frozen=True)
class Smtp:
    """An SMTP server and how to use it; *sender* is the From of everything sent."""

    host: str
    port: int
    tls: Tls
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)


async def deliver(
    smtp: Smtp, sender: str, recipients: Sequence[str], source: bytes, *, deadline_s: float = DEADLINE_S
) -> None:
    """Hand *source* over; returns when the server has taken it for every recipient.

    Raises MailDelayed for a server that is missing, silent or busy (4xx), MailRefused for one that says no (5xx).
    """
    delivery = _Delivery(smtp)
    try:
        async with asyncio.timeout(deadline_s):
            await delivery.run(sender, recipients, source)
    except TimeoutError as error:
        raise delivery.delayed(f"did not answer within {deadline_s:g} s") from error
    finally:
        delivery.close()


class _Delivery:
    """One connection; remembers whether the mail was on its way when something broke."""

    def __init__(self, smtp: Smtp) -> None:
        import aiosmtplib  # here because a start needs none of it

        self.errors: Any = aiosmtplib.errors
        self.smtp = smtp
        self.is_handed_over = False
        self.wanted = "STARTTLS"  # the extension that the next command needs
        self.client: SMTP = aiosmtplib.SMTP(
            hostname=smtp.host,
            port=smtp.port,
            use_tls=smtp.tls == "tls",
            start_tls=smtp.tls == "starttls",
            timeout=None,  # the deadline is for all of it together
        )

    async def run(self, sender: str, recipients: Sequence[str], source: bytes) -> None:
        try:
            await self._connect()
            await self._hand_over(sender, recipients, source)
        except self.errors.SMTPResponseException as error:
            raise self._said_no(error.code) from error
        except (self.errors.SMTPServerDisconnected, self.errors.SMTPConnectError, OSError) as error:
            if _is_certificate(error):
                raise self._refused("shows a certificate that this machine does not trust") from error
            raise self.delayed("cannot be reached or closed the connection") from error
        except self.errors.SMTPException as error:  # what a command says that finds an extension missing
            raise self._refused(f"does not offer {self.wanted}") from error

    async def _connect(self) -> None:
        await self.client.connect()
        self.wanted = "a login that works here"
        if self.smtp.username:
            try:
                await self.client.login(self.smtp.username, self.smtp.password or "")
            except self.errors.SMTPAuthenticationError as error:
                if error.code < 500:
                    raise
                raise self._refused("does not accept this user name and password", "mail.login_refused") from error

    async def _hand_over(self, sender: str, recipients: Sequence[str], source: bytes) -> None:
        await self.client.mail(sender)
        refused = []
        for recipient in recipients:
            try:
                await self.client.rcpt(recipient)
            except self.errors.SMTPRecipientRefused as error:
                refused.append(error)
        if len(refused) == len(recipients):
            raise next((error for error in refused if error.code < 500), refused[0])
        self.is_handed_over = True
        crash_here("smtp.before_data")
        await self.client.data(source)
        crash_here("smtp.after_data")
        self.is_handed_over = False
        with suppress(Exception):  # it has the mail; how the goodbye goes does not matter
            async with asyncio.timeout(QUIT_S):
                await self.client.quit()
        if refused:  # trying again would send it twice to the others
            names = ", ".join(error.recipient for error in refused)
            raise self._refused(f"took the mail, but not for {names} ({refused[0].code})", "mail.recipient_refused")

    def close(self) -> None:
        self.client.close()

    def delayed(self, what: str) -> MailDelayed:
        maybe = " It may have been sent." if self.is_handed_over else ""
        message = f"The mail server {self.smtp.host}:{self.smtp.port} {what}.{maybe}"
        return MailDelayed(Fault("mail.delayed", message), is_maybe_sent=self.is_handed_over)

    def _refused(self, what: str, code: str = "mail.refused") -> MailRefused:
        return MailRefused(Fault(code, f"The mail server {self.smtp.host}:{self.smtp.port} {what}."))

    def _said_no(self, code: int) -> MailDelayed | MailRefused:
        self.is_handed_over = False  # it answered, so it did not take the mail
        if 500 <= code < 600:
            return self._refused(f"refused the mail ({code}). Check the addresses and the sender")
        return self.delayed(f"cannot take the mail now ({code})")


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
