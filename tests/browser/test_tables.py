"""The grid of a data table in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.datahub import Column, Datahub, Table
from runtime import outbox
from tests.browser.flow_page import Server, until

COLUMNS = [Column("number", "integer", True, True), Column("customer", "text"), Column("paid", "boolean")]


class Grid:
    """The grid as a person sees it."""

    def __init__(self, page: Page, table: Table, tables: Datahub) -> None:
        self.page, self.table, self.tables = page, table, tables
        page.goto(f"/tables/{table.id}")
        self.scroller = page.locator(".pw-grid-scroller")
        expect(page.locator(".pw-grid-foot")).to_contain_text(re.compile(r"\d rows?"))

    def cell(self, row: int, column: int) -> Locator:
        return self.page.locator(f".pw-grid-row[aria-rowindex='{row + 2}'] .pw-grid-cell").nth(column)

    def values(self, column: str) -> list[Any]:
        return [row[column] for row in self.tables.rows(self.table.id, sort=None).rows]


@pytest.fixture
def tables(server: Server) -> Datahub:
    return Datahub(server.database, lambda _session, _event: None, listens=outbox.listens)


@pytest.fixture
def make_grid(page: Page, tables: Datahub) -> Callable[..., Grid]:
    def make(count: int = 5, columns: list[Column] = COLUMNS) -> Grid:
        table = tables.create(f"orders {uuid4().hex[:8]}", columns)
        if count:
            tables.insert(table.id, [{"number": n, "customer": f"Customer {n}", "paid": None} for n in range(count)])
        return Grid(page, table, tables)

    return make


def test_a_cell_is_edited_by_keyboard_alone(make_grid: Callable[..., Grid], page: Page) -> None:
    grid = make_grid()
    grid.cell(1, 0).click()

    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")

    until(lambda: grid.values("customer")[1] == "Ada")
    expect(grid.cell(1, 1)).to_have_text("Ada")
    expect(grid.scroller).to_be_focused()


def test_typing_replaces_and_escape_gives_up(make_grid: Callable[..., Grid], page: Page) -> None:
    grid = make_grid()
    grid.cell(0, 1).click()

    page.keyboard.type("Zoe")
    page.keyboard.press("Escape")

    expect(grid.cell(0, 1)).to_have_text("Customer 0")
    assert grid.values("customer")[0] == "Customer 0"


def test_a_refused_value_is_taken_back_and_the_reason_shown_at_the_cell(
    make_grid: Callable[..., Grid], page: Page
) -> None:
    grid = make_grid()
    grid.cell(3, 0).dblclick()

    page.keyboard.type("1")
    page.keyboard.press("Enter")

    expect(grid.cell(3, 0).locator(".pw-grid-fault")).to_contain_text("must be unique")
    expect(grid.cell(3, 0).locator("> .pw-clip")).to_have_text("3")
    assert grid.values("number") == [0, 1, 2, 3, 4]


def test_a_word_in_a_number_column_is_refused_at_the_cell(make_grid: Callable[..., Grid], page: Page) -> None:
    grid = make_grid()
    grid.cell(0, 0).dblclick()

    page.keyboard.type("many")
    page.keyboard.press("Enter")

    expect(grid.cell(0, 0).locator(".pw-grid-fault")).to_contain_text("whole number")


def test_space_flips_a_yes_or_no(make_grid: Callable[..., Grid], page: Page) -> None:
    grid = make_grid()
    grid.cell(2, 2).click()

    page.keyboard.press("Space")

    until(lambda: grid.values("paid")[2] is True)
    expect(grid.cell(2, 2)).to_contain_text("true")


def test_html_in_a_cell_is_text(make_grid: Callable[..., Grid], tables: Datahub, page: Page) -> None:
    grid = make_grid(0)
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    tables.insert(grid.table.id, [{"number": 1, "customer": markup}])

    expect(grid.cell(0, 1)).to_have_text(markup, timeout=8000)

    assert grid.cell(0, 1).locator("img, b").count() == 0


def test_sorting_and_filtering_happen_over_all_rows(make_grid: Callable[..., Grid], page: Page) -> None:
    grid = make_grid(350)

    page.locator(".pw-grid-sort", has_text="number").click()
    page.locator(".pw-grid-sort", has_text="number").click()
    expect(grid.cell(0, 0)).to_have_text("349")

    page.get_by_label("Filter customer").click(force=True)
    page.locator(".pw-grid-filterbox input").fill("customer 34")
    page.get_by_role("button", name="Apply").click()

    expect(page.locator(".pw-grid-foot")).to_contain_text("11 rows found")
    page.get_by_role("button", name="Remove the filter").click()
    expect(page.locator(".pw-grid-foot")).to_contain_text("350 rows")


def test_the_search_finds_text_in_any_column(make_grid: Callable[..., Grid], page: Page) -> None:
    make_grid(350)

    page.get_by_placeholder("Search rows").fill("Customer 12")

    expect(page.locator(".pw-grid-foot")).to_contain_text("11 rows found")


def test_far_rows_are_fetched_when_they_come_into_view(make_grid: Callable[..., Grid], page: Page) -> None:
    grid = make_grid(3_000)

    grid.cell(0, 0).click()
    page.keyboard.press("Control+End")

    expect(grid.cell(2_999, 1)).to_have_text("Customer 2999")
    assert page.locator(".pw-grid-row").count() < 80


def test_selected_rows_are_deleted_after_a_question(make_grid: Callable[..., Grid], page: Page) -> None:
    grid = make_grid()
    page.get_by_label("Select row 2", exact=True).check()
    page.get_by_label("Select row 4", exact=True).click(modifiers=["Shift"])

    page.get_by_role("button", name="Delete 3 rows").click()
    page.locator(".pw-dialog-foot").get_by_role("button", name="Delete 3 rows").click()

    until(lambda: grid.values("number") == [0, 4])
    expect(page.locator(".pw-grid-foot")).to_contain_text("2 rows")


def test_a_row_is_added_in_a_form_with_its_faults_at_the_fields(make_grid: Callable[..., Grid], page: Page) -> None:
    grid = make_grid()
    page.get_by_role("button", name="Add row").click()
    form = page.locator(".pw-dialog")

    form.get_by_label("number", exact=True).fill("2")
    form.get_by_role("button", name="Add row").click()
    expect(form).to_contain_text("must be unique")
    form.get_by_label("number", exact=True).fill("77")
    form.get_by_role("button", name="Add row").click()

    expect(form).to_be_hidden()
    expect(grid.cell(5, 0)).to_have_text("77")


def test_rows_that_others_change_appear_by_themselves(
    make_grid: Callable[..., Grid], tables: Datahub, page: Page
) -> None:
    grid = make_grid()

    tables.update_where(grid.table.id, {"number": 0}, {"customer": "From elsewhere"})

    expect(grid.cell(0, 1)).to_have_text("From elsewhere")


def test_csv_is_imported_all_or_nothing(make_grid: Callable[..., Grid], page: Page, tmp_path: Path) -> None:
    grid = make_grid(1)
    file = tmp_path / "orders.csv"
    file.write_text("number,customer\n10,Ten\neleven,Eleven\n")
    page.get_by_role("button", name=re.compile("Settings of")).click()
    page.locator(".q-menu .q-item", has_text="Import CSV").click()

    page.locator(".pw-drop input[type=file]").set_input_files(file)
    expect(page.locator(".pw-dialog")).to_contain_text("Nothing was changed.")
    assert grid.values("number") == [0]
    file.write_text("number,customer\n10,Ten\n11,Eleven\n")
    page.locator(".pw-drop input[type=file]").set_input_files(file)

    until(lambda: grid.values("number") == [0, 10, 11])
    expect(page.locator(".pw-grid-foot")).to_contain_text("3 rows")


def test_on_a_phone_rows_are_cards_that_open_a_form(make_grid: Callable[..., Grid], page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    grid = make_grid(200)

    page.locator(".pw-grid-card", has_text="Customer 3").first.click()
    page.locator(".pw-dialog").get_by_label("customer", exact=True).fill("By phone")
    page.locator(".pw-dialog").get_by_role("button", name="Save").click()

    until(lambda: grid.values("customer")[3] == "By phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
