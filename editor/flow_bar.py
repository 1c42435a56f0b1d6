"""The bar above the canvas: name, state, undo and redo, test, publish, and what else can be done with a flow."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.element import Element

from editor.draft import Draft
from editor.flow_dialogs import start_flow
from editor.flow_queue import LONG_QUEUE, NoticeBar, ask_about_queue, waiting
from editor.frame import box, icon
from editor.session import may_edit
from editor.widgets import Refused, button, confirm, icon_button, menu_item, tell, toast
from runtime.errors import NotFound, Problem
from runtime.flow_views import FlowView
from runtime.limits import NAME_CHARS
from runtime.manual import manual_triggers

if TYPE_CHECKING:
    from runtime.service import Service


class FlowBar:
    """*save_all* is awaited before the draft is published or exported."""

    def __init__(
        self,
        service: Service,
        draft: Draft,
        *,
        save_all: Callable[[], Awaitable[None]],
        visit: Callable[[Problem], None],
        toggle_test: Callable[[], None],
        limit: Callable[[], None],
        show_help: Callable[[], None],
        notice_place: Element,
    ) -> None:
        self._service = service
        self._draft = draft
        self._save_all = save_all
        self._visit = visit
        self._toggle_test = toggle_test
        self._limit = limit
        self._show_help = show_help
        self._titled: str | None = None
        self._may_edit = may_edit()
        self._notice = NoticeBar(
            notice_place, resume=self._resume_flow, dismiss=self._dismiss_notice, may_edit=self._may_edit
        )

    def update(self) -> None:
        """Show what the draft is now."""
        view = self._draft.view
        if not self._draft.in_flight and self._name.value != view.name:
            self._name.set_value(view.name)
        if view.name != self._titled:
            self._titled = view.name
            ui.page_title(f"{view.name} · Pulsewire")
        self._undo.set_enabled(self._draft.can_undo)
        self._redo.set_enabled(self._draft.can_redo)
        if self._may_edit:
            _enable(self._undo_item, self._draft.can_undo)
            _enable(self._redo_item, self._draft.can_redo)
        self._show_state(view)
        self._notice.update(view)

    def _show_state(self, view: FlowView) -> None:
        text, tone = _state(view)
        self._chip.classes(replace=f"pw-chip pw-chip--{tone} fe-state")
        self._chip.clear()
        with self._chip:
            ui.label(text)
        has_version = view.published_version is not None
        self._start.set_visibility(self._may_edit and view.state == "published" and bool(self._manual_triggers()))
        self._pause.set_visibility(self._may_edit and view.state == "published")
        self._resume.set_visibility(self._may_edit and view.state == "paused")
        self._unpublish.set_visibility(self._may_edit and has_version)
        self._live_rule.set_visibility(self._may_edit and has_version)
        is_current = has_version and not view.has_unpublished_changes
        self._publish.set_enabled(not is_current or view.state == "paused")
        self._publish.set_text(("Resume" if view.state == "paused" else "Published") if is_current else "Publish")

    def build(self) -> None:
        """Draw it in the current place."""
        with ui.link(target="/").classes(replace="fe-back").props('aria-label="All flows" title="All flows"'):
            icon("arrow_back")
        self._name = ui.input(value=self._draft.view.name, on_change=self._rename)
        self._name.props(f"borderless dense debounce=300 maxlength={NAME_CHARS} aria-label='Name of the flow'")
        self._name.classes("fe-flow-name")
        self._chip = box("pw-chip fe-state", "span")
        box("fe-save").props("id=fe-save")
        with box("fe-top-end"):
            with box("fe-tools-group pw-not-phone") as history:
                self._undo = icon_button("undo", "Undo (Ctrl+Z)", self._draft.undo)
                self._redo = icon_button("redo", "Redo (Ctrl+Y)", self._draft.redo)
            self._test = button("Test", self._toggle_test, icon="play_arrow").classes("fe-test")
            self._publish = button("Publish", self._publish_flow, kind="primary").classes("fe-publish")
            if not self._may_edit:
                for control in (history, self._test, self._publish):
                    control.set_visibility(False)
                self._name.props("readonly")
                with box("pw-chip pw-chip--plain", "span").props('title="Your role reads flows"'):
                    ui.label("Read only")
            with icon_button("more_vert", "More"), ui.menu().props("anchor='bottom right' self='top right'"):
                self._menu()

    def _menu(self) -> None:
        if self._may_edit:  # on a phone, where the bar has no place for them
            self._undo_item = menu_item("Undo", "undo", self._draft.undo).classes("pw-only-phone")
            self._redo_item = menu_item("Redo", "redo", self._draft.redo).classes("pw-only-phone")
            ui.separator().classes("pw-only-phone")
        self._start = menu_item("Start by hand", "touch_app", self._start_flow)
        self._pause = menu_item("Pause", "pause", self._pause_flow)
        self._resume = menu_item("Resume", "play_arrow", self._resume_flow)
        self._unpublish = menu_item("Unpublish", "cloud_off", self._unpublish_flow)
        self._live_rule = ui.separator()
        if self._may_edit:
            menu_item("Limits and retention", "tune", self._limit)
        menu_item("Export JSON", "download", self._export)
        if self._may_edit:
            menu_item("Duplicate", "content_copy", self._duplicate)
        menu_item("Runs of this flow", "history", lambda: ui.navigate.to(f"/runs?flow={self._draft.flow_id}"))
        menu_item("Keyboard shortcuts", "keyboard", self._show_help)
        with ui.menu_item(auto_close=False) as item:
            icon("contrast")
            ui.label("Change the theme")
        item.on("click", js_handler="() => window.pulsewireTheme.next()")
        if self._may_edit:
            ui.separator()
            menu_item("Delete", "delete", self._delete, is_danger=True)

    async def _rename(self, event: Any) -> None:
        name = (event.value or "").strip()
        if name and name != self._draft.view.name:
            await self._draft.edit([{"op": "patch_flow", "set": {"name": name}}], "name")

    async def _publish_flow(self) -> None:
        view = self._draft.view
        if view.state == "paused" and not view.has_unpublished_changes:
            await self._resume_flow()
            return
        queue = await ask_about_queue(view.name, view.queued if view.state == "paused" else 0)
        if queue and await self._act(lambda flow_id: self._service.flows.publish(flow_id, queue=queue)):
            version = self._draft.view.published_version
            toast(f"Published as version {version}. Its triggers start runs from now on.")

    def _manual_triggers(self) -> dict[str, str]:
        document = self._draft.document
        names = {node["id"]: node["name"] for node in document["nodes"]}
        return {node_id: names[node_id] for node_id in manual_triggers(document, self._service.types)}

    def _start_flow(self) -> None:
        start_flow(self._service, self._draft.view, self._manual_triggers())

    async def _pause_flow(self) -> None:
        if await self._act(self._service.flows.pause):
            toast("Paused. New runs wait until you resume it; those under way go on.")

    async def _resume_flow(self) -> None:
        view = self._draft.view
        queue = await ask_about_queue(view.name, view.queued)
        if queue and await self._act(lambda flow_id: self._service.flows.resume(flow_id, queue)):
            toast("Resumed. Its triggers start runs again.")

    async def _dismiss_notice(self) -> None:
        await self._act(self._service.flows.dismiss_notice)

    async def _unpublish_flow(self) -> None:
        if await self._act(self._service.flows.unpublish):
            toast("Unpublished. Events start nothing; runs under way go on.")

    async def _act(self, action: Callable[[str], object]) -> bool:
        await self._save_all()
        try:
            return await self._draft.act(action)
        except Refused as refusal:
            tell(refusal)
            first = next((problem for problem in getattr(refusal, "problems", []) if problem.node), None)
            if first:
                self._visit(first)
            return False

    async def _export(self) -> None:
        await self._save_all()
        try:
            text = await to_thread(self._service.flows.export, self._draft.flow_id)
        except Refused as refusal:
            tell(refusal)
        else:
            ui.download.content(text, f"{self._draft.flow_id}.json", "application/json")

    async def _duplicate(self) -> None:
        await self._save_all()
        try:
            copy = await to_thread(self._service.flows.duplicate, self._draft.flow_id)
        except Refused as refusal:
            tell(refusal)
        else:
            ui.navigate.to(f"/flows/{copy.id}")

    async def _delete(self) -> None:
        view = self._draft.view
        live = " It is published: events will start nothing." if view.published_version is not None else ""
        if await confirm(
            f"Delete “{view.name}”?",
            f"The flow and its history of changes are deleted.{live} Its runs stay.",
            action="Delete flow",
        ):
            self._draft.close()
            with suppress(NotFound):  # somebody was quicker
                await to_thread(self._service.flows.delete, self._draft.flow_id)
            ui.navigate.to("/")


def _enable(item: ui.menu_item, is_enabled: bool) -> None:
    if item.props.get("disable", False) is is_enabled:
        item.props["disable"] = not is_enabled
        item.update()


def _state(view: FlowView) -> tuple[str, str]:
    if view.state == "paused":
        return f"Paused v{view.published_version}", "warn"
    if view.queued >= LONG_QUEUE and view.published_version is not None:
        return f"Published v{view.published_version} · {waiting(view.queued)}", "ok"
    if view.published_version is None:
        return "Draft", "plain"
    if view.has_unpublished_changes:
        return "Unpublished changes", "warn"
    return f"Published v{view.published_version}", "ok"
