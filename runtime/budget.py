"""Counts the work of one evaluation, so that no expression keeps a thread busy for long.

Work is counted and not timed: the same expression over the same values always ends the same way.
"""

from __future__ import annotations

import threading

from runtime import limits
from runtime.errors import ExpressionError


class TooMuchInPlace(Exception):
    """What is evaluated takes more work than is done in place; the evaluator process has to do it."""


class _Budget(threading.local):
    left = limits.EXPRESSION_WORK
    is_in_place = False


_budget = _Budget()


def refill(*, is_in_place: bool = False) -> None:
    """Begin a new evaluation in this thread."""
    _budget.left = limits.EXPRESSION_WORK_IN_PLACE if is_in_place else limits.EXPRESSION_WORK
    _budget.is_in_place = is_in_place


def spend(work: int) -> None:
    """Take *work* steps off the budget. Raises ExpressionError, or TooMuchInPlace, when it is used up."""
    _budget.left -= work
    if _budget.left < 0:
        if _budget.is_in_place:
            raise TooMuchInPlace
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
