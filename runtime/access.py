"""How an expression reaches into values: keys before methods, and no Python attribute ever.

What is not there becomes a ``Missing``: the ``default`` filter and ``is defined`` understand it, every other use
raises an ExpressionError that names the path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn, TypeAlias

from jinja2 import StrictUndefined

from runtime import wording
from runtime.errors import ExpressionError
from runtime.methods import METHODS, Method, kind_of, refused

Json: TypeAlias = Any
SHOWN_KEYS = 12


class Absent:
    """The value of a name that has no meaning here, such as ``$item`` outside of ``for_each``."""


ABSENT = Absent()


def _error(message: str | None = None) -> ExpressionError:
    return ExpressionError("expression.missing", message or "A value is missing.")


def _expired(message: str | None = None) -> ExpressionError:
    return ExpressionError("secret.expired", message or "A value has expired.")


class Missing(StrictUndefined):
    """A place that holds nothing, or nothing any more. Its message is a whole sentence and never holds a value."""

    __slots__ = ()

    def __init__(self, message: str, error: Callable[[str | None], ExpressionError] = _error) -> None:
        super().__init__(hint=message, exc=error)  # type: ignore[arg-type]

    @property
    def _undefined_message(self) -> str:
        return self._undefined_hint or ""

    @property
    def message(self) -> str:
        return self._undefined_hint or ""

    def fail(self) -> NoReturn:
        raise self._undefined_exception(self._undefined_hint)


def expired(name: str) -> Missing:
    """Return what stands in place of a secret that is worth nothing any more: a token, or a link with one."""
    message = f"“{wording.shown(name)}” has expired: it worked like a password, for a short time. Ask for a new one."
    return told_as_expired(message)


def told_as_expired(message: str) -> Missing:
    """Return again what ``expired`` gave in another process, from its message."""
    return Missing(message, _expired)


class Step(NamedTuple):
    """One step of a path: ``.key`` (where a method may be meant) or ``[key]``."""

    key: str | int
    is_attribute: bool


def present(value: Json) -> Json:
    """Return *value*. Raises ExpressionError when it is missing or a method that was not called."""
    if type(value) is Missing:
        value.fail()
    if type(value) is Method:
        raise ExpressionError("expression.method", f"“{value.name}” is a method; write “{value.name}()”.")
    return value


def walk(value: Json, root: str, steps: tuple[tuple[str | int, bool], ...]) -> Json:
    """Return what a path leads to, or a Missing or Method."""
    if value is ABSENT:
        return Missing(_absent(root))
    for number, (key, is_attribute) in enumerate(steps):
        found = _reach(value, key, is_attribute)
        if found is ABSENT:
            path = _written(root, steps[: number + 1])
            holder = root if number == 0 else _last(steps[number - 1][0], steps[:number])
            return Missing(f"{path}: {_reason(value, key, holder, root if number == 0 else '')}")
        if type(found) is Missing:
            return found
        value = found
    return value


def member(value: Json, name: str) -> Json:
    """Return ``value.name``, or a Missing."""
    if type(value) is Missing:
        return value
    found = _reach(present(value), name, True)
    return Missing(f".{wording.shown(name)}: {_reason(value, name, 'the value', '')}") if found is ABSENT else found


def item(value: Json, key: Json) -> Json:
    """Return ``value[key]`` for a key that was worked out; its value is not told."""
    if type(value) is Missing:
        return value
    present(value)
    present(key)
    if type(key) not in (str, int):
        raise ExpressionError("expression.type", f"[…]: {kind_of(key)} cannot be a key or an index.")
    found = _reach(value, key, False)
    return Missing(f"[…]: {_reason(value, None, 'the value', '')}") if found is ABSENT else found


def _reach(value: Json, key: str | int, is_attribute: bool) -> Json:
    kind = type(value)
    if kind is dict or isinstance(value, Mapping):
        if key in value:
            return value[key]
    elif type(key) is int and (kind is list or kind is str):
        return value[key] if -len(value) <= key < len(value) else ABSENT
    if is_attribute and type(key) is str:
        if (method := METHODS.get(dict if isinstance(value, Mapping) else kind, {}).get(key)) is not None:
            return Method(key, value, method)
        if key.startswith("_") and not isinstance(value, Mapping):
            raise refused()
    return ABSENT


def _written(root: str, steps: tuple[tuple[str | int, bool], ...]) -> str:
    text = root
    for key, is_attribute in steps:
        if type(key) is int:
            text += f"[{key}]"
        elif is_attribute:
            text += f".{wording.shown(str(key))}"
        else:
            text += f"['{wording.shown(str(key))}']"
    return text.removeprefix(".")


def _last(key: str | int, steps: tuple[tuple[str | int, bool], ...]) -> str:
    """Return how a sentence calls what a step led to: ``user``, or ``items[0]``."""
    if type(key) is str:
        return wording.shown(key)
    return _written("", (*((step[0], True) for step in steps[:-1]), steps[-1])).rpartition(".")[2] or "the value"


def _reason(value: Json, key: str | int | None, holder: str, root: str) -> str:
    named = "such a key" if key is None else f"“{wording.shown(str(key))}”"
    if root == "$action":
        return f"there is no output of {named} here; the node does not exist, has not run yet or was skipped"
    if isinstance(value, Mapping):
        return f"there is no {named} in {holder}; {_keys(value)}"
    if isinstance(value, (list, str)) and type(key) is not str:
        return f"{holder} has only {len(value)} {'entries' if isinstance(value, list) else 'characters'}"
    if isinstance(value, list):
        return f"{holder} is a list and has no {named}; take one of its entries, such as {holder}[0]"
    return f"{holder} is {kind_of(value)} and has no {named}"


def _keys(value: Mapping[str, Json]) -> str:
    if not value:
        return "it is empty"
    shown = [wording.shown(str(key), 40) for key in list(value)[:SHOWN_KEYS]]
    return f"there are: {', '.join(shown)}" + (", …" if len(value) > SHOWN_KEYS else "")


def _absent(root: str) -> str:
    if root in ("$item", "$index"):
        return f"{root} has a value only inside of “for each”."
    return f"{root} has no value here."
