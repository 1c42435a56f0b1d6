"""What the hosted pages look like: templates, the owner's name, logo and colour, and the headers of every answer."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from backend.hosted import COLOUR, IN_DATA_URL, Hosted
from runtime.http.shades import Shades, shades

STATIC = Path(__file__).resolve().parents[2] / "static"
FOLDER = STATIC / "hosted"
GROUNDS = {"light": "#ffffff", "dark": "#161a21"}  # NOTE: --surface in static/hosted/hosted.css
KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
KEPT = "public, max-age=31536000, immutable"  # a year: the addresses change with the content
ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:_-]+", re.IGNORECASE)
NO_FIELDS = dict.fromkeys(("email", "password", "first_name", "last_name", "token"), "")


@dataclass(frozen=True)
class Brand:
    """Who the pages speak for; *initial* stands where there is no logo, and is empty where there is no name."""

    name: str
    initial: str
    logo: str
    icon: str
    styles: str


class Views:
    """Draws pages as the settings of the moment have them."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["assets"] = {
            "css": _address("hosted.css", (FOLDER / "hosted.css").read_bytes()),
            "js": _address("hosted.js", (FOLDER / "hosted.js").read_bytes()),
        }

    def page(
        self,
        name: str,
        hosted: Hosted,
        status: int = 200,
        *,
        values: Mapping[str, str] = NO_FIELDS,
        errors: Mapping[str, str] = NO_FIELDS,
        notice: str = "",
        **more: Any,
    ) -> Response:
        """Return the page of the template *name*, with *values* in its fields and *errors* beside them."""
        content = self._templates.get_template(f"{name}.html").render(
            brand=_brand(hosted),
            may_sign_up=hosted.allow_sign_up,
            values={**NO_FIELDS, **values},
            errors={**NO_FIELDS, **errors},
            notice=notice,
            is_wrong=bool(notice or any(errors.values())),
            **{"move_to": "", "is_dead": False, **more},
        )
        return HTMLResponse(content, status, headers=page_headers(hosted))


def page_headers(hosted: Hosted) -> dict[str, str]:
    """Return what keeps a page to itself: nothing from elsewhere, no frame, no copy, no trace in the next request."""
    after = " ".join(["'self'", *filter(None, [_origin(hosted.callback_url)])])  # where a form's answer may lead
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        f"form-action {after}; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }


def callback(hosted: Hosted) -> tuple[str, str]:
    """Return where people go on to and its short name, both empty where no address is set that a browser may follow."""
    return (hosted.callback_url, urlsplit(hosted.callback_url).netloc) if _origin(hosted.callback_url) else ("", "")


def file(name: str, hosted: Hosted) -> Response | None:
    """Return a file that the pages load, or None."""
    content, kind = _content(name, hosted)
    if not content:
        return None
    headers = {
        "Cache-Control": KEPT,
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=kind, headers=headers)


def _content(name: str, hosted: Hosted) -> tuple[bytes, str]:
    match name:
        case "hosted.css" | "hosted.js":
            return (FOLDER / name).read_bytes(), KINDS[name.rpartition(".")[2]]
        case "brand.css":
            return _styles(hosted.colour).encode(), KINDS["css"]
        case "icon.svg":
            return (STATIC / "favicon.svg").read_bytes(), KINDS["svg"]
        case "logo" if found := IN_DATA_URL.fullmatch(hosted.logo):
            return base64.b64decode(found[2]), f"image/{found[1]}"
    return b"", ""


def _brand(hosted: Hosted) -> Brand:
    logo = _address("logo", hosted.logo.encode()) if IN_DATA_URL.fullmatch(hosted.logo) else ""
    return Brand(
        name=hosted.name or "Pulsewire",
        initial=hosted.name[:1].upper(),
        logo=logo,
        icon=logo or _address("icon.svg", (STATIC / "favicon.svg").read_bytes()),
        styles=_address("brand.css", _styles(hosted.colour).encode()),
    )


def _address(name: str, content: bytes) -> str:
    """Return a file's address, relative, so that pages work behind a proxy that serves them below a path."""
    return f"hosted/{name}?v={sha256(content).hexdigest()[:12]}"


@cache
def _styles(colour: str) -> str:
    try:
        light, dark = (shades(colour, ground) for ground in GROUNDS.values())
    except ValueError:
        return _styles(COLOUR)
    return f"{_rule(light)}\n@media (prefers-color-scheme: dark) {{ {_rule(dark)} }}\n"


def _rule(found: Shades) -> str:
    return (
        f":root {{ --brand: {found.fill}; --on-brand: {found.on_fill}; "
        f"--brand-edge: {found.edge}; --brand-text: {found.text}; }}"
    )


def _origin(address: str) -> str:
    """Return the origin of a web address as a policy can name it, or nothing."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    origin = f"{parts.scheme}://{parts.netloc}"
    return origin if ORIGIN.fullmatch(origin) else ""
