"""The HTTP client of one step: adds a stored login where it may go, and says what led to a call of ourselves.

The node names a credential and never sees it; the client behind this one guards addresses and bounds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from backend.errors import BackendError
from backend.logins import Login
from nodes.spec import HttpResponse, NodeError
from runtime import causes, wording
from runtime.addresses import OpenHosts, read_url
from runtime.platform import Platform
from storage.journal_runs import RunState

KeepSecret = Callable[[Iterable[str]], None]


class StepHttp:
    """A ``nodes.spec.Http``. *keep_secret* has what is sent masked in the records of the run."""

    def __init__(self, platform: Platform, run: RunState, idempotency_key: str, keep_secret: KeepSecret) -> None:
        self._platform = platform
        self._run = run
        self._message_id = idempotency_key.replace(".", "-")  # the dot parts what is signed
        self._keep_secret = keep_secret

    def check(self, url: str, headers: Mapping[str, str]) -> None:
        """Raise NodeError for an address or headers that no request can have; nothing is looked up."""
        self._platform.http.check(url, headers)

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30,
        credential: str | None = None,
    ) -> HttpResponse:
        """Send one request.

        Raises NodeError with code ``credential.unknown``, ``credential.unreadable``, ``credential.host_refused`` or
        ``credential.header_twice``, and what the client raises.
        """
        given = {name: text for name, text in (headers or {}).items() if name.lower() != causes.HEADER.lower()}
        if credential is not None:
            login = await asyncio.to_thread(self._login, credential)
            given |= self._added(login, url, given, body or b"")
        given |= self._platform.causes.headers(url, self._run)
        return await self._platform.http.request(
            method, url, query=query, headers=given, body=body, timeout_s=timeout_s
        )

    def _login(self, name: str) -> Login:
        try:
            login = self._platform.credentials.login(name)
        except BackendError as error:
            message = f"The secret of {_shown(name)} cannot be read with this installation's key. Enter it again."
            raise NodeError(message, code="credential.unreadable", param="credential") from error
        if login is None:
            message = f"There is no credential {_shown(name)}. Choose another, or create it in the settings."
            raise NodeError(message, code="credential.unknown", param="credential")
        return login

    def _added(self, login: Login, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        target = read_url(url)
        if not OpenHosts(login.hosts).opens(target.host, target.port):
            message = (
                f"The credential {_shown(login.name)} is not meant for “{wording.shown(target.host)}”, so nothing was "
                "sent. An owner can add the host to it in the settings."
            )
            raise NodeError(message, code="credential.host_refused", param="credential")
        added = login.headers(body, self._message_id, time.time())
        names = {name.lower() for name in headers}
        if twice := next((name for name in added if name.lower() in names), None):
            message = f"“Headers” sets {twice}, which the credential {_shown(login.name)} sets as well. Leave it out."
            raise NodeError(message, code="credential.header_twice", param="headers")
        self._keep_secret(login.secrets)
        return added


def _shown(name: str) -> str:
    return f"“{wording.shown(name)}”"
