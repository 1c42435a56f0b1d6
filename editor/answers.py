"""The values of a field's expressions now, as the line below it tells them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from nicegui import background_tasks

from editor.controls import Place
from runtime.expressions import has_expression

Json: TypeAlias = Any
Answer: TypeAlias = Mapping[str, Json]  # ``{"tone": "value" | "error" | "wait", "text", "kind"?, "more"?}``
Ask: TypeAlias = Callable[[Json], Awaitable[Answer | None]]
ASK_AFTER_S = 0.1
SHOWN_CHARS = 80
WHOLE_CHARS = 20_000


class Answers:
    """Asks for the values of what the *places* of a field hold; a newer question takes the place of an older one."""

    def __init__(self, ask: Ask, places: Callable[[], list[Place]]) -> None:
        self._ask = ask
        self._places = places
        self._task: asyncio.Task[None] | None = None

    def renew(self, after_s: float = 0.0) -> None:
        """Ask again, unless there is nothing to ask and nothing to take back."""
        if self._task is not None:
            self._task.cancel()
        self._task = background_tasks.create(self._renew(after_s), name="values of expressions")

    def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()

    async def _renew(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        for place in self._places():
            answer = await self._ask(place.value) if has_expression(place.value) else None
            if not place.writer.is_deleted:
                place.writer.set_answer(answer)


def value_answer(value: Json) -> Answer:
    """Return how a value is told: its kind, what of it fits into a line, and the whole of it where that is more."""
    whole = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    line = " ".join(whole.split()) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    answer = {"tone": "value", "kind": _kind(value), "text": line[:SHOWN_CHARS] or "empty"}
    if len(line) > SHOWN_CHARS:
        answer["text"] += "…"
    if len(line) > SHOWN_CHARS or (isinstance(value, dict | list) and value) or "\n" in whole:
        answer["more"] = whole if len(whole) <= WHOLE_CHARS else f"{whole[:WHOLE_CHARS]}…"
    return answer


def error_answer(message: str) -> Answer:
    """Return how it is told that there is no value."""
    return {"tone": "error", "text": message}


def waiting_answer(message: str) -> Answer:
    """Return how it is told that the value is not known yet."""
    return {"tone": "wait", "text": message}


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "text"
        case list():
            return f"list of {len(value)}"
        case dict():
            return "object"
        case _:
            return "number"
