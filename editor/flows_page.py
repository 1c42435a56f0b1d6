"""The list of flows: what starts them, whether they are live, how they last ran."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from editor import words
from editor.elements import web_page
from editor.flow_dialogs import example, import_flow, new_flow
from editor.flow_queue import LONG_QUEUE, ask_about_queue, noticed, waiting
from editor.frame import box, frame, icon
from editor.session import may_edit, service_here
from editor.widgets import (
    STATE_ICONS,
    STATE_TONES,
    Refused,
    button,
    chip,
    confirm,
    empty_state,
    icon_button,
    menu_item,
    row_link,
    segments,
    tell,
    toast,
)
from runtime.flow_views import FlowSummary, LastRun

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

REFRESH_S = 4.0
DEMO = (
    ("violet", "delete_sweep", "Table emptied", "Somebody cleared it"),
    ("amber", "alt_route", "Orders?", "Is it the one I mean?"),
    ("pink", "mail", "Send email", "to ops@example.com"),
)
STATES = {"all": "All", "published": "Published", "paused": "Paused", "draft": "Drafts"}


def register(app: App) -> None:
    """Add the page to the application."""

    @web_page("/", title="Flows · Pulsewire")
    async def flows_page() -> None:
        service = service_here(app)
        page = FlowList(service)

        def actions() -> None:
            button("Import", lambda: import_flow(service), icon="upload")
            button("New flow", lambda: new_flow(service), kind="primary", icon="add")

        with frame("Flows", active="flows", actions=actions if may_edit() else None):
            await page.build()


class FlowList:
    """The rows of the page; drawn again when what they show has changed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._flows: list[FlowSummary] = []
        self._search = ""
        self._state = "all"
        self._open_menus = 0
        self._may_edit = may_edit()

    async def build(self) -> None:
        """Draw the page's content and keep it current."""
        with box("pw-toolbar") as self._toolbar:
            search = ui.input(placeholder="Search flows", on_change=lambda event: self._filter(search=event.value))
            search.props("outlined dense clearable hide-bottom-space debounce=150 aria-label='Search flows'")
            search.classes("pw-search")
            with search.add_slot("prepend"):
                icon("search")
            segments(STATES, "all", lambda event: self._filter(state=event.value))
        self._list = box("pw-list-place")
        self._flows = await to_thread(self._service.flows.list)
        self._draw()
        ui.timer(REFRESH_S, self.refresh, immediate=False)

    async def refresh(self) -> None:
        """Read the flows again; drawing waits while a menu is open, so that it does not close under the hand."""
        flows = await to_thread(self._service.flows.list)
        if flows != self._flows and not self._open_menus:
            self._flows = flows
            self._draw()

    def _filter(self, *, search: str | None = "", state: str | None = None) -> None:
        if state is not None:
            self._state = state
        else:
            self._search = (search or "").strip().casefold()
        self._draw()

    def _matching(self) -> list[FlowSummary]:
        return [
            flow
            for flow in self._flows
            if (self._state in ("all", flow.state))
            and (not self._search or self._search in f"{flow.name} {flow.id} {flow.description}".casefold())
        ]

    def _draw(self) -> None:
        self._open_menus = 0
        self._list.clear()
        self._toolbar.set_visibility(bool(self._flows))
        with self._list:
            if not self._flows:
                self._welcome()
                return
            matching = self._matching()
            if not matching:
                with empty_state("search_off", "No flow matches", "Change the search, or look at all flows."):
                    pass
                return
            with box("pw-card pw-list", "ul"):
                for flow in matching:
                    self._row(flow)

    def _welcome(self) -> None:
        with box("pw-demo").props("aria-hidden=true"):
            for kind, symbol, title, text in DEMO:
                with box("pw-demo-node"):
                    with box(f"pw-tile pw-tile--{kind}"):
                        icon(symbol)
                    with box():
                        ui.label(title).classes("pw-row-title")
                        ui.label(text).classes("pw-row-sub")
        with empty_state(
            None,
            "Draw your first flow",
            "A flow starts at an event — a table was created or emptied, a program reported something — and then acts: "
            "it decides, sends an email, writes rows, calls a service. You draw it, test it with a sample, publish it.",
        ):
            if not self._may_edit:
                return
            button("New flow", lambda: new_flow(self._service), kind="primary", icon="add")
            button("Start from an example", self._create_example, icon="lightbulb")

    async def _create_example(self) -> None:
        try:
            flow = await to_thread(self._service.flows.import_, example())
        except Refused as refusal:
            tell(refusal)
        else:
            ui.navigate.to(f"/flows/{flow.id}")

    def _row(self, flow: FlowSummary) -> None:
        with box("pw-row pw-flow", "li"):
            row_link(f"/flows/{flow.id}", f"Open {flow.name}")
            self._triggers(flow)
            with box("pw-flow-text"):
                ui.label(flow.name).classes("pw-row-title pw-clip")
                ui.label(self._subtitle(flow)).classes("pw-row-sub pw-clip")
            with box("pw-flow-marks"):
                chip(flow.state.capitalize(), STATE_TONES[flow.state])
                if flow.notice is not None:
                    noticed(flow.notice)
                if flow.queued and (flow.state == "paused" or flow.queued >= LONG_QUEUE):
                    chip(waiting(flow.queued), "warn")
                if flow.next_due_at is not None:
                    due = chip(words.ahead(flow.next_due_at), symbol="schedule")
                    due.props["title"] = f"Due next at {words.exact(flow.next_due_at)}"
                if flow.problem_count and flow.node_count and flow.state == "draft":
                    chip(words.count(flow.problem_count, "problem"), "fail", symbol="error")
                elif flow.has_unpublished_changes:
                    chip("Unpublished changes", "warn")
            with box("pw-flow-run"):
                self._last_run(flow.last_run)
            with box("pw-row-tools"):
                self._switch(flow)
                self._menu(flow)

    def _triggers(self, flow: FlowSummary) -> None:
        known = [self._service.types[each] for each in flow.trigger_types if each in self._service.types]
        with box("pw-tile pw-tile--violet" if known else "pw-tile"):
            icon(known[0].icon if known else "draft")
            if len(known) > 1:
                ui.label(f"+{len(known) - 1}").classes("pw-tile-more")

    def _subtitle(self, flow: FlowSummary) -> str:
        titles = [self._service.types[each].title for each in flow.trigger_types if each in self._service.types]
        start = " or ".join(titles[:2]) + (" …" if len(titles) > 2 else "") if titles else "No trigger yet"
        return flow.description or f"{start} · {words.count(flow.node_count, 'node')}"

    def _last_run(self, last: LastRun | None) -> None:
        if last is None:
            ui.label("Never ran").classes("pw-row-sub pw-faint")
            return
        with ui.link(target=f"/runs/{last.id}").classes(replace="pw-last-run") as link:
            tone = STATE_TONES.get(last.status, "plain")
            icon(STATE_ICONS.get(last.status, "help")).classes(f"pw-tone--{tone}")
            ui.label(words.ago(last.created_at))
        link.props["title"] = f"Last run {last.status}, {words.exact(last.created_at)}"

    def _switch(self, flow: FlowSummary) -> None:
        live = flow.state == "published"
        switch = ui.switch(value=live, on_change=lambda: self._set_live(flow, not live)).props("dense")
        switch.props["aria-label"] = f"{flow.name} is live"
        switch.set_enabled(self._may_edit)
        with switch:
            ui.tooltip("Pause: new runs wait" if live else "Go live: events start runs").props("delay=350")

    async def _set_live(self, flow: FlowSummary, is_live: bool) -> None:
        flows = self._service.flows
        act: Callable[[str], object] = flows.pause
        if is_live and flow.state == "paused":
            if (queue := await ask_about_queue(flow.name, flow.queued)) is None:
                self._draw()
                return
            act = partial(flows.resume, queue=queue)
        elif is_live:
            act = flows.publish
        try:
            await to_thread(act, flow.id)
        except Refused as refusal:
            tell(refusal)
        else:
            toast(f"“{flow.name}” is live" if is_live else f"“{flow.name}” is paused")
        self._flows = await to_thread(flows.list)
        self._draw()

    def _menu(self, flow: FlowSummary) -> None:
        with icon_button("more_horiz", f"More for {flow.name}", has_tip=False):
            with ui.menu().props("auto-close anchor='bottom right' self='top right'") as menu:
                menu_item("Open", "open_in_new", lambda: ui.navigate.to(f"/flows/{flow.id}"))
                menu_item("Runs", "history", lambda: ui.navigate.to(f"/runs?flow={flow.id}"))
                if self._may_edit:
                    menu_item("Duplicate", "content_copy", lambda: self._duplicate(flow))
                menu_item("Export as JSON", "download", lambda: self._export(flow))
                if self._may_edit:
                    ui.separator()
                    menu_item("Delete", "delete", lambda: self._delete(flow), is_danger=True)
            menu.on_value_change(lambda event: self._note_menu(1 if event.value else -1))

    def _note_menu(self, step: int) -> None:
        self._open_menus = max(0, self._open_menus + step)

    async def _duplicate(self, flow: FlowSummary) -> None:
        try:
            copy = await to_thread(self._service.flows.duplicate, flow.id)
        except Refused as refusal:
            tell(refusal)
        else:
            toast(f"“{copy.name}” created")
        self._open_menus = 0
        await self.refresh()

    async def _export(self, flow: FlowSummary) -> None:
        try:
            text = await to_thread(self._service.flows.export, flow.id)
        except Refused as refusal:
            tell(refusal)
        else:
            ui.download(text.encode(), f"{flow.id}.json", "application/json")

    async def _delete(self, flow: FlowSummary) -> None:
        live = " It is live: events will start nothing any more." if flow.state == "published" else ""
        text = f"The drawing and its history are removed for good.{live} Runs that it made stay in Runs."
        if not await confirm(f"Delete “{flow.name}”?", text, action="Delete flow"):
            return
        try:
            await to_thread(self._service.flows.delete, flow.id)
        except Refused as refusal:
            tell(refusal)
        else:
            toast(f"“{flow.name}” deleted")
        self._open_menus = 0
        await self.refresh()
