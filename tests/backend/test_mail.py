from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from sqlmodel import select

from backend.errors import BackendError
from backend.mail import MailDelayed, Mailer, MailRefused
from backend.mailbox import Mailbox
from backend.preferences import Preferences, SmtpInput
from backend.secrets import MAILBOX, SecretBox
from storage.database import Database
from storage.tables import MailboxMessage

KEY = "a secret key for tests"
PASSWORD = "correct horse battery"


class Server:
    """A real SMTP server on a loopback port that notes what it was given; *answers* replaces what it says."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.answers: dict[str, str] = {}
        self.hang_at: str | None = None
        self.end = asyncio.Event()
        self.logins: list[object] = []
        self.port = 0

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, to: str, _options: Any) -> str:
        answer = self.answers.get(to) or self.answers.get("RCPT") or "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(to)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.logins.append(session.auth_data)
        answer = self.answers.get("DATA", "250 OK")
        if answer.startswith("250"):
            self.envelopes.append(envelope)
        if self.hang_at == "DATA":
            await self.end.wait()
        if self.hang_at == "drop":
            server.transport.abort()
        return answer

    def message(self) -> EmailMessage:
        (envelope,) = self.envelopes
        assert isinstance(envelope.content, bytes)
        return message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default)


Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    running: list[asyncio.Server] = []
    servers: list[Server] = []

    async def start(**options: Any) -> Server:
        server = Server()
        servers.append(server)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: SMTP(server, loop=loop, **options), "127.0.0.1", 0)
        running.append(listener)
        server.port = listener.sockets[0].getsockname()[1]
        return server

    yield start
    for server in servers:
        server.end.set()
    for listener in running:
        listener.close()
        await listener.wait_closed()


@pytest.fixture
def mailbox(database: Database) -> Mailbox:
    return Mailbox(database, SecretBox(KEY, MAILBOX))


@pytest.fixture
def preferences(database: Database) -> Preferences:
    return Preferences(database, SecretBox(KEY))


@pytest.fixture
def mailer(preferences: Preferences, mailbox: Mailbox) -> Mailer:
    return Mailer(preferences, mailbox, "Pulsewire <pulsewire@localhost>", deadline_s=5)


def use(preferences: Preferences, port: int, **more: Any) -> None:
    entered = {"tls": "none", "sender": "Ops <ops@example.com>"} | more
    preferences.set_smtp(SmtpInput("127.0.0.1", port, **entered))


def faults(error: BackendError) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.field) for fault in error.faults]


async def send(mailer: Mailer, **more: Any) -> tuple[str, str]:
    mail = {"to": ["a@example.org"], "subject": "Hello", "text": "Hi", "idempotency_key": "1:warn"} | more
    return await mailer.send(**mail)


async def test_mail_reaches_the_server_as_written(serve: Serve, preferences: Preferences, mailer: Mailer) -> None:
    server = await serve()
    use(preferences, server.port)

    message_id, via = await send(
        mailer,
        to=["Ä. Müller <a@example.org>"],
        cc=["c@example.org"],
        bcc=["hidden@example.org", "a@example.org"],
        reply_to="r@example.org",
        subject="orders was emptied – 🧨",
        text="Zeile\n.\n.dot\n",
        html="<p>Zeile</p>",
    )

    message = server.message()
    assert via == "smtp"
    assert server.envelopes[0].mail_from == "ops@example.com"
    assert server.envelopes[0].rcpt_tos == ["a@example.org", "c@example.org", "hidden@example.org"]
    assert message["From"] == "Ops <ops@example.com>"
    assert message["To"] == '"Ä. Müller" <a@example.org>'
    assert message["Cc"] == "c@example.org"
    assert message["Reply-To"] == "r@example.org"
    assert message["Subject"] == "orders was emptied – 🧨"
    assert message["Message-ID"] == message_id
    assert b"hidden" not in bytes(server.envelopes[0].content or b"")
    assert message.get_content_type() == "multipart/alternative"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain
    assert html
    assert plain.get_content().replace("\r\n", "\n") == "Zeile\n.\n.dot\n"
    assert html.get_content().strip() == "<p>Zeile</p>"


async def test_message_id_is_the_same_for_the_same_key(serve: Serve, preferences: Preferences, mailer: Mailer) -> None:
    server = await serve()
    use(preferences, server.port)

    ids = [(await send(mailer, idempotency_key=key))[0] for key in ("1:warn", "1:warn", "2:warn")]

    assert ids[0] == ids[1] != ids[2]
    assert all(message_id.endswith("@example.com>") for message_id in ids)


async def test_login_is_used_and_a_wrong_one_is_refused_for_good(
    serve: Serve, preferences: Preferences, mailer: Mailer
) -> None:
    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(
            success=(data.login, data.password) == (b"ops", PASSWORD.encode()), auth_data=data.login, handled=False
        )

    server = await serve(authenticator=check, auth_require_tls=False)

    use(preferences, server.port, username="ops", password=PASSWORD)
    await send(mailer)
    use(preferences, server.port, username="ops", password="wrong one here")
    with pytest.raises(MailRefused, match="user name and password") as caught:
        await send(mailer)

    assert server.logins == [b"ops"]
    assert faults(caught.value) == [("mail.login_refused", None)]
    assert "wrong one" not in str(caught.value)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_tls_is_used_and_an_unknown_certificate_refused(
    serve: Serve, preferences: Preferences, mailer: Mailer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_for_localhost(tmp_path))
    if tls == "starttls":
        server = await serve(tls_context=context, require_starttls=True)
        port, listener = server.port, None
    else:
        server, loop = Server(), asyncio.get_running_loop()
        listener = await loop.create_server(lambda: SMTP(server, loop=loop), "127.0.0.1", 0, ssl=context)
        port = listener.sockets[0].getsockname()[1]
    preferences.set_smtp(SmtpInput("127.0.0.1", port, tls, "ops@example.com"))

    with pytest.raises(MailRefused, match="certificate"):
        await send(mailer)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "localhost.pem"))
    await send(mailer)

    assert server.message()["Subject"] == "Hello"
    if listener:
        listener.close()
        await listener.wait_closed()


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"tls": "starttls"}, "STARTTLS"), ({"username": "u", "password": "p"}, "login")],
    ids=["starttls", "login"],
)
async def test_server_without_what_is_asked_for_refuses_for_good(
    serve: Serve, preferences: Preferences, mailer: Mailer, settings: dict[str, str], words: str
) -> None:
    server = await serve()
    use(preferences, server.port, **settings)

    with pytest.raises(MailRefused, match=words):
        await send(mailer)

    assert server.envelopes == []


@pytest.mark.parametrize(
    ("at", "answer", "error"),
    [
        ("RCPT", "450 greylisted", MailDelayed),
        ("RCPT", "550 no such user", MailRefused),
        ("DATA", "421 later", MailDelayed),
        ("DATA", "451 later", MailDelayed),
        ("DATA", "552 too big", MailRefused),
    ],
    ids=lambda value: str(value),
)
async def test_answer_of_4xx_may_pass_and_5xx_will_not(
    serve: Serve, preferences: Preferences, mailer: Mailer, at: str, answer: str, error: type[BackendError]
) -> None:
    server = await serve()
    server.answers[at] = answer
    use(preferences, server.port)

    with pytest.raises(error, match=answer[:3]) as caught:
        await send(mailer)

    assert not getattr(caught.value, "is_maybe_sent", False)
    assert server.envelopes == []


async def test_server_that_greets_with_421_is_tried_again(preferences: Preferences, mailer: Mailer) -> None:
    async def busy(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"421 too many connections\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(busy, "127.0.0.1", 0) as listener:
        use(preferences, listener.sockets[0].getsockname()[1])
        with pytest.raises(MailDelayed, match="421"):
            await send(mailer)


async def test_one_refused_recipient_of_several_is_told_and_not_tried_again(
    serve: Serve, preferences: Preferences, mailer: Mailer
) -> None:
    server = await serve()
    server.answers["b@example.org"] = "550 no such user"
    use(preferences, server.port)

    with pytest.raises(MailRefused, match=r"not for b@example\.org") as caught:
        await send(mailer, to=["a@example.org", "b@example.org"])

    assert faults(caught.value) == [("mail.recipient_refused", None)]
    assert server.envelopes[0].rcpt_tos == ["a@example.org"]


async def test_all_recipients_refused_but_one_only_for_now_is_tried_again(
    serve: Serve, preferences: Preferences, mailer: Mailer
) -> None:
    server = await serve()
    server.answers |= {"a@example.org": "550 no such user", "b@example.org": "450 busy"}
    use(preferences, server.port)

    with pytest.raises(MailDelayed) as caught:
        await send(mailer, to=["a@example.org", "b@example.org"])

    assert faults(caught.value) == [("mail.delayed", None)]
    assert server.envelopes == []


async def test_missing_server_is_tried_again(serve: Serve, preferences: Preferences, mailer: Mailer) -> None:
    listener = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    use(preferences, port)

    with pytest.raises(MailDelayed, match="cannot be reached") as caught:
        await send(mailer)

    assert not caught.value.is_maybe_sent


async def test_server_that_never_answers_ends_at_the_deadline(preferences: Preferences, mailbox: Mailbox) -> None:
    mailer = Mailer(preferences, mailbox, "pulsewire@localhost", deadline_s=0.1)
    reached, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listener:
        use(preferences, listener.sockets[0].getsockname()[1])
        with pytest.raises(MailDelayed, match=r"within 0\.1 s") as caught:
            await send(mailer)
        if reached.is_set():  # on a busy machine the deadline may pass before that
            await left.wait()

    assert not caught.value.is_maybe_sent


@pytest.mark.parametrize("hang_at", ["DATA", "drop"])
async def test_server_lost_after_the_last_line_is_said_to_have_it_maybe(
    serve: Serve, preferences: Preferences, mailbox: Mailbox, hang_at: str
) -> None:
    server = await serve()
    server.hang_at = hang_at
    use(preferences, server.port)
    mailer = Mailer(preferences, mailbox, "pulsewire@localhost", deadline_s=0.5)

    with pytest.raises(MailDelayed, match="may have been sent") as caught:
        await send(mailer)
    server.hang_at = None
    await send(mailer)

    assert caught.value.is_maybe_sent
    ids = [message_from_bytes(envelope.content or b"")["Message-ID"] for envelope in server.envelopes]  # type: ignore[arg-type]
    assert len(ids) == 2
    assert len(set(ids)) == 1


HOSTILE_ADDRESSES = [
    "a@b.c, evil@x.io",
    "a@b.c evil@x.io",
    "a@b.c;evil@x.io",
    "a@b.c\r\nBcc: evil@x.io",
    "a@b.c\nDATA",
    "a@b.c\0",
    "Ops\r\nBcc: evil@x.io <a@b.c>",
    "=?utf-8?q?Ops=0ABcc=3A_evil=40x.io?= <a@b.c>",
    "evil@x.io <a@b.c>, <b@b.c>",
    "friends: a@b.c, evil@x.io;",
    "friends: a@b.c;",
    "<a@b.c> <evil@x.io>",
    "<a@b.c>,",
    "a@b.c> SIZE=1",
    '"a b"@b.c',
    "@b.c",
    "a@",
    "a",
    "a@b@c",
    "a@-b.c",
    "a@b..c",
    "ä@b.c",
    "a@[127.0.0.1]",
    "a@b.c\u2028x",
    "\ud800@b.c",
    "",
    " ",
    "x" * 10_000 + "@b.c",
    "(" * 5_000,
    None,
    7,
    ["a@b.c"],
    {"address": "a@b.c", "path": "/etc/passwd"},
]


@pytest.mark.parametrize("address", HOSTILE_ADDRESSES, ids=range(len(HOSTILE_ADDRESSES)))
async def test_address_that_is_not_exactly_one_is_refused_everywhere(
    serve: Serve, preferences: Preferences, mailer: Mailer, address: Any
) -> None:
    server = await serve()
    use(preferences, server.port)

    for field in ("to", "cc", "bcc"):
        with pytest.raises(MailRefused) as caught:
            await send(mailer, **{field: ["fine@example.org", address]})
        assert faults(caught.value) == [("mail.address_invalid", f"{field}[1]")]
    if address not in ("", None):
        with pytest.raises(MailRefused) as caught:
            await send(mailer, reply_to=address)
        assert faults(caught.value) == [("mail.address_invalid", "reply_to")]

    assert server.envelopes == []


@pytest.mark.parametrize(
    ("written", "recipient"),
    [
        ("a@b.c", "a@b.c"),
        ("<a@b.c>", "a@b.c"),
        (" Ops Team <a+x@b-c.example> ", "a+x@b-c.example"),
        ('"Doe, Jane" <jane@example.org>', "jane@example.org"),
        ("root@localhost", "root@localhost"),
        ("info@müller.example", "info@xn--mller-kva.example"),
    ],
)
async def test_address_forms_that_people_use_are_taken(
    mailer: Mailer, mailbox: Mailbox, written: str, recipient: str
) -> None:
    await send(mailer, to=written)

    assert mailbox.list()[0].recipients == (recipient,)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("subject", "a\r\nBcc: evil@x.io", ("mail.header_invalid", "subject")),
        ("subject", "a\nb", ("mail.header_invalid", "subject")),
        ("subject", "a\0", ("mail.header_invalid", "subject")),
        ("subject", "a\u2028b", ("mail.header_invalid", "subject")),
        ("subject", "\ud83d", ("mail.header_invalid", "subject")),
        ("subject", "=?utf-8?q?a=0ABcc=3A_evil=40x.io?=", ("mail.header_invalid", "subject")),
        ("subject", "x" * 10_000, ("mail.header_invalid", "subject")),
        ("subject", None, ("mail.header_invalid", "subject")),
        ("subject", {"a": 1}, ("mail.header_invalid", "subject")),
        ("text", {"path": "/etc/passwd"}, ("mail.body_invalid", "text")),
        ("text", "a\0", ("mail.body_invalid", "text")),
        ("html", "\ud800", ("mail.body_invalid", "html")),
        ("html", ["x"], ("mail.body_invalid", "html")),
        ("text", None, ("mail.body_missing", "text")),
        ("to", [], ("mail.address_missing", "to")),
        ("to", [f"a{n}@b.c" for n in range(101)], ("mail.address_invalid", "to")),
    ],
    ids=range(16),
)
async def test_hostile_header_or_body_is_refused(
    mailer: Mailer, mailbox: Mailbox, field: str, value: Any, expected: tuple[str, str]
) -> None:
    with pytest.raises(MailRefused) as sent:
        await send(mailer, **{field: value})
    with pytest.raises(MailRefused) as previewed:
        mailer.preview(**{"to": ["a@b.c"], "subject": "s", "text": "t"} | {field: value})

    assert faults(sent.value) == faults(previewed.value) == [expected]
    assert mailbox.list() == []


@pytest.mark.parametrize("subject", ["x" * 900, "🧨" * 900, "= ? (a)", "a: b; c", "", "Re: " + "long words " * 50])
async def test_odd_subject_stays_one_header(mailer: Mailer, mailbox: Mailbox, subject: str) -> None:
    await send(mailer, subject=subject)

    source = mailbox.get(1).source
    headers = message_from_bytes(source.encode()).keys()
    ours = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"}
    assert set(headers) == ours | {"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
    assert len(headers) == len(set(headers))
    assert max(len(line) for line in source.splitlines()) <= 998


async def test_without_a_server_the_mailbox_keeps_it_once_per_key(mailer: Mailer, mailbox: Mailbox) -> None:
    first = await send(mailer, text="Hi\n", html="<b>Hi</b>", bcc=["h@example.org"], run_id=7)
    again = await send(mailer, text="Hi\n", html="<b>Hi</b>", bcc=["h@example.org"], run_id=7)

    (summary,) = mailbox.list()
    message = mailbox.get(summary.id)
    assert first == again == (summary.message_id, "mailbox")
    assert (message.text, message.html, message.run_id) == ("Hi\n", "<b>Hi</b>\n", 7)
    assert message.sender == "Pulsewire <pulsewire@localhost>"
    assert message.recipients == ("a@example.org", "h@example.org")
    assert "Subject: Hello" in message.source
    assert "h@example.org" not in message.source


async def test_mailbox_lists_pages_counts_and_forgets(mailer: Mailer, mailbox: Mailbox) -> None:
    for number in range(5):
        await send(mailer, subject=f"mail {number}", idempotency_key=str(number))

    newest = mailbox.list(2)
    older = mailbox.list(10, before=newest[-1].id)
    mailbox.mark_read(newest[0].id)

    assert [message.subject for message in (*newest, *older)] == [f"mail {number}" for number in (4, 3, 2, 1, 0)]
    assert mailbox.unread_count() == 4
    assert mailbox.get(newest[0].id).is_read
    assert mailbox.clear() == 5
    assert mailbox.unread_count() == 0
    with pytest.raises(BackendError):
        mailbox.get(newest[0].id)


async def test_full_disk_delays_the_mail(mailer: Mailer, mailbox: Mailbox, database: Database) -> None:
    with database.read() as session:
        pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar_one()
        session.connection().exec_driver_sql(f"PRAGMA max_page_count={pages}")

    with pytest.raises(MailDelayed, match="disk is full"):
        await asyncio.gather(*[send(mailer, text="x" * 100_000)])

    assert mailbox.list() == []


async def test_preview_shows_the_mail_and_sends_nothing(
    serve: Serve, preferences: Preferences, mailer: Mailer, mailbox: Mailbox
) -> None:
    kept = mailer.preview(to="A <a@b.c>", subject="s", text="t")
    server = await serve()
    use(preferences, server.port)
    sent = mailer.preview(to=["a@b.c"], subject="s", html="<b>t</b>", cc=["c@b.c"])

    assert kept == {
        "from": "Pulsewire <pulsewire@localhost>",
        "to": ["A <a@b.c>"],
        "cc": [],
        "bcc": [],
        "reply_to": None,
        "subject": "s",
        "text": "t",
        "html": None,
        "via": "mailbox",
    }
    assert (sent["from"], sent["cc"], sent["via"]) == ("Ops <ops@example.com>", ["c@b.c"], "smtp")
    assert (mailbox.list(), server.envelopes) == ([], [])


def certificate_for_localhost(directory: Path) -> Path:
    """Make a certificate for 127.0.0.1 that signs itself, and return the file with it and its key."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "localhost.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


async def test_mailbox_is_locked_at_rest(mailer: Mailer, mailbox: Mailbox, database: Database) -> None:
    await mailer.send(to="kay@example.com", subject="Read Zanzibar", text="and Timbuktu", idempotency_key="1")

    with database.read() as session:
        row = session.exec(select(MailboxMessage)).one()
    kept = f"{row.subject} {row.recipients} {row.source.decode()}"

    assert [word for word in ("Zanzibar", "Timbuktu", "kay@example.com") if word in kept] == []
    assert (mailbox.get(1).subject, mailbox.get(1).text) == ("Read Zanzibar", "and Timbuktu\n")
    assert mailbox.list()[0].recipients == ("kay@example.com",)


async def test_mailbox_reads_what_was_kept_in_clear(mailbox: Mailbox, database: Database) -> None:
    source = b"Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nfrom then\r\n"
    row = MailboxMessage(
        idempotency_key="1", message_id="<1@x>", sender="a@x", recipients=["b@x"], subject="Grüße", source=source
    )
    with database.write() as session:
        session.add(row)

    message = mailbox.get(1)

    assert (message.subject, message.recipients, message.text) == ("Grüße", ("b@x",), "from then\n")


async def test_mailbox_of_another_key_says_so(mailer: Mailer, database: Database) -> None:
    await mailer.send(to="kay@example.com", subject="Read Zanzibar", text="x", idempotency_key="1")

    moved = Mailbox(database, SecretBox("the key of another machine", MAILBOX))

    assert moved.list()[0].subject == "This message cannot be read: it was kept with another secret key."
    assert moved.get(1).recipients == ()


async def test_messages_with_a_secret_can_be_left_out(mailer: Mailer, mailbox: Mailbox) -> None:
    await mailer.send(to="a@example.com", subject="plain", text="x", idempotency_key="1")
    await mailer.send(to="a@example.com", subject="a link", text="x", idempotency_key="2", has_secret=True)

    assert [(each.subject, each.has_secret) for each in mailbox.list()] == [("a link", True), ("plain", False)]
    assert [each.subject for each in mailbox.list(with_secret=False)] == ["plain"]
    assert (mailbox.unread_count(), mailbox.unread_count(with_secret=False)) == (2, 1)
