"""What the runtime refuses: problems with a code, a place and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing wrong. *code* is stable, *message* is for people; *node* and *param* say where.

    In the parameter, *path* leads to the text, and *position* and *length* count characters in it. *suggestion* is what
    to write in the place of these characters.
    """

    code: str
    message: str
    node: str | None = None
    param: str | None = None
    severity: str = "error"  # error: stops publishing; warning: does not
    path: tuple[str | int, ...] = ()
    position: int | None = None
    length: int | None = None
    suggestion: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the published shape, without empty places."""
        shape: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.node is not None:
            shape["node"] = self.node
        if self.param is not None:
            shape["param"] = self.param
        if self.severity != "error":
            shape["severity"] = self.severity
        if self.path:
            shape["path"] = list(self.path)
        for name in ("position", "length", "suggestion"):
            if (value := getattr(self, name)) is not None:
                shape[name] = value
        return shape


class RuntimeFault(Exception):
    """Base of the runtime's errors; carries every problem found and the HTTP status that tells it."""

    status = 422

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = list(problems)


class Invalid(RuntimeFault):
    """The request or document is wrong; nothing was changed."""


class BadRequest(RuntimeFault):
    status = 400


class Unauthorized(RuntimeFault):
    status = 401


class SignedOut(Unauthorized):
    """The operator's sign-in ended; they may sign in again."""


class Forbidden(RuntimeFault):
    """The role of whoever asked does not allow it; nothing was changed."""

    status = 403


class NotFound(RuntimeFault):
    status = 404


class Conflict(RuntimeFault):
    """Someone else changed it, or it is in a state that does not allow this."""

    status = 409


class TooLarge(RuntimeFault):
    status = 413


class TooMany(RuntimeFault):
    status = 429


class Unavailable(RuntimeFault):
    """The engine or the database cannot answer now; nothing was accepted; try again."""

    status = 503


class ScheduleError(Exception):
    """A schedule that cannot be computed: no cron line, no such time zone, too long an interval."""


class ExpressionError(Exception):
    """An expression that is not allowed or has no value. Names and types are told, values never.

    *position* counts characters from the start of the text the expression stands in; *path* leads to that text in
    the parameters.
    """

    def __init__(self, code: str, message: str, position: int | None = None, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.position = position
        self.path = path


class WrongValueError(Exception):
    """A value does not suit a filter; *ending* is the rest of a sentence about it, such as “is not valid JSON”."""

    def __init__(self, ending: str) -> None:
        super().__init__(ending)
        self.ending = ending


class WrongArgumentError(Exception):
    """An argument does not suit a filter; *ending* is the rest of a sentence that begins with its name."""

    def __init__(self, name: str, ending: str) -> None:
        super().__init__(ending)
        self.name = name
        self.ending = ending
