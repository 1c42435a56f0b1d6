"""Building one mail: addresses that are exactly one, headers on one line, text and HTML as alternatives."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from backend.errors import BackendError, Fault

RECIPIENTS = 100
ADDRESS_CHARS = 500  # with its display name
LOCAL_CHARS = 64  # RFC 5321
SUBJECT_CHARS = 900  # a line has at most 998 bytes (RFC 5322)
BODY_CHARS = 2_000_000
BREAKING = {"Cc", "Cs", "Zl", "Zp"}  # what could end a header, or cannot be encoded

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_FORM = re.compile(  # our own, because email.headerregistry repairs what it should refuse, or fails on it
    r"""(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^"<>,;:@()\[\]\\]*))\s*<(?P<inner>[^<>\s]+)>|(?P<bare>[^<>\s]+)"""
)
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_DOMAIN = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")

FLAT = policy.SMTP.clone(cte_type="7bit")


class MailRefused(BackendError):
    """The mail cannot be sent as it is, and trying again will not help."""


class MailDelayed(BackendError):
    """The mail could not be sent now; trying again may help.

    *is_maybe_sent*: the connection broke after the whole mail was handed over, so it may have arrived.
    """

    def __init__(self, *faults: Fault, is_maybe_sent: bool = False) -> None:
        super().__init__(*faults)
        self.is_maybe_sent = is_maybe_sent


@dataclass(frozen=True)
class Mail:
    """A mail whose every part was checked."""

    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    reply_to: Address | None
    subject: str
    text: str | None
    html: str | None

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everyone who gets it, once each, as addr-specs."""
        return tuple(dict.fromkeys(address.addr_spec for address in (*self.to, *self.cc, *self.bcc)))

    def message_id(self, idempotency_key: str) -> str:
        """Return the Message-ID, the same for the same key and sender domain."""
        digest = hashlib.sha256(idempotency_key.encode()).hexdigest()[:40]
        return f"<{digest}@{self.sender.domain}>"

    def source(self, message_id: str, moment: datetime) -> bytes:
        """Return the mail as bytes for SMTP; who gets a blind copy is not in it."""
        message = EmailMessage(policy=FLAT)
        message["From"] = self.sender
        message["To"] = self.to
        if self.cc:
            message["Cc"] = self.cc
        if self.reply_to:
            message["Reply-To"] = self.reply_to
        message["Subject"] = self.subject
        message["Date"] = format_datetime(moment)
        message["Message-ID"] = message_id
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
        if self.text is not None:
            message.set_content(self.text)
            if self.html is not None:
                message.add_alternative(self.html, subtype="html")
        else:
            message.set_content(self.html or "", subtype="html")
        return message.as_bytes()


def compose(
    *,
    sender: str,
    to: Any,
    subject: Any,
    text: Any = None,
    html: Any = None,
    cc: Any = (),
    bcc: Any = (),
    reply_to: Any = None,
) -> Mail:
    """Return the mail; raises MailRefused with every fault, whose fields are like ``to[1]``."""
    faults: list[Fault] = []
    mail = Mail(
        sender=address(sender, "from", faults),
        to=_addresses(to, "to", faults),
        cc=_addresses(cc, "cc", faults),
        bcc=_addresses(bcc, "bcc", faults),
        reply_to=address(reply_to, "reply_to", faults) if reply_to not in (None, "") else None,
        subject=_subject(subject, faults),
        text=_body(text, "text", faults),
        html=_body(html, "html", faults),
    )
    if not mail.to and not faults:
        faults.append(Fault("mail.address_missing", "The mail has no recipient in “To”.", "to"))
    if len(mail.recipients) > RECIPIENTS:
        faults.append(Fault("mail.too_many_recipients", f"A mail has at most {RECIPIENTS} recipients.", "to"))
    if text is None and html is None:
        faults.append(Fault("mail.body_missing", "The mail has neither text nor HTML.", "text"))
    if faults:
        raise MailRefused(*faults)
    return mail


def address(value: Any, field: str, faults: list[Fault]) -> Address:
    """Return the one address that *value* is, with its display name; adds to *faults* if it is not exactly one."""
    found = _FORM.fullmatch(value.strip()) if _is_line(value, ADDRESS_CHARS) else None
    if found:
        local, _, domain = (found["inner"] or found["bare"]).rpartition("@")
        name = re.sub(r"\\(.)", r"\1", found["quoted"]) if found["quoted"] else found["plain"] or ""
        if len(local) <= LOCAL_CHARS and _LOCAL.fullmatch(local) and (host := _ascii(domain)):
            return Address(name.strip(), local, host)
    message = "This is not exactly one address such as ops@example.com or Ops <ops@example.com>."
    faults.append(Fault("mail.address_invalid", message, field))
    return Address("", "nobody", "invalid")


def _addresses(values: Any, field: str, faults: list[Fault]) -> tuple[Address, ...]:
    if values is None or values == "":
        return ()
    if isinstance(values, str):
        return (address(values, field, faults),)
    if not isinstance(values, Sequence) or len(values) > RECIPIENTS:
        message = f"This is a list of at most {RECIPIENTS} addresses."
        faults.append(Fault("mail.address_invalid", message, field))
        return ()
    return tuple(address(value, f"{field}[{index}]", faults) for index, value in enumerate(values))


def _ascii(domain: str) -> str | None:
    try:
        name = domain.encode("idna").decode() if not domain.isascii() else domain
    except UnicodeError:
        return None
    return name if len(name) <= 253 and _DOMAIN.fullmatch(name) else None


def _subject(value: Any, faults: list[Fault]) -> str:
    if not _is_line(value, SUBJECT_CHARS):
        message = f"A subject is one line of at most {SUBJECT_CHARS} characters, without “=?”."
        faults.append(Fault("mail.header_invalid", message, "subject"))
        return ""
    return str(value)


def _body(value: Any, field: str, faults: list[Fault]) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > BODY_CHARS or "\0" in value or not _is_encodable(value):
        message = f"This is text of at most {BODY_CHARS:,} characters, without NUL characters or broken emoji."
        faults.append(Fault("mail.body_invalid", message, field))
        return None
    return value


def _is_line(value: Any, chars: int) -> bool:
    """Return whether *value* is text that stays within one header line.

    ``=?`` would begin an encoded word: the email package decodes it, line ends and all, and fails on odd ones.
    """
    return (
        isinstance(value, str)
        and len(value) <= chars
        and "=?" not in value
        and not any(unicodedata.category(char) in BREAKING for char in value)
    )


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
