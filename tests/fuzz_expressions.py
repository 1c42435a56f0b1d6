"""Looks for expressions that do harm: ``make fuzz``, for PULSEWIRE_FUZZ_S seconds (600).

With atheris, inputs are led by the code that they reach: half are texts as they come, half are drawn from the grammar
that the tests use. Where atheris is not built for this Python, Hypothesis draws from the grammar alone, without being
led. An expression that escapes, tells a value, is taken in two ways, or takes long in place, ends the search; it is
shown, and atheris writes the input into a file ``crash-…``.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress

try:
    import atheris
except ImportError:
    atheris = None

if atheris is not None:
    with atheris.instrument_imports(include=["runtime"]):
        from tests.runtime import expression_grammar
else:
    from tests.runtime import expression_grammar

from hypothesis import HealthCheck, given, settings

from runtime.expressions import ExpressionError, Scope, TooMuchInPlace, compile_value

SECONDS = int(os.environ.get("PULSEWIRE_FUZZ_S", "600"))
HANG_S = 10  # one input, with the code watched
IN_PLACE_S = 0.5  # of computing time, with the code watched
UNLED = 500  # drawn before a look at the clock


def look_at(text: str) -> None:
    """Raise AssertionError when *text* does harm."""
    expression_grammar.hold(text)
    try:
        value = compile_value(text)
    except ExpressionError:
        return
    if value.is_costly:
        return
    begun = time.process_time()
    with suppress(ExpressionError, TooMuchInPlace):
        value.evaluate_in_place(Scope(param=expression_grammar.PAYLOAD, **expression_grammar.NAMES))
    took = time.process_time() - begun
    assert took < IN_PLACE_S, f"{took:.2f} s in place: {text}"


@settings(deadline=None, max_examples=UNLED, database=None, suppress_health_check=list(HealthCheck))
@given(expression_grammar.expressions())
def drawn(text: str) -> None:
    look_at(text)


def one_input(data: bytes) -> None:
    """Take *data* as a text, or as choices of the grammar."""
    if data[:1] < b"\x80":
        text = data[1:].decode("utf-8", "ignore")
        look_at(text if "{{" in text else "{{ " + text + " }}")
    else:
        drawn.hypothesis.fuzz_one_input(data[1:])  # type: ignore[attr-defined]


def main() -> None:
    if atheris is not None:
        atheris.Setup([*sys.argv, f"-max_total_time={SECONDS}", f"-timeout={HANG_S}", "-max_len=2000"], one_input)
        atheris.Fuzz()
        return
    print("atheris is not here; what is drawn is not led by the code that it reaches", file=sys.stderr)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        drawn()


if __name__ == "__main__":
    main()
