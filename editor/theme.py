"""What every page loads before it is painted: theme, styles, icons and the words of the reconnect notice."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from nicegui import app as pages
from nicegui import ui
from nicegui.translations import translations

STATIC = Path(__file__).resolve().parent.parent / "static"
APPLY_THEME = "window.pulsewireTheme?.apply();"
RECONNECT = {
    "connection_lost": "Connection lost",
    "trying_to_reconnect": "What you saved is safe. Reconnecting…",
    "message_too_long": "Too large to send",
    "message_too_long_body": "That is more than 1 MB at once. Split it into smaller parts, or import it as a file.",
}


@cache
def asset(name: str) -> str:
    """Return the address of a file in ``static/``; it changes with the content, so browsers may keep the old one."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def install() -> None:
    """Let Quasar follow the theme of ``static/theme.js``; calling it again changes nothing."""
    if APPLY_THEME not in pages.config.vue_config_script:
        pages.config.vue_config_script += APPLY_THEME
    translations["en-US"].update(RECONNECT)


def dress() -> None:
    """Add theme and styles to the head of the page being built."""
    ui.add_head_html(
        f'<script src="{asset("theme.js")}"></script>\n'
        f'<script src="{asset("copy.js")}" defer></script>\n'
        f'<link rel="stylesheet" href="{asset("app.css")}">\n'
        '<meta name="referrer" content="same-origin">\n'  # the sign-out form says where it comes from
        '<meta name="theme-color" content="#ffffff" media="(prefers-color-scheme: light)">\n'
        '<meta name="theme-color" content="#14181f" media="(prefers-color-scheme: dark)">'
    )
