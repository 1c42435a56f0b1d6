"""The items of a loop in a run: which one is looked at, and a list of all of them, a page at a time."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from nicegui import ui

from editor import words
from editor.frame import box, icon
from editor.step_view import state_icon
from editor.widgets import icon_button, menu_item
from runtime.kept_steps import Shape
from runtime.run_views import ItemPage, ItemView, StepView

if TYPE_CHECKING:
    from runtime.service import Service

PAGE = 25
TELLING = ("failed", "unknown", "waiting", "running")  # what is looked at first, and offered to look for
Loop: TypeAlias = tuple[str, str]  # its node, and the item around it


@dataclass(frozen=True)
class Wanted:
    """Which item is looked at: the one at *place* among those with *status*, among all where it is None."""

    place: int = 0
    status: str | None = None


@dataclass(frozen=True)
class Picked:
    """The item that is looked at; *page* says how many there are."""

    wanted: Wanted
    page: ItemPage
    steps: Mapping[str, StepView]

    @property
    def item(self) -> ItemView | None:
        return next(iter(self.page.items), None)


class LoopItems:
    """Which item of each loop of a run is looked at. Reading is for a thread."""

    def __init__(self, service: Service, run_id: int, shape: Shape) -> None:
        self._runs = service.runs
        self._run_id = run_id
        self._shape = shape
        self._wanted: dict[Loop, Wanted] = {}
        self.picked: Mapping[Loop, Picked] = {}

    def read(self) -> None:
        """Read the items that are looked at, from the outermost loops inwards."""
        picked: dict[Loop, Picked] = {}
        self._read_inside((), "", picked)
        self.picked = picked

    def want(self, loop: Loop, wanted: Wanted) -> None:
        """Look at another item from the next reading on."""
        self._wanted[loop] = wanted

    def item_around(self, node: str) -> str | None:
        """Return the item that *node* is looked at in; None where none was begun."""
        within = ""
        for loop in self._shape.loops_around(node):
            picked = self.picked.get((loop, within))
            if picked is None or picked.item is None:
                return None
            within = picked.item.iteration
        return within

    @property
    def steps(self) -> dict[str, StepView]:
        """Every step inside loops that is looked at, by its node."""
        return {node: step for picked in self.picked.values() for node, step in picked.steps.items()}

    def _read_inside(self, around: tuple[str, ...], within: str, picked: dict[Loop, Picked]) -> None:
        for loop in self._shape.nodes:
            if self._shape.body(loop) and self._shape.loops_around(loop) == around:
                found = self._pick((loop, within))
                if found.item is not None:
                    picked[loop, within] = found
                    self._read_inside((*around, loop), found.item.iteration, picked)

    def _pick(self, loop: Loop) -> Picked:
        wanted = self._wanted.get(loop)
        if wanted is None:
            counts = self._page(loop, Wanted()).counts
            wanted = self._wanted[loop] = Wanted(0, next((each for each in TELLING if counts.get(each)), None))
        page = self._page(loop, wanted)
        if not page.items and wanted != Wanted():  # what was looked for is no more
            wanted = self._wanted[loop] = Wanted()
            page = self._page(loop, wanted)
        steps = self._runs.item(self._run_id, page.items[0].iteration) if page.items else []
        return Picked(wanted, page, {step.node: step for step in steps})

    def _page(self, loop: Loop, wanted: Wanted) -> ItemPage:
        node, within = loop
        return self._runs.items(self._run_id, node, within=within, status=wanted.status, offset=wanted.place, limit=1)


def item_bar(picked: Picked, choose: Callable[[Wanted], object]) -> None:
    """Draw which item of a loop is looked at, and the ways to the others."""
    place, status, total = picked.wanted.place, picked.wanted.status, picked.page.total
    assert picked.item is not None
    with box("fr-items"):
        before = icon_button("chevron_left", "Item before", lambda: choose(Wanted(place - 1, status)), is_small=True)
        before.set_enabled(place > 0)
        ui.label(words.item(picked.item.iteration.rpartition(".")[2])).classes("fr-items-now pw-num")
        after = icon_button("chevron_right", "Next item", lambda: choose(Wanted(place + 1, status)), is_small=True)
        after.set_enabled(place + 1 < total)
        ui.space()
        with box("fr-items-of", "button").props("type=button aria-haspopup=menu") as chooser:
            ui.label(f"{place + 1:,} of {total:,}{'' if status is None else f' {status}'}").classes("pw-num")
            icon("expand_more")
            with ui.menu().props("auto-close anchor='bottom right' self='top right'"):
                _filters(picked.page.counts, lambda status: choose(Wanted(0, status)))
        chooser.props["aria-label"] = "Which items"


def _filters(counts: Mapping[str, int], choose: Callable[[str | None], object]) -> None:
    menu_item(f"All items ({sum(counts.values()):,})", "list", lambda: choose(None))
    for status in (*TELLING, "succeeded", "skipped"):
        if counts.get(status):
            menu_item(
                f"{status.capitalize()} ({counts[status]:,})", "filter_list", lambda status=status: choose(status)
            )


class ItemList:
    """A page of a loop's items, with their status; *choose* looks at one."""

    def __init__(self, service: Service, run_id: int, loop: Loop, choose: Callable[[Wanted], object]) -> None:
        self._runs = service.runs
        self._run_id = run_id
        self._loop = loop
        self._choose = choose
        self._status: str | None = None
        self._offset = 0
        self._drawn: object = None
        self._client = ui.context.client
        self._box = box("fr-item-list")

    async def read(self) -> None:
        """Read and draw the page."""
        node, within = self._loop
        page = await to_thread(
            self._runs.items,
            *(self._run_id, node),
            within=within,
            status=self._status,
            offset=self._offset,
            limit=PAGE,
        )
        drawn = (page, self._status, self._offset)
        if drawn == self._drawn or self._box.is_deleted:
            return
        self._drawn = drawn
        self._box.clear()
        with self._client, self._box:
            self._draw(page)

    def _draw(self, page: ItemPage) -> None:
        with box("fr-item-head"):
            ui.label("Items").classes("fs-title")
            with box("fr-items-of", "button").props("type=button aria-haspopup=menu"):
                total = f"{page.total:,} {self._status}" if self._status else f"All {page.total:,}"
                ui.label(total).classes("pw-num")
                icon("expand_more")
                with ui.menu().props("auto-close anchor='bottom right' self='top right'"):
                    _filters(page.counts, self._filter)
        for place, item in enumerate(page.items, self._offset):
            with box("fr-item", "button").props("type=button") as line:
                state_icon(item.status)
                ui.label(words.item(item.iteration.rpartition(".")[2])).classes("fr-item-number pw-num")
                ui.label(item.error or "").classes("fr-item-error pw-clip")
                ui.label(_taken(item)).classes("pw-muted pw-num")
            line.on("click", lambda place=place: self._choose(Wanted(place, self._status)))
        if page.total > PAGE:
            with box("fr-item-pager"):
                before = icon_button("chevron_left", "Items before", lambda: self._turn(-PAGE), is_small=True)
                before.set_enabled(self._offset > 0)
                last = min(self._offset + PAGE, page.total)
                ui.label(f"{self._offset + 1:,} to {last:,} of {page.total:,}").classes("pw-muted pw-num")
                after = icon_button("chevron_right", "More items", lambda: self._turn(PAGE), is_small=True)
                after.set_enabled(last < page.total)

    async def _turn(self, by: int) -> None:
        self._offset = max(0, self._offset + by)
        await self.read()

    async def _filter(self, status: str | None) -> None:
        self._status, self._offset = status, 0
        await self.read()


def _taken(item: ItemView) -> str:
    if item.started_at is None or item.ended_at is None:
        return ""
    taken = max(timedelta(0), item.ended_at - item.started_at)
    return "< 1 ms" if taken < timedelta(milliseconds=1) else words.duration(taken)
