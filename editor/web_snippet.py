"""What a front-end developer needs to sign people in with the SuperTokens web client."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from nicegui import ui

from editor.frame import box
from editor.widgets import copies, icon_button

SNIPPET = """\
import SuperTokens from "supertokens-web-js";
import EmailPassword from "supertokens-web-js/recipe/emailpassword";
import EmailVerification from "supertokens-web-js/recipe/emailverification";
import Session from "supertokens-web-js/recipe/session";

SuperTokens.init({{
  appInfo: {{
    appName: {name},
    apiDomain: {domain},
    apiBasePath: {path},
  }},
  recipeList: [EmailPassword.init(), EmailVerification.init(), Session.init()],
}});"""


def web_snippet(public_url: str, name: str) -> str:
    """Return the set-up of the client for an installation at *public_url*."""
    parts = urlsplit(public_url)
    return SNIPPET.format(
        name=json.dumps(name or "My app", ensure_ascii=False),
        domain=json.dumps(f"{parts.scheme}://{parts.netloc}"),
        path=json.dumps(f"{parts.path.rstrip('/')}/auth"),
    )


def draw_snippet(public_url: str, name: str) -> None:
    """Draw the set-up with a button to copy it."""
    with box("pw-field"):
        with box("pw-code-head"):
            ui.label("Set up supertokens-web-js").classes("pw-label")
            copy = icon_button("content_copy", "Copy the set-up", is_small=True)
        shown = ui.label(web_snippet(public_url, name)).classes("pw-code")
        copies(copy, shown)
        with box("pw-hint"):
            ui.label("Nothing else changes: the existing client signs people up, in and out, verifies and resets.")
