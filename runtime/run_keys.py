"""The key of a run: what its flow's key expression gives for the run's payload."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import orjson

from nodes.spec import NodeError
from runtime import limits
from runtime.expressions import ExpressionError, Scope, TooMuchInPlace, Value, compile_condition


def key_of(expression: str, payload: str) -> str:
    """Return the key as text; runs with equal values have equal keys. Raises NodeError.

    *payload* is JSON with its secrets masked, so no key ever shows one.
    """
    try:
        value = _compiled(expression).evaluate_in_place(Scope(param=orjson.loads(payload)))
    except (ExpressionError, TooMuchInPlace) as error:
        reason = error.message if isinstance(error, ExpressionError) else "it takes too much work."
        message = (
            f"The key of this run could not be worked out: {reason} "
            "Change the key in the flow's settings, publish, and start this run again."
        )
        raise NodeError(message, code="flow.key_failed", param="key") from error
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    if len(text) > limits.KEY_CHARS:
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return text


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> Value:
    return compile_condition(expression)
