from __future__ import annotations

from tests.editor.simulated import Pages
from tests.operators import COOKIE, signed_in


async def test_room_and_backup_are_told(pages: Pages) -> None:
    await pages.user.open("/settings")

    await pages.user.should_see("The database takes")
    await pages.user.should_see("No backup was made yet.")
    await pages.user.should_see("Save limits")


async def test_others_than_owners_get_neither_the_section_nor_a_backup(pages: Pages) -> None:
    pages.http.cookies = {COOKIE: signed_in(pages.service.database, "editor", "e@example.com")}

    page = await pages.http.get("/settings")
    refused = await pages.http.get("/settings/backup")

    assert "Save limits" not in page.text
    assert refused.status_code == 403
    assert pages.service.backups.last() is None
