"""How long runs are kept, and a backup, as an owner sets and takes them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from runtime.retention_rules import Retention, Rules
from tests.browser.flow_page import Server, until


@pytest.fixture
def section(page: Page) -> Locator:
    page.goto("/settings")
    return page.locator("#data")


def test_limits_are_changed_and_those_that_remove_runs_are_asked_for(
    server: Server, page: Page, section: Locator
) -> None:
    retention = Retention(server.database)
    expect(section.get_by_label("Days")).to_have_value("30")
    expect(section.get_by_label("Runs of each flow")).to_have_value("100,000")

    section.get_by_label("Days").fill("")
    section.get_by_role("button", name="Save limits").click()
    expect(page.locator(".pw-toast")).to_contain_text("Saved")
    longer = retention.read()
    section.get_by_label("Days").fill("7.5")
    section.get_by_label("Megabytes of each flow").fill("2,000")
    section.get_by_role("button", name="Save limits").click()
    page.get_by_role("button", name="Cancel").click()
    refused = retention.read()
    section.get_by_role("button", name="Save limits").click()
    page.get_by_role("button", name="Remove them").click()

    until(lambda: retention.read() == Rules(7.5, 100_000, 2_000))
    assert longer == refused == Rules(None, 100_000, 1_000)


def test_what_is_no_number_is_told_at_its_field(server: Server, page: Page, section: Locator) -> None:
    before = Retention(server.database).read()

    section.get_by_label("Days").fill("a month")
    section.get_by_role("button", name="Save limits").click()
    expect(section.get_by_text("Enter a number, or nothing for no limit.")).to_be_visible()
    section.get_by_label("Days").fill("1")
    section.get_by_label("Runs of each flow").fill("2.5")
    section.get_by_role("button", name="Save limits").click()
    page.get_by_role("button", name="Remove them").click()
    expect(section.get_by_text("This is a whole number from 0 to 100,000,000, or empty for no limit.")).to_be_visible()

    assert Retention(server.database).read() == before


def test_a_backup_is_downloaded(page: Page, section: Locator, tmp_path: Path) -> None:
    with page.expect_download() as download:
        section.get_by_role("button", name="Download a backup").click()
    download.value.save_as(tmp_path / "backup.db")

    assert download.value.suggested_filename.startswith("pulsewire-")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    page.reload()
    expect(page.locator("#data")).to_contain_text("The last backup was made")
