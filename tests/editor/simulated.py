"""The person that page tests drive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

import httpx
from nicegui import ui
from nicegui.testing import User, UserInteraction

from runtime.service import Service

T = TypeVar("T")


@dataclass
class Pages:
    """The person, the service behind the pages, and plain requests to the same server."""

    user: User
    service: Service
    http: httpx.AsyncClient

    def press(self, title: str) -> None:
        """Click the button with exactly this text; with several, the one drawn last, as in a dialog above the page."""
        found = [each for each in self.user.find(kind=ui.button).elements if each.text == title]
        self._click(max(found, key=lambda each: each.id))

    def press_icon(self, label: str) -> None:
        """Click the button without text that is called so for screen readers."""
        (found,) = [e for e in self.user.find(kind=ui.button).elements if e.props.get("aria-label") == label]
        self._click(found)

    def choose(self, title: str) -> None:
        """Click the line of a menu."""
        for item in self.user.find(kind=ui.menu_item).elements:
            if any(isinstance(each, ui.label) and each.text == title for each in item.descendants()):
                self._click(item)
                return
        raise AssertionError(f"no menu offers “{title}”")

    def _click(self, element: ui.element) -> None:
        with self.user.client or nullcontext():
            UserInteraction(self.user, {element}, None).click()


async def until(check: Callable[[], T], timeout_s: float = 6) -> T:
    """Return what *check* gives as soon as it is true."""
    async with asyncio.timeout(timeout_s):
        while not (value := check()):  # noqa: ASYNC110 - what is waited for happens in threads and other tasks
            await asyncio.sleep(0.02)
    return value
