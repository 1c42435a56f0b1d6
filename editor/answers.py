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
Answer: TypeAlias = Mapping[str, Json]  # {"tone": "value" | "error" | "wait", "text", "kind"?, "more"?, "position"?}
Ask: TypeAlias = Callable[[Json], Awaitable[Answer | None]]
ASK_AFTER_S = 0.1
SHOWN_CHARS = 80
WHOLE_CHARS = 20_000


class Answers:
    """Asks for the values of what the *places* of a field hold; a newer question takes the place of an older one."""

    def __init__(self, ask: Ask, places: Callable[[], list[Place]], is_told: Callable[[], bool]) -> None:
        self._ask = ask
        self._places = places
        self._is_told = is_told  # whether what is wrong is said below the field already
        self._task: asyncio.Task[None] | None = None

    def renew(self, after_s: float = 0.0) -> None:
        """Ask again, after a while, in which it may be said once more."""
        if self._task is not None:
            self._task.cancel()
        self._task = background_tasks.create(self._renew(after_s), name="values of expressions")

    def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()

    async def _renew(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        places = self._places()
        answers = await asyncio.gather(*map(self._answer, places))
        for place, answer in zip(places, answers, strict=True):  # all at once: each change draws the page anew
            if not place.writer.is_deleted:
                place.writer.set_answer(answer)

    async def _answer(self, place: Place) -> Answer | None:
        answer = await self._ask(place.value) if has_expression(place.value) else None
        if answer is not None and answer["tone"] == "error":
            return None if self._is_told() else _shown(answer, place)
        return answer

    def hush(self) -> None:
        """Take back why there is no value: it is told below the field now."""
        for place in self._places():
            if (place.writer.answer or {}).get("tone") == "error":
                place.writer.set_answer(None)


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


def error_answer(message: str, position: int | None = None) -> Answer:
    """Return how it is told that there is no value, and from which character of the text on."""
    return {"tone": "error", "text": message, "position": position}


def waiting_answer(message: str) -> Answer:
    """Return how it is told that the value is not known yet."""
    return {"tone": "wait", "text": message}


def _shown(answer: Answer, place: Place) -> Answer:
    position = answer["position"] if isinstance(place.value, str) else None
    return {**answer, "position": None if position is None else position - place.shift}


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
