"""The hosted pages as their owner sets them up: on or off, sign-ups, where people go afterwards, name, logo, colour."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from backend.errors import BackendError, Fault
from backend.transaction import writing
from backend.user_values import is_printable
from storage.database import Database
from storage.errors import StorageError
from storage.tables import Setting

KEY = "hosted_pages"
REMEMBERED_S = 0.5
NAME_CHARS = 100
URL_CHARS = 2_000
LOGO_BYTES = 200_000
ORIGINS = 20
COLOUR = "#6366f1"
LOGO_STARTS = {"png": rb"\x89PNG\r\n\x1a\n", "jpeg": rb"\xff\xd8\xff", "webp": rb"RIFF.{4}WEBP"}  # no SVG: it can act
USUAL_PORTS = {"http": ":80", "https": ":443"}
IN_DATA_URL = re.compile(r"data:image/(png|jpeg|webp);base64,([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True)
class Hosted:
    """The settings of the hosted pages. *logo* is a data URL or empty, ready for the ``src`` of an image.

    *callback_url* is where people go once they are signed in or verified, or empty. *web_origins* are the sites whose
    pages may call ``/auth``.
    """

    is_on: bool = True
    allow_sign_up: bool = True
    callback_url: str = ""
    name: str = ""
    logo: str = field(default="", repr=False)
    colour: str = COLOUR
    web_origins: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the published shape."""
        return vars(self) | {"web_origins": [*self.web_origins]}


class HostedPages:
    """Reads and keeps the settings of the hosted pages; what was read is good for half a second."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._now_s = now_s
        self._known: tuple[float, Hosted] | None = None  # replaced as a whole, so that threads see no half of it
        self._lock = threading.Lock()  # never held while the database is asked, so that a reader does not wait

    def read(self) -> Hosted:
        """Return the settings, at most half a second old where another process changed them.

        While the database cannot be read they stay as they were; StorageError for settings that were never read.
        """
        known = self._known
        if known is None or self._now_s() - known[0] >= REMEMBERED_S:
            found = (self._now_s(), self._stored(known and known[1]))
            with self._lock:
                if self._known is known:  # else somebody saved meanwhile, and this is what was before
                    self._known = found
                known = self._known or found
        return known[1]

    def save(self, entered: Hosted) -> Hosted:
        """Use these settings from now on and return them as kept; raises BackendError with every fault."""
        hosted = replace(
            entered,
            callback_url=_stripped(entered.callback_url),
            name=_stripped(entered.name),
            web_origins=tuple(dict.fromkeys(map(_origin, entered.web_origins))),
        )
        if faults := [*_faults(hosted)]:
            raise BackendError(*faults)
        with writing(self._database) as session:
            row = session.get(Setting, KEY) or Setting(key=KEY, value={})
            row.value, row.updated_at = hosted.as_json(), self._clock()
            session.add(row)
        with self._lock:
            self._known = (self._now_s(), hosted)
        return hosted

    def _stored(self, known: Hosted | None) -> Hosted:
        try:
            with self._database.read() as session:
                row = session.get(Setting, KEY)
        except StorageError:
            if known is None:
                raise
            return known
        if row is None:
            return Hosted()
        return Hosted(**{**row.value, "web_origins": tuple(row.value["web_origins"])})


def logo_from(raw: bytes) -> str:
    """Return the picture in *raw* as a logo; raises BackendError for anything but a small PNG, JPEG or WebP."""
    kind = next((kind for kind, start in LOGO_STARTS.items() if re.match(start, raw, re.DOTALL)), None)
    if kind is None or len(raw) > LOGO_BYTES:
        raise BackendError(_logo_fault())
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"


def _faults(hosted: Hosted) -> Iterator[Fault]:
    for name in ("is_on", "allow_sign_up"):
        if not isinstance(getattr(hosted, name), bool):
            yield Fault("hosted.switch_invalid", "This is on or off.", name)
    if hosted.callback_url != "" and not _is_web_address(hosted.callback_url):
        message = "Enter a whole address such as https://app.example.com/welcome, or leave it empty."
        yield Fault("hosted.callback_invalid", message, "callback_url")
    if not isinstance(hosted.name, str) or len(hosted.name) > NAME_CHARS or not is_printable(hosted.name):
        yield Fault("hosted.name_invalid", f"A name is at most {NAME_CHARS} printable characters.", "name")
    if hosted.logo != "" and not _is_logo(hosted.logo):
        yield _logo_fault()
    if not isinstance(hosted.colour, str) or not re.fullmatch("#[0-9a-fA-F]{6}", hosted.colour):
        yield Fault("hosted.colour_invalid", "A colour is written like #6366f1.", "colour")
    yield from _origin_faults(hosted.web_origins)


def _origin_faults(origins: tuple[str, ...]) -> Iterator[Fault]:
    if len(origins) > ORIGINS:
        yield Fault("hosted.origin_invalid", f"At most {ORIGINS} sites can be named.", "web_origins")
    for index, origin in enumerate(origins):
        if not re.fullmatch(r"https?://[^/?#\\]+", str(origin)) or not _is_web_address(origin):
            message = "A site is written like https://app.example.com: no path, and nothing may stand for any name."
            yield Fault("hosted.origin_invalid", message, f"web_origins[{index}]")


def _is_web_address(text: object) -> bool:
    """Return whether *text* is an absolute address that browsers and we read alike."""
    if not isinstance(text, str) or len(text) > URL_CHARS or re.search(r"[\s\\<>\"'*]", text) or not is_printable(text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port  # a port out of range is a ValueError
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _origin(text: object) -> str:
    """Return an origin as browsers send it: in lower case, without the port that goes without saying."""
    scheme, mark, host = str(_stripped(text)).lower().removesuffix("/").partition("://")
    with suppress(UnicodeError):
        host = host if host.isascii() else host.encode("idna").decode()
    return f"{scheme}{mark}{host.removesuffix(USUAL_PORTS.get(scheme, ''))}"


def _stripped(text: Any) -> Any:
    return text.strip() if isinstance(text, str) else text


def _is_logo(text: object) -> bool:
    found = IN_DATA_URL.fullmatch(text) if isinstance(text, str) and len(text) <= LOGO_BYTES * 2 else None
    if found is None:
        return False
    try:
        return logo_from(base64.b64decode(found[2], validate=True)) == text
    except (ValueError, BackendError):
        return False


def _logo_fault() -> Fault:
    message = f"A logo is a PNG, JPEG or WebP picture of at most {LOGO_BYTES // 1000} kB."
    return Fault("hosted.logo_invalid", message, "logo")
