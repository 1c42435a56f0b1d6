"""The built-in mailbox: what was sent while no mail server is set."""

from __future__ import annotations

import re
from asyncio import to_thread
from typing import TYPE_CHECKING

from fastapi import Request, Response
from nicegui import app as pages
from nicegui import ui

from backend.errors import BackendError, NotFound
from backend.mailbox import Message, MessageSummary
from editor import words
from editor.elements import web_page
from editor.frame import box, frame, icon
from editor.session import operator_here, service_here, with_role
from editor.widgets import Refused, button, chip, confirm, empty_state, icon_button, link_button, segments, tell, toast
from runtime.errors import Forbidden
from runtime.http.access import actor_of

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.service import Service

PAGE = 50
REFRESH_S = 3.0
LIVE_LINK = "It carries a link that works like a password."
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"  # a link opens in a tab of its own; nothing else is allowed
HTML_POLICY = (
    f"sandbox {SANDBOX}; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)


def register(app: App) -> None:
    """Add the page, and the address that shows a message's HTML with nothing allowed."""

    @web_page("/mailbox", title="Mailbox · Pulsewire")
    async def mailbox_page(message: int | None = None) -> None:
        if not with_role("editor"):
            return
        with frame("Mailbox", active="mailbox", layout="full"):
            await MailboxPage(service_here(app)).build(message)

    @pages.get("/mailbox/{message_id}/html", include_in_schema=False)
    def html(message_id: int, request: Request) -> Response:
        try:
            content = app.service.of(actor_of(request)).mailbox.get(message_id).html or ""
        except Forbidden as refusal:
            return Response(str(refusal), status_code=403, media_type="text/plain")
        except NotFound:
            return Response("There is no such message.", status_code=404, media_type="text/plain")
        headers = {
            "Content-Security-Policy": HTML_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "SAMEORIGIN",
            "Cache-Control": "no-store",
        }
        return Response(_with_links_outside(content), media_type="text/html; charset=utf-8", headers=headers)


def _with_links_outside(html: str) -> str:
    """Return a message whose links open in a new tab: pages that keep out of frames could not be shown in this one."""
    head = re.search(r"<head(?:\s[^>]*)?>", html, re.IGNORECASE)
    start = head.end() if head else 0
    return f'{html[:start]}<base target="_blank">{html[start:]}'


class MailboxPage:
    """List on the left, the open message on the right; on phones one after the other."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._messages: list[MessageSummary] = []
        self._limit = PAGE
        self._open: int | None = None

    async def build(self, message: int | None) -> None:
        """Draw the page and open *message*, if one is named."""
        self._is_owner = operator_here().may("owner")
        with box("pw-mail") as self._page:
            with box("pw-mail-side"):
                with box("pw-mail-head", "header"):
                    with box(tag="h1").classes("pw-title"):
                        ui.label("Mailbox")
                    self._clear = icon_button("delete_sweep", "Clear the mailbox", self._clear_all)
                self._banner = box("pw-place")
                self._list = box("pw-mail-list", "ul")
            self._detail = box("pw-mail-detail", "section")
        await self._show_banner()
        self._messages = await to_thread(self._service.mailbox.list, self._limit)
        self._draw_list()
        if message is not None:
            await self._read(message)
        else:
            self._draw_nothing_open()
        ui.timer(REFRESH_S, self._look, immediate=False)

    async def _show_banner(self) -> None:
        with self._banner, box("pw-note"):
            icon("info")
            try:
                is_set = await to_thread(self._service.preferences.has_smtp)
            except BackendError as refusal:
                ui.label(" ".join(fault.message for fault in refusal.faults))
                return
            with box():
                if is_set:
                    ui.label("Mail now leaves through a mail server. Here is what was kept before.")
                    return
                ui.label("No mail server is set, so nothing leaves this machine: every message is kept here.")
                if self._is_owner:
                    ui.link("Set up a mail server", "/settings#mail").classes(replace="pw-textlink")

    async def _look(self) -> None:
        messages = await to_thread(self._service.mailbox.list, self._limit)
        if messages != self._messages:
            self._messages = messages
            self._draw_list()

    async def _more(self) -> None:
        self._limit += PAGE
        await self._look()

    def _draw_list(self) -> None:
        self._list.clear()
        self._clear.set_visibility(bool(self._messages))
        with self._list:
            for message in self._messages:
                self._line(message)
            if not self._messages:
                with empty_state(
                    "inbox",
                    "No mail yet",
                    "When a flow sends an email, you can read it here. Try it: publish a flow with “Send email”.",
                ):
                    pass
            elif len(self._messages) == self._limit:
                with box("pw-more", "li"):
                    button("Show older mail", self._more)
            if not self._is_owner:
                with box("pw-mail-kept", "li"):
                    icon("lock")
                    ui.label("Mail that carries a live link is shown to owners only.")

    def _line(self, message: MessageSummary) -> None:
        classes = "pw-mail-line" + ("" if message.is_read else " is-unread")
        with box(tag="li"), box(classes, "button").props("type=button") as line:
            if message.id == self._open:
                line.props("aria-current=true")
            with box("pw-mail-top"):
                ui.label(", ".join(message.recipients)).classes("pw-clip pw-grow pw-mail-to")
                if message.has_secret:
                    icon("lock").classes("pw-mail-lock").props["title"] = LIVE_LINK
                when = ui.label(words.ago(message.created_at)).classes("pw-row-sub")
                when.props["title"] = words.exact(message.created_at)
            ui.label(message.subject or "(no subject)").classes("pw-clip pw-mail-subject")
        line.on("click", lambda: self._read(message.id))

    def _draw_nothing_open(self) -> None:
        self._page.classes(remove="is-open")
        self._detail.clear()
        if self._messages:
            with self._detail, empty_state("drafts", "Choose a message", "It opens here."):
                pass

    async def _read(self, message_id: int) -> None:
        mailbox = self._service.mailbox
        try:
            message = await to_thread(mailbox.get, message_id)
            if not message.is_read:
                await to_thread(mailbox.mark_read, message_id)
        except Forbidden:
            self._draw_kept()
            return
        except Refused as refusal:
            tell(refusal)
            self._draw_nothing_open()
            return
        self._open = message_id
        self._messages = await to_thread(mailbox.list, self._limit)
        self._draw_list()
        self._page.classes("is-open")
        self._detail.clear()
        with self._detail:
            self._draw(message)

    def _draw_kept(self) -> None:
        self._page.classes("is-open")
        self._detail.clear()
        title, text = "This message is for owners", f"{LIVE_LINK} Ask an owner to open it."
        with self._detail, empty_state("lock", title, text):
            button("All mail", self._close, icon="arrow_back")

    def _draw(self, message: Message) -> None:
        with box("pw-mail-title"):
            icon_button("arrow_back", "Back to the list", self._close, has_tip=False).classes("pw-only-phone")
            with box(tag="h2").classes("pw-grow"):
                ui.label(message.subject or "(no subject)")
        with box("pw-mail-facts"):
            facts = (("From", message.sender), ("To", ", ".join(message.recipients)))
            for name, value in (*facts, ("Kept", words.exact(message.created_at))):
                ui.label(name)
                ui.label(value)
        with box("pw-mail-chips"):
            if message.run_id is not None:
                link_button(f"Run #{message.run_id}", f"/runs/{message.run_id}", icon="history", kind="ghost")
            if message.has_secret:
                chip("Live link", "warn", symbol="lock").props["title"] = LIVE_LINK
            for part in message.attachments:
                chip(f"{part.name} · {words.size(len(part.content))}", symbol="attach_file")
        kinds = {
            key: title
            for key, title, content in (
                ("html", "HTML", message.html),
                ("text", "Text", message.text),
                ("source", "Source", message.source),
            )
            if content is not None
        }
        first = next(iter(kinds))

        def show(kind: str) -> None:
            body.clear()
            with body:
                if kind == "html":
                    view = ui.element("iframe").props("referrerpolicy=no-referrer title=Message")
                    view.props["sandbox"] = SANDBOX
                    view.props["src"] = f"/mailbox/{message.id}/html"
                else:
                    text = message.text if kind == "text" else message.source
                    ui.label(text or "").classes("pw-mail-text" + (" pw-mono" if kind == "source" else ""))

        with box("pw-mail-kinds"):
            segments(kinds, first, lambda event: show(event.value))
        body = box("pw-mail-body")
        show(first)

    def _close(self) -> None:
        self._open = None
        self._draw_nothing_open()
        self._draw_list()

    async def _clear_all(self) -> None:
        text = "Every message in it is deleted for good."
        if not await confirm("Clear the mailbox?", text, action="Clear mailbox"):
            return
        count = await to_thread(self._service.mailbox.clear)
        toast(f"{words.count(count, 'message')} deleted")
        self._open = None
        await self._look()
        self._draw_nothing_open()
