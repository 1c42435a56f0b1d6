"""Makes the exact replacement that a problem suggests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from editor.draft import Draft
from runtime.errors import Problem

Json: TypeAlias = Any


async def repair(draft: Draft, problem: Problem) -> None:
    """Make the replacement as one change that can be undone, unless the problem is gone by now."""
    node = draft.node(problem.node)
    found = next((each for each in draft.problems_of(problem.node or "") if _is_about_the_same(each, problem)), None)
    if node is None or found is None or found.param is None:
        return
    value = repaired(node["params"], found)
    await draft.edit([{"op": "patch_node", "id": node["id"], "param": {found.param: value}}])


def repaired(params: Mapping[str, Json], problem: Problem) -> Json:
    """Return the value of the parameter with the suggestion in the place of what is wrong.

    KeyError when the problem suggests nothing, or when what it is about is not there any more.
    """
    if problem.param is None or problem.suggestion is None or problem.position is None:
        raise KeyError(problem.code)
    start, end = problem.position, problem.position + (problem.length or 0)

    def changed(value: Json, path: tuple[str | int, ...]) -> Json:
        if not path:
            if not isinstance(value, str) or len(value) < end:
                raise KeyError(problem.code)
            return f"{value[:start]}{problem.suggestion}{value[end:]}"
        first, rest = path[0], path[1:]
        if isinstance(value, list) and isinstance(first, int) and first < len(value):
            return [changed(entry, rest) if at == first else entry for at, entry in enumerate(value)]
        if isinstance(value, dict) and first in value:
            return {**value, first: changed(value[first], rest)}
        raise KeyError(problem.code)

    return changed(params[problem.param], problem.path)


def _is_about_the_same(one: Problem, other: Problem) -> bool:
    """Return whether two problems are about the same words of a parameter, however the message puts it."""
    return replace(one, message="") == replace(other, message="")
