"""Checks what a flow's settings say about its runs, in the words of the form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from runtime import wording
from runtime.document_parts import FlowSettings
from runtime.errors import Problem
from runtime.expressions import is_condition_costly, names_of_condition, problems_of_condition

KNOWN = "$param"


def check_settings(settings: FlowSettings | None) -> Iterator[Problem]:
    """Return every problem of the settings; they belong to no node."""
    if settings is None or settings.key is None:
        return
    found = problems_of_condition(settings.key)
    for each in found:
        yield Problem(each.code, f"Settings: “Key”: {each.message}", param="key", position=each.position)
    if not found:
        names = names_of_condition(settings.key)
        if foreign := [name for name in names if name != KNOWN]:
            message = f"Settings: “Key”: “{foreign[0]}” is not known before a run begins. Use {KNOWN} alone."
            yield Problem("expression.name_unknown", message, param="key")
        elif is_condition_costly(settings.key):
            message = (
                "Settings: “Key”: it may take much work, and is worked out before every run. Use values of $param and "
                "simple filters, not “map”, “sort” and the like."
            )
            yield Problem("settings.key_costly", message, param="key")
        elif not names:
            message = "Settings: “Key”: it is the same for all runs, so they run one by one. Use a value of $param."
            yield Problem("settings.key_constant", message, param="key", severity="warning")


def problems_of_settings(given: dict[str, Any]) -> list[Problem]:
    """Return what is wrong with settings that a person has filled in; *param* says in which field."""
    problems: list[Problem] = []
    try:
        FlowSettings.model_validate(given)
    except ValidationError as error:
        found = {str(each["loc"][0]): each for each in error.errors(include_url=False, include_input=False)}
        problems = [
            Problem("settings.invalid", f"It {wording.ending(each)}.", param=name) for name, each in found.items()
        ]
    if all(problem.param != "key" for problem in problems):
        problems += check_settings(FlowSettings(key=given.get("key")))
    return problems
