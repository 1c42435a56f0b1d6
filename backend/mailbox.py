"""The built-in mailbox: keeps what would have left, so that mail works with nothing installed.

Recipients, subject and message are locked at rest, for a mail may carry a link that works like a password.
What an earlier version kept in clear is read as it is.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Session, col, select

from backend.errors import BackendError, Fault, NotFound
from backend.secrets import LOCKED, SecretBox
from backend.transaction import writing
from storage.database import Database
from storage.tables import MailboxMessage

PAGE = 200
UNREADABLE = "This message cannot be read: it was kept with another secret key."


@dataclass(frozen=True)
class MessageSummary:
    """One line of the mailbox; *has_secret*: it carries a live token or link."""

    id: int
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    run_id: int | None
    has_secret: bool
    is_read: bool
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        """Return the published shape; the time is ISO 8601 in UTC."""
        return vars(self) | {
            "recipients": [*self.recipients],
            "created_at": self.created_at.isoformat().replace("+00:00", "Z"),
        }


@dataclass(frozen=True)
class Attachment:
    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Message(MessageSummary):
    """A whole message; *source* is how it would have left, *text* and *html* are None where it has none."""

    text: str | None
    html: str | None
    source: str
    attachments: tuple[Attachment, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the published shape; attachments are described, not included."""
        described = [
            {"name": part.name, "content_type": part.content_type, "size_bytes": len(part.content)}
            for part in self.attachments
        ]
        return super().as_json() | {"attachments": described}


class Mailbox:
    """Messages kept on this machine, newest first."""

    def __init__(
        self, database: Database, box: SecretBox, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._box = box
        self._clock = clock

    def keep(self, source: bytes, **values: Any) -> None:
        """Keep a message as ``keeping`` does, in a transaction of its own. Raises StorageFull."""
        with writing(self._database) as session:
            self.keeping(source, **values)(session)

    def keeping(
        self,
        source: bytes,
        *,
        message_id: str,
        sender: str,
        recipients: Sequence[str],
        subject: str,
        idempotency_key: str,
        run_id: int | None = None,
        has_secret: bool = False,
    ) -> Callable[[Session], None]:
        """Return what keeps a message within a transaction; one with the same *idempotency_key* is kept once."""
        statement = insert(MailboxMessage).values(
            idempotency_key=idempotency_key,
            message_id=message_id,
            sender=sender,
            recipients=[self._box.encrypt(orjson.dumps([*recipients]).decode())],
            subject=self._box.encrypt(subject),
            source=self._box.encrypt(source.decode("latin-1")).encode(),
            run_id=run_id,
            has_secret=has_secret,
            is_read=False,
            created_at=self._clock(),
        )
        once = statement.on_conflict_do_nothing(index_elements=["idempotency_key"])

        def keep(session: Session) -> None:
            session.connection().execute(once)

        return keep

    def list(
        self, limit: int = 50, before: int | None = None, *, with_secret: bool = True
    ) -> builtins.list[MessageSummary]:
        """Return at most *limit* messages older than the one with the id *before*.

        *with_secret* False leaves out those that carry a live token or link.
        """
        columns = [col(getattr(MailboxMessage, name)) for name in MessageSummary.__dataclass_fields__]
        query = sa.select(*columns).order_by(col(MailboxMessage.id).desc()).limit(min(max(limit, 0), PAGE))
        if before is not None:
            query = query.where(col(MailboxMessage.id) < before)
        if not with_secret:
            query = query.where(col(MailboxMessage.has_secret).is_(False))
        with self._database.read() as session:
            rows = session.connection().execute(query).mappings().all()
        return [MessageSummary(**self._summary(dict(row))) for row in rows]

    def get(self, message_id: int) -> Message:
        """Return one message, taken apart; raises NotFound."""
        with self._database.read() as session:
            row = session.get(MailboxMessage, message_id)
        if row is None:
            raise _missing()
        source = self._opened(row.source.decode("latin-1")).encode("latin-1")
        parsed = message_from_bytes(source, _class=EmailMessage, policy=policy.default)
        return Message(
            **self._summary({name: getattr(row, name) for name in MessageSummary.__dataclass_fields__}),
            text=_body(parsed, "plain"),
            html=_body(parsed, "html"),
            source=source.decode(errors="replace"),
            attachments=tuple(
                Attachment(part.get_filename() or "attachment", part.get_content_type(), _bytes(part))
                for part in parsed.iter_attachments()
            ),
        )

    def mark_read(self, message_id: int, is_read: bool = True) -> None:
        """Note that a message was read, or not; raises NotFound."""
        with writing(self._database) as session:
            row = session.get(MailboxMessage, message_id)
            if row is None:
                raise _missing()
            row.is_read = is_read
            session.add(row)

    def clear(self) -> int:
        """Delete every message and return how many there were."""
        with writing(self._database) as session:
            return session.connection().execute(sa.delete(MailboxMessage)).rowcount

    def unread_count(self, *, with_secret: bool = True) -> int:
        """Return how many messages are unread; *with_secret* as for ``list``."""
        query = select(sa.func.count()).select_from(MailboxMessage).where(col(MailboxMessage.is_read).is_(False))
        if not with_secret:
            query = query.where(col(MailboxMessage.has_secret).is_(False))
        with self._database.read() as session:
            return session.exec(query).one()

    def _summary(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {**row, "recipients": self._addresses(row["recipients"]), "subject": self._opened(row["subject"])}

    def _addresses(self, kept: builtins.list[str]) -> tuple[str, ...]:
        if len(kept) != 1 or not kept[0].startswith(LOCKED):
            return tuple(kept)
        opened = self._opened(kept[0])
        return () if opened == UNREADABLE else tuple(orjson.loads(opened))

    def _opened(self, text: str) -> str:
        if not text.startswith(LOCKED):
            return text  # of a version that locked nothing
        try:
            return self._box.decrypt(text)
        except BackendError:
            return UNREADABLE


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    return None if part is None else str(part.get_content()).replace("\r\n", "\n")


def _bytes(part: Any) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _missing() -> NotFound:
    return NotFound(Fault("message.not_found", "There is no such message. It may have been deleted."))
