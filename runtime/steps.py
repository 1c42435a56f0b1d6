"""One step: its parameters evaluated and checked, its node called, its output checked."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nodes.spec import (
    FreeOutput,
    Json,
    NodeError,
    NodeType,
    Output,
    Params,
    Plan,
    Result,
    Routed,
    Suspended,
    TemporaryError,
)
from runtime import limits, wording
from runtime.evaluator import Evaluator
from runtime.expressions import ExpressionError, Scope, TooMuchInPlace
from runtime.graph import PlanNode
from runtime.masking import MASK

log = logging.getLogger("pulsewire.steps")


class Prepared(NamedTuple):
    """A step's parameters: as the node takes them, and the JSON text that is recorded.

    *secrets* are the values of those that are secret; the text has them masked.
    """

    params: Params
    text: str
    secrets: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """What a step came to: the fired port, its output, and the output's JSON text."""

    port: str
    output: dict[str, Json] | None
    text: str | None
    effect: str | None = None
    sealed: str | None = None  # what is left of the output locked, where a part of it has expired


def input_hash(text: str) -> str:
    """Return what tells one input from another; every attempt of an effect has the same."""
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


class StepFailed(Exception):
    """The step's parameters could not be made; *text* is the input as far as it was evaluated."""

    def __init__(self, error: NodeError, text: str | None = None, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(error.message)
        self.error = error
        self.text = text
        self.secrets = secrets


def prepare(node: PlanNode, scope: Scope) -> Prepared | None:
    """Evaluate and check the parameters; None when that takes too much here, and ``prepare_elsewhere`` is to do it.

    Raises StepFailed, whose message names the field.
    """
    if node.params.is_costly:
        return None
    try:
        values = node.params.evaluate_in_place(scope)
    except TooMuchInPlace:
        return None
    except ExpressionError as error:
        raise StepFailed(NodeError(error.message, code=error.code)) from error
    return _checked(node, values)


async def prepare_elsewhere(node: PlanNode, scope: Scope, evaluator: Evaluator, flow_id: str) -> Prepared:
    """Do what ``prepare`` does, and evaluate the parameters in another process."""
    try:
        values = await evaluator.evaluate_there(node.params, scope, flow_id)
    except ExpressionError as error:
        raise StepFailed(NodeError(error.message, code=error.code)) from error
    return _checked(node, values)


def _checked(node: PlanNode, values: Json) -> Prepared:
    try:
        text = orjson.dumps(values)
    except TypeError as error:
        raise StepFailed(_not_json("input")) from error
    if len(text) > limits.OUTPUT_BYTES:
        message = f"The step's parameters come to more than {limits.OUTPUT_BYTES:,} bytes as JSON."
        raise StepFailed(NodeError(message, code="param.too_large"))
    shown = text.decode()
    secrets: tuple[str, ...] = ()
    if node.type.secret_params:
        shown, secrets = _without_secrets(values, node.type.secret_params)
    try:
        return Prepared(node.type.validate(values), shown, secrets)
    except ValidationError as error:
        raise StepFailed(_invalid(error, node.type.params, values), shown, secrets) from error


def answer(result: Result) -> Outcome | Suspended:
    """Return what a node's answer means; raises NodeError for an output that JSON cannot hold or that is too large."""
    return outcome(result) if isinstance(result, (Output, Routed)) else result


def outcome(result: Output | Routed) -> Outcome:
    """Return what a step comes to that has ended; raises NodeError as ``answer`` does."""
    if isinstance(result, Routed):
        return Outcome(result.port, *_encoded(result.output))
    return Outcome("out", *_encoded(result))


def planned(plan: Plan, port: str = "out") -> Outcome:
    """Return what a simulated step comes to."""
    return Outcome(port, *_encoded(plan.output), effect=_text(plan.effect, "effect").decode())


def took_too_long(node: PlanNode) -> TemporaryError:
    """Return the error of a step that did not end within its time-out."""
    return TemporaryError(f"The step did not end within {wording.seconds(node.timeout_s or 0)}.", code="step.timeout")


def unexpected(error: BaseException, run_id: int, node: NodeType) -> NodeError:
    """Log the place of an error nobody foresaw, and return what the person is told."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    log.error("run %d: %s raised %s at %s", run_id, node.type, type(error).__name__, place)
    if isinstance(error, MemoryError):  # it may be another step that needed so much at this moment
        message = "The engine had no memory left for this step. Let it handle less at once, or set a higher limit."
        return TemporaryError(message, code="step.out_of_memory")
    message = f"Something unexpected happened in this step. The log says where, under run {run_id}."
    return NodeError(message, code="node.crashed")


def _encoded(output: Output) -> tuple[dict[str, Json], str]:
    try:
        values = output.__pydantic_extra__ or {} if type(output) is FreeOutput else output.model_dump(mode="json")
        text = orjson.dumps(values)
    except (ValueError, TypeError) as error:  # PydanticSerializationError is a ValueError
        raise _not_json("output") from error
    if len(text) > limits.OUTPUT_BYTES:
        message = f"The step's output comes to more than {limits.OUTPUT_BYTES:,} bytes as JSON. Ask for less at once."
        raise NodeError(message, code="output.too_large")
    if b"null" in text:  # a number that is not finite became null: later steps see what a restart would see
        values = orjson.loads(text)
    return values, text.decode()


def _without_secrets(values: Mapping[str, Json], names: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return the JSON text of *values* with those in *names* masked, and the texts that were masked."""
    given = {name: values[name] for name in names if values.get(name) not in (None, "")}
    texts = tuple(value for value in given.values() if isinstance(value, str))
    return _text({**values, **dict.fromkeys(given, MASK)}, "input").decode(), texts


def _text(values: Mapping[str, Json], what: str) -> bytes:
    try:
        return orjson.dumps(values)
    except TypeError as error:
        raise _not_json(what) from error


def _not_json(what: str) -> NodeError:
    return NodeError(f"The step's {what} holds a value that JSON cannot carry.", code=f"{what}.not_json")


def _invalid(error: ValidationError, model: type[BaseModel], values: Json) -> NodeError:
    details = error.errors(include_url=False, include_input=False)
    by_field: dict[object, list[ErrorDetails]] = {}
    for detail in details:
        by_field.setdefault(detail["loc"][:1], []).append(detail)
    sentences = []
    for detail in [each for found in by_field.values() for each in wording.telling(found)][:5]:
        location = detail["loc"]
        title = _title(str(location[0]), model) if location else "The parameters"
        inner = wording.place(wording.inside(values, location)[0][1:])
        field = f"“{title}”{f' ({inner})' if inner else ''}"
        if detail["type"] == "missing":
            sentences.append(f"{field} is empty. Fill it in, or connect a node that provides it.")
        elif detail["type"] == "extra_forbidden":
            sentences.append(f"{field} is not a parameter of this node.")
        else:
            sentences.append(f"{field} {wording.ending(detail)}.")
    first = str(details[0]["loc"][0]) if details and details[0]["loc"] else None
    return NodeError(" ".join(dict.fromkeys(sentences)), code="param.invalid", param=first)


def _title(name: str, model: type[BaseModel]) -> str:
    for key, field in model.model_fields.items():
        if name in (key, field.alias):
            return field.title or name
    return name
