"""Problems of a flow as people see them: in a list, with the way to their field and the repair that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nicegui import ui

from editor.catalog import tone
from editor.elements import box, icon
from runtime.errors import Problem
from runtime.wording import shown

ICONS = {"error": "error", "gap": "error", "warning": "warning"}
MOST = 50
SHOWN_CHARS = 40


def problem_list(
    problems: Iterable[Problem], *, visit: Callable[[Problem], None], apply: Callable[[Problem], object] | None
) -> None:
    """Draw *problems*, errors first; a click goes to *visit*, that on a repair to *apply* (None: readers see none)."""
    found = sorted(problems, key=lambda problem: problem.severity != "error")
    with box("fe-problems", "ul"):
        for problem in found[:MOST]:
            with box("fe-problem-line", "li"):
                kind = tone([problem])
                with box(f"fe-problem-item fe-problem-item--{kind}", "button").props("type=button") as item:
                    icon(ICONS[kind])
                    ui.label(plain(problem))
                item.on("click", lambda problem=problem: visit(problem))
                if apply is not None:
                    repair_button(problem, apply)
        if len(found) > MOST:
            with box("", "li"):
                ui.label(f"and {len(found) - MOST:,} more").classes("fe-hint")


def repair_button(problem: Problem, apply: Callable[[Problem], object]) -> None:
    """Draw the button that makes the exact replacement a problem suggests; nothing where it suggests none."""
    if problem.suggestion is None or problem.param is None:
        return
    with box("fe-repair", "button").props("type=button") as button:
        icon("auto_fix_high")
        ui.label(f"Use {shown(problem.suggestion, SHOWN_CHARS)}" if problem.suggestion else "Remove it").classes(
            "pw-clip"
        )
    button.props["aria-label"] = f"Apply: write {problem.suggestion}"
    button.on("click", lambda: apply(problem))


def plain(problem: Problem) -> str:
    """Return the message without marks."""
    return problem.message.replace("**", "")
