"""Problems of a flow as people see them: in a list, with the way to their field and the repair that is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from nicegui import ui

from editor.catalog import tone
from editor.elements import box, icon
from editor.repairs import Repairs
from runtime.errors import Problem

MOST = 50


def problem_list(problems: Iterable[Problem], *, visit: Callable[[Problem], None], repairs: Repairs | None) -> None:
    """Draw *problems*, errors first; a click goes to *visit*. Those who only read get no *repairs*."""
    found = sorted(problems, key=lambda problem: problem.severity != "error")
    with box("fe-problems", "ul"):
        for problem in found[:MOST]:
            with box("fe-problem-line", "li"):
                kind = tone([problem])
                with box(f"fe-problem-item fe-problem-item--{kind}", "button").props("type=button") as item:
                    icon("warning" if kind == "warning" else "error")
                    ui.label(problem.message.replace("**", ""))
                item.on("click", lambda problem=problem: visit(problem))
                if repairs is not None:
                    repairs.offer(problem)
        if len(found) > MOST:
            with box("", "li"):
                ui.label(f"and {len(found) - MOST:,} more").classes("fe-hint")


def within(title: str, message: str) -> str:
    """Return a message as the field called *title* tells it: with the place inside of it alone in front."""
    found = re.match(rf"“{re.escape(title)}” \((.+?)\): ", message)
    if found is None:
        return without(f"“{title}”", message)
    entry = re.fullmatch(r"\[(\d+)\]", found[1])
    place = f"Entry {int(entry[1]) + 1}" if entry else found[1]
    return f"{place}: {message[found.end() :]}"


def without(name: str, message: str) -> str:
    """Return a message without the name in front of it that stands above it anyway."""
    for start in (f"**{name}**: ", f"{name}: "):
        message = message.removeprefix(start)
    return message[:1].upper() + message[1:]
