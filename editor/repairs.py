"""The exact replacement that a problem suggests: offered as a button, made as one change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from nicegui import ui

from editor.draft import Draft
from editor.elements import box, icon
from runtime.errors import Problem
from runtime.wording import shown

Json: TypeAlias = Any
SHOWN_CHARS = 40


class Repairs:
    """Draws the buttons that make such a replacement; *save_all* is awaited before one is made."""

    def __init__(self, draft: Draft, save_all: Callable[[], Awaitable[None]]) -> None:
        self._draft = draft
        self._save_all = save_all

    def offer(self, problem: Problem) -> None:
        """Draw the button of a problem that can be repaired, in the current place."""
        node = self._draft.node(problem.node)
        words = in_words(node.get("params") or {}, problem) if node is not None else ""
        if not words:
            return
        with box("fe-repair", "button").props("type=button") as button:
            icon("auto_fix_high")
            ui.label(words).classes("pw-clip")
        button.props["title"] = f"Write {problem.suggestion}" if problem.suggestion else "Remove the underlined words"
        button.on("click", lambda: self.make(problem))

    async def make(self, problem: Problem) -> None:
        """Make the replacement as one change that can be undone, unless the problem is gone by now."""
        await self._save_all()
        node = self._draft.node(problem.node)
        there = self._draft.problems_of(problem.node or "")
        found = next((each for each in there if _is_about_the_same(each, problem)), None)
        if node is not None and found is not None:
            operation = {"op": "patch_node", "id": node["id"], "param": {found.param: repaired(node["params"], found)}}
            await self._draft.edit([operation])


def repaired(params: Mapping[str, Json], problem: Problem) -> Json:
    """Return the value of the parameter with the suggestion in the place of what is wrong.

    KeyError when the problem suggests nothing, or when what it is about is not there any more.
    """
    if problem.param is None or problem.suggestion is None:
        raise KeyError(problem.code)
    wrong, text = _wrong(params, problem)
    start = problem.position or 0
    return _with(params[problem.param], problem.path, f"{text[:start]}{problem.suggestion}{text[start + len(wrong) :]}")


def in_words(params: Mapping[str, Json], problem: Problem) -> str:
    """Return what applying the suggestion does (``Use email``, ``Add | default('')``), empty where there is none."""
    try:
        wrong, _text = _wrong(params, problem)
    except KeyError:
        return ""
    if problem.suggestion is None:
        return ""
    added = problem.suggestion.removeprefix(wrong)
    if wrong and added and added != problem.suggestion and not (added[0].isalnum() or added[0] == "_"):
        return f"Add {shown(added.strip(), SHOWN_CHARS)}"
    return f"Use {shown(problem.suggestion, SHOWN_CHARS)}" if problem.suggestion else "Remove it"


def _wrong(params: Mapping[str, Json], problem: Problem) -> tuple[str, str]:
    """Return the words that a problem is about, and the text they stand in. KeyError when they are not there."""
    value: Json = params[problem.param or ""]
    for step in problem.path:
        is_entry = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not is_entry and not (isinstance(value, dict) and step in value):
            raise KeyError(problem.code)
        value = value[step]
    end = (problem.position or 0) + (problem.length or 0)
    if not isinstance(value, str) or problem.position is None or len(value) < end:
        raise KeyError(problem.code)
    return value[problem.position : end], value


def _with(value: Json, path: Sequence[str | int], text: str) -> Json:
    if not path:
        return text
    if isinstance(value, list):
        return [_with(entry, path[1:], text) if at == path[0] else entry for at, entry in enumerate(value)]
    return {**value, path[0]: _with(value[path[0]], path[1:], text)}


def _is_about_the_same(one: Problem, other: Problem) -> bool:
    """Return whether two problems are about the same words of a parameter, however the message puts it."""
    return replace(one, message="") == replace(other, message="")
