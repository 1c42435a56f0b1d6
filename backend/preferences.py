"""What an administrator sets while the server runs: the SMTP server. Its password is locked at rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

from backend.errors import BackendError, Fault
from backend.message import MailRefused, address, compose
from backend.secrets import SecretBox
from backend.smtp import Smtp, Tls, deliver
from backend.transaction import writing
from storage.database import Database
from storage.tables import Setting

KEY = "smtp"
LOGIN_CHARS = 500
TEST_DEADLINE_S = 15.0
HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class SmtpInput:
    """An SMTP server as a person enters it.

    *password* None keeps the one stored, as long as host, port and user name stay too; empty text removes it.
    """

    host: str
    port: int = 587
    tls: str = "starttls"
    sender: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class Preferences:
    """Settings kept in the database, above those of the environment (*smtp_url*).

    Raises BackendError for an *smtp_url* that is none.
    """

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        smtp_url: str | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._box = box
        self._from_environment = _from_url(smtp_url) if smtp_url else None
        self._clock = clock

    def smtp(self) -> Smtp | None:
        """Return the server that mail leaves through, or None; raises BackendError if its password cannot be read."""
        stored = self._stored()
        if stored is None:
            return self._from_environment
        locked = stored["password"]
        return Smtp(**{**stored, "password": None if locked is None else self._box.decrypt(locked)})

    def has_smtp(self) -> bool:
        """Return whether mail leaves through a server; else it stays in the mailbox."""
        return self._from_environment is not None or self._stored() is not None

    def smtp_view(self) -> dict[str, Any] | None:
        """Return what may be shown: never the password, but ``has_password``; ``source`` says who set it."""
        stored = self._stored()
        if stored is None and self._from_environment is None:
            return None
        shown = vars(self._from_environment) if stored is None else stored
        return {
            **{key: value for key, value in shown.items() if key != "password"},
            "has_password": shown["password"] is not None,
            "source": "environment" if stored is None else "settings",
        }

    def set_smtp(self, entered: SmtpInput) -> None:
        """Use this server from now on; raises BackendError with every fault."""
        if faults := [*_smtp_faults(entered)]:
            raise BackendError(*faults)
        value = {**vars(entered), "username": entered.username or None}
        with writing(self._database) as session:
            row = session.get(Setting, KEY) or Setting(key=KEY, value={})
            if entered.password:
                value["password"] = self._box.encrypt(entered.password)
            elif entered.password is None and all(row.value.get(k) == value[k] for k in ("host", "port", "username")):
                value["password"] = row.value.get("password")
            else:  # a password is bound to the server it was entered for
                value["password"] = None
            row.value, row.updated_at = value, self._clock()
            session.add(row)

    def clear_smtp(self) -> None:
        """Forget the stored server; mail leaves through the environment's again, or stays in the mailbox."""
        with writing(self._database) as session:
            if (row := session.get(Setting, KEY)) is not None:
                session.delete(row)

    async def test_smtp(self, to: str, *, deadline_s: float = TEST_DEADLINE_S) -> None:
        """Send a short mail through the server now; raises MailRefused or MailDelayed saying what is wrong."""
        smtp = self.smtp()
        if smtp is None:
            raise MailRefused(Fault("smtp.missing", "No mail server is set. Enter one and save it first."))
        mail = compose(
            sender=smtp.sender,
            to=to,
            subject="Pulsewire can send mail",
            text="This mail was sent from the settings page of Pulsewire to test the mail server.\n",
        )
        source = mail.source(mail.message_id(f"test-{uuid4()}"), self._clock())
        await deliver(smtp, mail.sender.addr_spec, mail.recipients, source, deadline_s=deadline_s)

    def _stored(self) -> dict[str, Any] | None:
        with self._database.read() as session:
            row = session.get(Setting, KEY)
        return None if row is None else row.value


def _smtp_faults(entered: SmtpInput) -> Iterator[Fault]:
    if not isinstance(entered.host, str) or not HOST.fullmatch(entered.host):
        yield Fault("smtp.host_invalid", "Enter the server's host name, such as smtp.example.com.", "host")
    if not isinstance(entered.port, int) or isinstance(entered.port, bool) or not 1 <= entered.port <= 65535:
        yield Fault("smtp.port_invalid", "A port is a number from 1 to 65535; most servers use 587 or 465.", "port")
    if entered.tls not in get_args(Tls):
        yield Fault("smtp.tls_invalid", f"TLS is one of {', '.join(get_args(Tls))}.", "tls")
    for name in ("username", "password"):
        value = getattr(entered, name)
        if value is not None and not _is_login(value):
            message = f"This is text of at most {LOGIN_CHARS} printable characters."
            yield Fault("smtp.login_invalid", message, name)
    if entered.password and not entered.username:
        yield Fault("smtp.login_invalid", "A password needs a user name.", "username")
    found: list[Fault] = []
    address(entered.sender, "sender", found)
    yield from found


def _is_login(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LOGIN_CHARS and value.isprintable()


def _from_url(url: str) -> Smtp:
    """Return the server that ``smtp://user:password@host:587?tls=starttls&from=a@b.c`` names.

    ``smtps://`` means TLS from the first byte. Without ``tls``, STARTTLS is asked for, except on this machine.
    """
    try:
        parts = urlsplit(url)
        query = {key: values[-1] for key, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
        is_tls = parts.scheme == "smtps"
        host = parts.hostname or ""
        tls = query.get("tls", "tls" if is_tls else "none" if host in LOOPBACK else "starttls")
        entered = SmtpInput(
            host=host,
            port=parts.port or (465 if is_tls else 587),
            tls=tls,
            sender=query.get("from") or f"Pulsewire <pulsewire@{host if ':' not in host else 'localhost'}>",
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )
        is_known = parts.scheme in ("smtp", "smtps") and not query.keys() - {"tls", "from"}
    except ValueError:
        entered, is_known = SmtpInput(host=""), False
    if not is_known or any(_smtp_faults(entered)):
        message = (
            "PULSEWIRE_SMTP_URL is not like smtp://user:password@host:587?tls=starttls&from=a@b.c "
            "(tls: none, starttls or tls)."
        )
        raise BackendError(Fault("smtp.url_invalid", message))
    return Smtp(**vars(entered))
