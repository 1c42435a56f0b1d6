"""The sign-in page in small, as settings that are not saved yet would make it."""

from __future__ import annotations

import re

from nicegui import ui

from backend.hosted import COLOUR, Hosted
from editor.frame import box, icon
from runtime.http.shades import shades

GROUND = "#ffffff"
MARK = (  # NOTE: the macro mark in static/hosted/parts.html
    '<svg viewBox="0 0 32 32"><path d="M6 16.5h4.2a1.6 1.6 0 0 0 1.5-1l1.9-5.2a.7.7 0 0 1 1.3 0l3.4 11.2a.7.7 0 0 0 '
    '1.3 0l1.6-4a1.6 1.6 0 0 1 1.5-1h1.1"/></svg>'
)


def draw_preview(hosted: Hosted) -> None:
    """Draw the page to sign in; a colour that is none yet is shown as the standard one."""
    colour = hosted.colour if re.fullmatch("#[0-9a-fA-F]{6}", hosted.colour) else COLOUR
    shade = shades(colour, GROUND)
    style = (
        f"--brand: {shade.fill}; --on-brand: {shade.on_fill}; --brand-edge: {shade.edge}; --brand-text: {shade.text}"
    )
    with box("pw-hp" + ("" if hosted.is_on else " is-off")).style(style).props("aria-hidden=true"):
        with box("pw-hp-brand"):
            if hosted.logo:
                ui.element("img").props["src"] = hosted.logo
            else:
                name = hosted.name.strip()
                with box("pw-hp-mark"):
                    if name:
                        ui.label(name[:1].upper())
                    else:
                        ui.html(MARK, sanitize=False)
                ui.label(name or "Pulsewire").classes("pw-hp-name")
        with box("pw-hp-card"):
            ui.label("Sign in").classes("pw-hp-title")
            _field("Email", "")
            _field("Password", "Forgot password?")
            ui.label("Sign in").classes("pw-hp-button")
        if hosted.allow_sign_up:
            with box("pw-hp-aside"):
                ui.label("New here?")
                ui.label("Create an account").classes("pw-hp-link")
    if not hosted.is_on:
        with box("pw-hp-off"):
            icon("visibility_off")
            ui.label("Switched off")


def _field(title: str, link: str) -> None:
    with box("pw-hp-field"):
        with box("pw-hp-label"):
            ui.label(title)
            if link:
                ui.label(link).classes("pw-hp-link")
        box("pw-hp-input")
