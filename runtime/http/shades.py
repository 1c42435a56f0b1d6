"""The colour of an installation, as pages can use it: always readable, whatever was chosen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

Rgb: TypeAlias = tuple[float, float, float]

BLACK, WHITE = (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)
READABLE = 4.5  # WCAG 2.2, 1.4.3: text on its ground
VISIBLE = 3.0  # WCAG 2.2, 1.4.11: the edge of a button on its ground
NEARLY = 3.5  # what a colour has against white that is darkened to carry it; below, it would not be the same colour
STEPS = 50


@dataclass(frozen=True)
class Shades:
    """*fill*, the colour or a little darker, with *on_fill* written on it, *edge* around it, *text* on the ground."""

    fill: str
    on_fill: str
    edge: str
    text: str


def shades(colour: str, ground: str) -> Shades:
    """Return what a page of the colour *ground* uses for *colour*; both are like ``#6366f1``."""
    chosen, behind = _rgb(colour), _rgb(ground)
    on_fill = WHITE if contrast(chosen, WHITE) >= NEARLY else BLACK
    fill = _apart(chosen, on_fill, READABLE)
    return Shades(
        _hex(fill), _hex(on_fill), _hex(_apart(fill, behind, VISIBLE)), _hex(_apart(chosen, behind, READABLE))
    )


def contrast(one: Rgb, other: Rgb) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2.2)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _apart(colour: Rgb, ground: Rgb, least: float) -> Rgb:
    """Return *colour*, moved away from *ground* no further than it must be."""
    end = BLACK if contrast(ground, BLACK) > contrast(ground, WHITE) else WHITE
    return next(
        found
        for step in count()
        if contrast(found := _mixed(colour, end, min(step / STEPS, 1.0)), ground) >= least or step >= STEPS
    )


def _mixed(one: Rgb, other: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _luminance(colour: Rgb) -> float:
    red, green, blue = (
        value / 255 / 12.92 if value / 255 <= 0.04045 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(colour: str) -> Rgb:
    found = re.fullmatch("#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", colour)
    if found is None:
        raise ValueError("a colour is written like #6366f1")
    red, green, blue = (float(int(part, 16)) for part in found.groups())
    return red, green, blue


def _hex(colour: Rgb) -> str:
    return "#" + "".join(f"{round(value):02x}" for value in colour)
