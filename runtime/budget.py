"""Counts the work of one evaluation, so that no expression keeps a thread busy for long.

Work is counted and not timed: the same expression over the same values always ends the same way.
"""

from __future__ import annotations

import threading

from runtime import limits
from runtime.errors import ExpressionError


class _Budget(threading.local):
    left = limits.EXPRESSION_WORK


_budget = _Budget()


def refill() -> None:
    """Begin a new evaluation in this thread."""
    _budget.left = limits.EXPRESSION_WORK


def spend(work: int) -> None:
    """Take *work* steps off the budget. Raises ExpressionError when it is used up."""
    _budget.left -= work
    if _budget.left < 0:
        raise ExpressionError("expression.too_much_work", "The expression takes too much work; make it smaller.")


def check_text(length: int) -> None:
    """Refuse to make a text of this many characters."""
    if length > limits.EXPRESSION_TEXT:
        raise too_large(f"a text of more than {limits.EXPRESSION_TEXT:,} characters")
    spend(length // 16)


def check_items(count: int) -> None:
    """Refuse to make a list of this many entries."""
    if count > limits.EXPRESSION_ITEMS:
        raise too_large(f"a list of more than {limits.EXPRESSION_ITEMS:,} entries")
    spend(count)


def too_large(what: str) -> ExpressionError:
    return ExpressionError("expression.too_large", f"The expression would make {what}.")
