"""What expressions would come to with given values: for the editor's live value, and for whoever asks over the API.

Nothing is evaluated or compiled here: that is done in processes of their own, see ``runtime.evaluator``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import orjson

from runtime import limits, strictjson
from runtime.access import ABSENT
from runtime.errors import ExpressionError, Invalid, Problem, TooLarge
from runtime.evaluator import Evaluator, EvaluatorBusy
from runtime.expressions import problems_of

Json: TypeAlias = Any
WAIT_S = 10.0  # for one's turn, and the evaluation
WAITING = 200  # previews of all people together
INLINE_CHARS = 2_000  # a longer text is looked through in a thread


@dataclass(frozen=True)
class Preview:
    """What a text comes to, or why it comes to nothing: then *problems* has at least one entry."""

    value: Json = None
    problems: list[Problem] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the published shape."""
        if self.problems:
            return {"problems": [problem.as_json() for problem in self.problems]}
        return {"value": self.value}


class Previews:
    """Use it from one event loop, and ``close`` it in the end. *environment* is what flows may read as ``$env``."""

    def __init__(self, environment: Mapping[str, str], clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._environment = environment
        self._clock = clock
        self._evaluator = Evaluator(waiting=WAITING)

    async def preview(
        self,
        text: Json,
        *,
        param: Json = None,
        action: Mapping[str, Json] | None = None,
        var: Mapping[str, Json] | None = None,
        item: Json = ABSENT,
        index: Json = ABSENT,
        flow: Mapping[str, Json] | None = None,
        caller: str = "",
    ) -> Preview:
        """Return what *text*, any JSON with expressions, comes to. *caller* takes turns with others, such as a person.

        Names that are not given hold nothing. Raises TooLarge, and Invalid for values that are nested too deeply.
        """
        now = self._clock().isoformat().replace("+00:00", "Z")
        names = {
            "param": {} if param is None else param,
            "action": action or {},
            "var": var or {},
            "env": self._environment,
            "flow": flow or {"id": "preview", "name": "Preview", "version": None},
            "run": {"id": 0, "started_at": now},
            "now": now,
        }
        names |= {name: value for name, value in (("item", item), ("index", index)) if value is not ABSENT}
        length = _checked(text, names)
        found = problems_of(text) if length <= INLINE_CHARS else await asyncio.to_thread(problems_of, text)
        if found:
            return Preview(problems=[_problem(each.code, each.message, each.path, each.position) for each in found])
        try:
            async with asyncio.timeout(WAIT_S):
                return Preview(await self._evaluator.evaluate(text, names, caller))
        except TimeoutError:
            busy = EvaluatorBusy()
            return Preview(problems=[_problem(busy.code, busy.message)])
        except ExpressionError as error:
            return Preview(problems=[_problem(error.code, error.message, error.path, error.position)])

    async def close(self) -> None:
        """End the processes."""
        await self._evaluator.close()


def _checked(text: Json, names: Mapping[str, Json]) -> int:
    """Return the length of *text* as JSON. Raises TooLarge, or Invalid, for what no event and no flow could hold."""
    for value in (text, *names.values()):
        if fault := strictjson.fault_of(value, depth=limits.PAYLOAD_DEPTH):
            raise Invalid(
                Problem(f"json.{fault.code.removeprefix('json_')}", f"What is to be evaluated {fault.message}.")
            )
    length = len(orjson.dumps(text))
    if length > limits.PREVIEW_TEXT_BYTES:
        message = f"A text that is evaluated on trial may have {limits.PREVIEW_TEXT_BYTES:,} bytes."
        raise TooLarge(Problem("preview.text_too_large", message, param="text"))
    if len(orjson.dumps(names)) > limits.PREVIEW_VALUES_BYTES:
        message = f"The values for a trial may come to {limits.PREVIEW_VALUES_BYTES:,} bytes as JSON."
        raise TooLarge(Problem("preview.values_too_large", message))
    return length


def _problem(code: str, message: str, path: tuple[str | int, ...] = (), position: int | None = None) -> Problem:
    return Problem(code, message, path=path, position=position)
