"""A person at the hosted pages: fills in forms and follows answers like a browser without scripts."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx

from backend.events import (
    EmailVerificationRequested,
    Event,
    PasswordResetRequested,
)
from runtime.service import Service

EMAIL = "anna@example.com"
PASSWORD = "correct horse 1"
OTHER = "another horse 2"
FORMS = ("/login", "/signup", "/verify-email", "/forgot-password")
PAGES = (*FORMS, "/set-new-password", "/account", "/logout")
POSTS = (*FORMS, "/set-new-password", "/logout")
TOKEN = "A" * 43


class Page(HTMLParser):
    """An answer, taken apart."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.status = response.status_code
        self.headers = response.headers
        self.source = response.text
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._open.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self._texts.append((self._open[-1] if self._open else "", data.strip()))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def field(self, name: str) -> dict[str, str]:
        return next(each for each in self.all("input") if each.get("name") == name)

    def text(self, tag: str | None = None) -> str:
        return " ".join(text for name, text in self._texts if tag in (None, name))

    def error_of(self, name: str) -> str:
        """Return what stands beside a field, as the field itself says where."""
        places = self.field(name).get("aria-describedby", "").split()
        found = re.search(rf'id="{name}-error">.*?<span>(.*?)</span>', self.source)
        return found[1] if found and f"{name}-error" in places else ""


class Visitor:
    """A person with a browser: what the forms hold is sent with what the person enters."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str) -> Page:
        return Page(await self.client.get(path))

    async def send(self, path: str, **entered: str) -> Page:
        """Open a page and send its form."""
        page = await self.get(path)
        hidden = {each["name"]: each["value"] for each in page.all("input") if each.get("type") == "hidden"}
        return Page(await self.client.post(path.partition("?")[0], data=hidden | entered))

    @property
    def cookies(self) -> dict[str, str]:
        return dict(self.client.cookies)


def kinds(fired: list[Event]) -> list[type[Event]]:
    return [type(event) for event in fired]


async def token_of(visitor: Visitor, service: Service, fired: list[Event], user: str, purpose: str) -> str:
    """Return the token that is mailed to *user* now."""
    ask = service.users.request_reset if purpose == "reset" else service.users.request_verification
    ask(user)
    event = fired.pop()
    assert isinstance(event, PasswordResetRequested | EmailVerificationRequested)
    return event.token


def hidden_of(page: Page) -> dict[str, str]:
    return {each["name"]: each["value"] for each in page.all("input") if each.get("type") == "hidden"}
