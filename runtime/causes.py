"""What led to an event, carried over our own HTTP door in a header that only this installation can sign.

A flow that calls its own installation is a link of a chain like any other: without this, a webhook that calls itself
would go on for ever. What is unsigned, forged or old counts as no cause at all.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson

from backend.secrets import CAUSES, SecretBox
from nodes.spec import NodeError
from runtime.addresses import DEFAULT_PORTS, Target, is_public, read_url
from runtime.outbox import NewEvent
from runtime.settings import Settings
from storage.journal_runs import RunState

HEADER = "Pulsewire-Cause"
LIVES_S = 120
HEADER_CHARS = 8_000
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


class Cause(NamedTuple):
    """The run that made a call, as the event that comes of it says."""

    root_id: str
    parent_run: int
    depth: int
    path: tuple[str, ...]

    def of(self, event: NewEvent) -> NewEvent:
        """Return *event* as led to by this."""
        return event._replace(root_id=self.root_id, parent_run=self.parent_run, depth=self.depth, path=self.path)


class Causes:
    """Signs and reads the header, and knows which addresses are our own."""

    def __init__(self, box: SecretBox, settings: Settings, *, now_s: Callable[[], float] = time.time) -> None:
        self._box = box.for_purpose(CAUSES)
        self._now_s = now_s
        base = urlsplit(settings.public_url)
        self._base = ((base.hostname or "").lower(), base.port or DEFAULT_PORTS[base.scheme])
        self._port = settings.port
        self._host = settings.host.lower()
        by_name = LOOPBACK if self._port in DEFAULT_PORTS.values() else frozenset[str]()
        self._words = {self._base[0], str(self._port)} | by_name  # an address of ours has one of them

    def headers(self, url: str, run: RunState) -> dict[str, str]:
        """Return what to add to a request of *run* to *url*: nothing unless it comes back to us."""
        if url.isascii() and self._base[0].isascii() and not any(word in url.lower() for word in self._words):
            return {}
        try:
            return {HEADER: self.signed(run)} if self._is_own(read_url(url)) else {}
        except NodeError:
            return {}  # the client says what is wrong with the address

    def signed(self, run: RunState) -> str:
        """Return the header's value for a call of *run*."""
        cause = [run.root_id or "", run.id, run.depth + 1, [*run.path, run.flow_id]]
        text = base64.urlsafe_b64encode(orjson.dumps([int(self._now_s()) + LIVES_S, *cause])).decode()
        return f"{text}.{self._box.tag(text)}"

    def read(self, headers: Mapping[str, str]) -> Cause | None:
        """Return what led to a request with these *headers*, names in lower case; None where nothing is proved."""
        given = headers.get(HEADER.lower(), "")
        if not given or len(given) > HEADER_CHARS or not given.isascii():
            return None
        text, _, tag = given.partition(".")
        if not hmac.compare_digest(tag, self._box.tag(text)):
            return None
        try:
            expires, root_id, parent_run, depth, path = orjson.loads(base64.urlsafe_b64decode(text))
        except (binascii.Error, ValueError):
            return None
        return None if expires < self._now_s() else Cause(root_id, parent_run, depth, tuple(path))

    def _is_own(self, target: Target) -> bool:
        if (target.host, target.port) == self._base:
            return True
        if target.port != self._port:
            return False
        is_here = target.host == self._host or target.host in LOOPBACK or target.host.endswith(".localhost")
        is_near = target.address is not None and not is_public(target.host)
        return is_here or (self._host in EVERYWHERE and is_near)
