"""Mails that the mailbox keeps are written as the run's own, so that an engine that was overtaken keeps none."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import update
from sqlmodel import col

from backend.mail import Mailer
from backend.mailbox import Mailbox
from backend.secrets import SecretBox, load_or_create_key
from storage.tables import RunRow
from tests.runtime.conftest import Rig

SEND = {"id": "send", "type": "send_email", "params": {"to": "a@example.com", "subject": "s", "text": "t"}}


class Overtaken:
    """Preferences without a mail server; reading them takes so long that another engine claims the run."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def smtp(self) -> None:
        with self._rig.database.write() as session:
            claimed = update(RunRow).where(col(RunRow.status) == "running").values(epoch=RunRow.epoch + self._rig.by)
            session.connection().execute(claimed)


async def sends(rig: Any, by: int) -> list[Any]:
    rig.by = by
    mailbox = Mailbox(rig.database, SecretBox(load_or_create_key(rig.settings.data_dir, None)))
    rig.mailer = Mailer(Overtaken(rig), mailbox, "pulsewire@localhost")  # type: ignore[arg-type]
    await rig.restart()
    rig.flow([SEND], ["start>send"])
    await rig.emit()
    async with asyncio.timeout(10):
        while (await rig.engine.status()).open_runs:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
    return [(mail.subject, mail.run_id) for mail in mailbox.list()]


async def test_a_mail_of_a_run_is_kept(rig: Rig) -> None:
    assert await sends(rig, 0) == [("s", 1)]


async def test_a_run_that_another_engine_has_claimed_keeps_no_mail(rig: Rig) -> None:
    assert await sends(rig, 1) == []
