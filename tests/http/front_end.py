"""A front-end as the tests of ``/auth`` use it, and what they look at."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
from sqlmodel import select

from backend.events import EmailVerificationRequested, Event, PasswordResetRequested
from runtime.service import Service
from storage.tables import UserSession

EMAIL, PASSWORD = "ada@example.com", "correct horse 1"
MODES: dict[str, dict[str, str]] = {
    "cookie": {"st-auth-mode": "cookie"},
    "header": {"st-auth-mode": "header"},
    "body": {"fg-auth-mode": "body"},
}
POSTS = {
    "/auth/signup": {"formFields": [{"id": "email", "value": EMAIL}, {"id": "password", "value": PASSWORD}]},
    "/auth/signin": {"formFields": [{"id": "email", "value": EMAIL}, {"id": "password", "value": PASSWORD}]},
    "/auth/session/refresh": {"refreshToken": "x"},
    "/auth/user/email/verify": {"method": "token", "token": "x"},
    "/auth/user/password/reset/token": {"formFields": [{"id": "email", "value": EMAIL}]},
    "/auth/user/password/reset": {"token": "x", "formFields": [{"id": "password", "value": PASSWORD}]},
}


def form(**fields: Any) -> dict[str, Any]:
    return {"formFields": [{"id": name, "value": value} for name, value in fields.items()]}


@dataclass
class Client:
    """A front-end that keeps its tokens in one of the three ways; the cookies are kept by *http*."""

    http: httpx.AsyncClient
    mode: str
    access: str = ""
    refresh: str = ""
    csrf: str = ""

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.call("POST", path, body, **headers)

    async def get(self, path: str) -> httpx.Response:
        return await self.call("GET", path)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {**MODES[self.mode], **headers}
        token = self.refresh if path == "/auth/session/refresh" else self.access
        if self.mode != "cookie" and token:
            sent["Authorization"] = f"Bearer {token}"
        if self.mode == "cookie" and self.csrf:
            sent.setdefault("anti-csrf", self.csrf)
        answer = await self.http.request(method, path, json=body, headers=sent)
        self.keep(answer)
        return answer

    def keep(self, answer: httpx.Response) -> None:
        """Take the tokens from *answer*, as a front-end does."""
        found = answer.json() if self.mode == "body" else answer.headers
        access, refresh = {
            "cookie": ("", ""),
            "header": ("st-access-token", "st-refresh-token"),
            "body": ("accessToken", "refreshToken"),
        }[self.mode]
        self.access, self.refresh = found.get(access, self.access), found.get(refresh, self.refresh)
        self.csrf = answer.headers.get("anti-csrf", self.csrf)

    async def sign_up(self, email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
        return await self.post("/auth/signup", form(email=email, password=password))

    async def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
        return await self.post("/auth/signin", form(email=email, password=password))

    async def is_signed_in(self) -> bool:
        return (await self.get("/auth/user")).status_code == 200


def kinds(fired: list[Event]) -> list[type[Event]]:
    return [type(event) for event in fired]


def token_of(fired: list[Event], kind: type[EmailVerificationRequested | PasswordResetRequested]) -> str:
    return [event for event in fired if isinstance(event, kind)][-1].token


def claims(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(answer.headers["front-token"], validate=True))
    return found


def cookies_of(answer: httpx.Response) -> dict[str, Morsel[str]]:
    found: SimpleCookie = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        found.load(header)
    return dict(found)


def expire_access(service: Service) -> None:
    """Let every access token have run out a second ago."""
    with service.database.write() as session:
        for row in session.exec(select(UserSession)):
            row.access_expires_at = datetime.now(UTC) - timedelta(seconds=1)
            session.add(row)
