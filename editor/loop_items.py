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
from editor.step_view import show_state, state_icon, state_word
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


class ItemChoice:
    """A button that says which items are shown, with a menu of those of one status; *choose* gets the status."""

    def __init__(self, choose: Callable[[str | None], object]) -> None:
        self._choose = choose
        self._counts: Mapping[str, int] = {}
        self._filled: Mapping[str, int] | None = None
        with box("fr-items-of", "button").props('type=button aria-haspopup=menu aria-label="Which items"'):
            self._text = ui.label().classes("pw-num")
            icon("expand_more")
            with ui.menu().props("auto-close anchor='bottom right' self='top right'") as self._menu:
                self._menu.on_value_change(self._fill)

    def show(self, text: str, counts: Mapping[str, int]) -> None:
        """Show *text*, and how many items there are of each status."""
        self._text.set_text(text)
        self._counts = counts
        self._fill()

    def _fill(self) -> None:
        if self._menu.value or self._counts == self._filled:
            return  # what somebody is about to choose from stays as it is
        self._filled = self._counts
        self._menu.clear()
        with self._menu:
            menu_item(f"All items ({sum(self._counts.values()):,})", "list", lambda: self._choose(None))
            for status in (*TELLING, "succeeded", "skipped"):
                if count := self._counts.get(status):
                    title = f"{status.capitalize()} ({count:,})"
                    menu_item(title, "filter_list", lambda status=status: self._choose(status))


class ItemBar:
    """Which item of a loop is looked at, and the ways to the others; *choose* looks at one."""

    def __init__(self, choose: Callable[[Loop, Wanted], object]) -> None:
        self._choose = choose
        with box("fr-items"):
            self._before = icon_button("chevron_left", "Item before", lambda: self._go(-1), is_small=True)
            self._now = ui.label().classes("fr-items-now pw-num")
            self._after = icon_button("chevron_right", "Next item", lambda: self._go(1), is_small=True)
            ui.space()
            self._choice = ItemChoice(lambda status: self._choose(self._loop, Wanted(0, status)))

    def show(self, loop: Loop, picked: Picked) -> None:
        """Show the item of *loop* that is looked at now."""
        assert picked.item is not None
        self._loop, self._picked = loop, picked
        place, status, total = picked.wanted.place, picked.wanted.status, picked.page.total
        self._before.set_enabled(place > 0)
        self._now.set_text(words.item(picked.item.iteration.rpartition(".")[2]))
        self._after.set_enabled(place + 1 < total)
        of_status = "" if status is None else f" {status}"
        self._choice.show(f"{place + 1:,} of {total:,}{of_status}", picked.page.counts)

    def _go(self, by: int) -> object:
        wanted = self._picked.wanted
        return self._choose(self._loop, Wanted(wanted.place + by, wanted.status))


class ItemList:
    """A page of a loop's items, with their status; *choose* looks at one."""

    def __init__(self, service: Service, run_id: int, loop: Loop, choose: Callable[[Wanted], object]) -> None:
        self._runs = service.runs
        self._run_id = run_id
        self._loop = loop
        self._choose = choose
        self._status: str | None = None
        self._offset = 0
        self._lines: list[ItemLine] = []
        self._client = ui.context.client
        with box("fr-item-list") as self._box:
            with box("fr-item-head"):
                ui.label("Items").classes("fs-title")
                self._choice = ItemChoice(self._filter)
            self._list = box("fr-item-lines")
            with box("fr-item-pager") as self._pager:
                self._before = icon_button("chevron_left", "Items before", lambda: self._turn(-PAGE), is_small=True)
                self._shown = ui.label().classes("pw-muted pw-num")
                self._after = icon_button("chevron_right", "More items", lambda: self._turn(PAGE), is_small=True)
        self._box.set_visibility(False)

    async def read(self) -> None:
        """Read the page and show it; lines that stay are not drawn anew."""
        node, within = self._loop
        status, offset = wanted = (self._status, self._offset)
        page = await to_thread(
            self._runs.items, self._run_id, node, within=within, status=status, offset=offset, limit=PAGE
        )
        if wanted == (self._status, self._offset) and not self._box.is_deleted:  # else another page is being read
            with self._client:
                self._show(page)

    def _show(self, page: ItemPage) -> None:
        self._box.set_visibility(True)
        self._choice.show(f"{page.total:,} {self._status}" if self._status else f"All {page.total:,}", page.counts)
        with self._list:
            while len(self._lines) < len(page.items):
                self._lines.append(ItemLine(len(self._lines), self._look_at))
        for place, line in enumerate(self._lines):
            line.show(page.items[place] if place < len(page.items) else None)
        self._pager.set_visibility(page.total > PAGE)
        last = min(self._offset + PAGE, page.total)
        self._shown.set_text(f"{self._offset + 1:,} to {last:,} of {page.total:,}")
        self._before.set_enabled(self._offset > 0)
        self._after.set_enabled(last < page.total)

    def _look_at(self, place: int) -> object:
        return self._choose(Wanted(self._offset + place, self._status))

    async def _turn(self, by: int) -> None:
        self._offset = max(0, self._offset + by)
        await self.read()

    async def _filter(self, status: str | None) -> None:
        self._status, self._offset = status, 0
        await self.read()


class ItemLine:
    """One item in a list; *choose* gets its place there."""

    def __init__(self, place: int, choose: Callable[[int], object]) -> None:
        with box("fr-item", "button").props("type=button") as self._box:
            self._state = state_icon("planned")
            self._number = ui.label().classes("fr-item-number pw-num")
            self._error = ui.label().classes("fr-item-error pw-clip")
            self._taken = ui.label().classes("pw-muted pw-num")
        self._box.on("click", lambda: choose(place))

    def show(self, item: ItemView | None) -> None:
        """Show an item; None hides the line."""
        self._box.set_visibility(item is not None)
        if item is None:
            return
        show_state(self._state, item.status)
        self._number.set_text(words.item(item.iteration.rpartition(".")[2]))
        self._error.set_text(item.error or "")
        self._taken.set_text(_taken(item))
        told = (self._number.text, state_word(item.status), item.error, self._taken.text)
        label = ", ".join(each for each in told if each)
        if self._box.props.get("aria-label") != label:
            self._box.props["aria-label"] = label
            self._box.update()


def _taken(item: ItemView) -> str:
    if item.started_at is None or item.ended_at is None:
        return ""
    taken = max(timedelta(0), item.ended_at - item.started_at)
    return "< 1 ms" if taken < timedelta(milliseconds=1) else words.duration(taken)
