"""The items of a loop, listed in pages while the loop goes on."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

from editor.loop_items import PAGE, ItemList, Wanted
from runtime.run_views import ItemPage, ItemView
from tests.editor.simulated import Pages, until

TOTAL = 2 * PAGE


class SlowRuns:
    """Items of a loop; the first page is read slowly once that is asked for."""

    def __init__(self) -> None:
        self.is_slow = False
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()

    def items(self, _run_id: int, _node: str, *, offset: int, limit: int, **_which: Any) -> ItemPage:
        if self.is_slow and offset == 0:
            self.is_asked.set()
            self.may_answer.wait(8)
        numbers = range(offset, min(offset + limit, TOTAL))
        items = tuple(ItemView(str(n), "succeeded", None, None, None) for n in numbers)
        return ItemPage(items, TOTAL, {"succeeded": TOTAL})


async def test_a_page_that_is_read_late_does_not_take_the_place_of_the_next_one(pages: Pages) -> None:
    await pages.user.open("/")
    runs, chosen = SlowRuns(), list[Wanted]()
    assert pages.user.client is not None
    with pages.user.client:
        made = ItemList(SimpleNamespace(runs=runs), 1, ("loop", ""), chosen.append)  # type: ignore[arg-type]
    await made.read()
    runs.is_slow = True
    late = asyncio.create_task(made.read())
    await until(runs.is_asked.is_set)

    pages.press_icon("More items")
    await pages.user.should_see(f"Item {PAGE + 1}", retries=40)
    runs.may_answer.set()
    await late

    await pages.user.should_see(f"Item {PAGE + 1}")
    await pages.user.should_see(f"{PAGE + 1} to {TOTAL} of {TOTAL}")
