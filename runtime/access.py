"""How an expression reaches into values: keys before methods, and no Python attribute ever.

What is not there becomes a ``Missing``: the ``default`` filter and ``is defined`` understand it, every other use
raises an ExpressionError that names the path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from itertools import islice
from typing import Any, NoReturn, TypeAlias

from jinja2 import StrictUndefined

from runtime import wording
from runtime.errors import ExpressionError
from runtime.methods import METHODS, Method, kind_of, refused

Json: TypeAlias = Any
Steps: TypeAlias = tuple[tuple[str | int, bool], ...]  # a key, and whether it is written ``.key``
SHOWN_KEYS = 12
COMPARED_KEYS = 200  # that a wrong name is held against
COMPARED_CHARS = 40
COMPARED_LENGTHS = 10  # by which names that are alike may differ


class Absent:
    """The value of a name that has no meaning here, such as ``$item`` outside of ``for_each``."""


ABSENT = Absent()


def _error(message: str | None = None) -> ExpressionError:
    return ExpressionError("expression.missing", message or "A value is missing.")


def _expired(message: str | None = None) -> ExpressionError:
    return ExpressionError("secret.expired", message or "A value has expired.")


class Missing(StrictUndefined):
    """A place that holds nothing, or nothing any more. Its message is a whole sentence and never holds a value.

    A message that takes work is made when it is asked for: mostly ``default`` steps in before.
    """

    __slots__ = ()

    def __init__(
        self, message: str | Callable[[], str], error: Callable[[str | None], ExpressionError] = _error
    ) -> None:
        super().__init__(hint=message, exc=error)  # type: ignore[arg-type]

    @property
    def message(self) -> str:
        hint: Any = self._undefined_hint
        return str(hint() if callable(hint) else hint)

    @property
    def _undefined_message(self) -> str:
        return self.message

    def fail(self) -> NoReturn:
        raise self._undefined_exception(self.message)


class Keyed(dict[str, Any]):
    """An object with keys that were values before, so that no message may tell them."""


def empty_like(*objects: Mapping[str, Json]) -> dict[str, Json]:
    """Return a new object that may take keys of these."""
    return Keyed() if any(type(each) is Keyed for each in objects) else {}


def expired(name: str) -> Missing:
    """Return what stands in place of a secret that is worth nothing any more: a token, or a link with one."""
    message = f"“{wording.shown(name)}” has expired: it worked like a password, for a short time. Ask for a new one."
    return told_as_expired(message)


def told_as_expired(message: str) -> Missing:
    """Return again what ``expired`` gave in another process, from its message."""
    return Missing(message, _expired)


def present(value: Json) -> Json:
    """Return *value*. Raises ExpressionError when it is missing or a method that was not called."""
    if type(value) is Missing:
        value.fail()
    if type(value) is Method:
        raise value.uncalled()
    return value


def is_missing(value: Json) -> bool:
    """Return whether there is nothing: a method that was not called stands where a key was looked for in vain."""
    return type(value) is Missing or type(value) is Method


def walk(value: Json, root: str, steps: Steps) -> Json:
    """Return what a path leads to, or a Missing or Method."""
    if value is ABSENT:
        return Missing(_absent(root))
    for number, (key, is_attribute) in enumerate(steps):
        found = reach(value, key, is_attribute)
        if found is ABSENT:
            return Missing(partial(lost, value, root, steps[: number + 1]))
        if type(found) is Missing:
            return found
        if type(found) is Method:
            found.reason = partial(lost, value, root, steps[: number + 1])
        value = found
    return value


def step(value: Json, key: str | int, is_attribute: bool, path: str = "") -> Json:
    """Return ``value.key`` or ``value[key]``, or a Missing; *path* is how *value* is written, where that is known."""
    if type(value) is Missing:
        return value
    return walk(present(value), path, ((key, is_attribute),))


def item(value: Json, key: Json, path: str = "") -> Json:
    """Return ``value[key]`` for a key that was worked out; its value is not told."""
    if type(value) is Missing:
        return value
    present(value)
    if type(present(key)) not in (str, int):
        raise ExpressionError("expression.type", f"{path}[…]: {kind_of(key)} cannot be a key or an index.")
    found = reach(value, key, False)
    if found is not ABSENT:
        return found
    return Missing(lambda: f"{path}[…]: {reason(value, None, path.rpartition('.')[2] or 'the value')}")


def reach(value: Json, key: str | int, is_attribute: bool) -> Json:
    """Return the entry *key* of *value*, or else a method of that name, or else ABSENT."""
    kind = type(value)
    if kind is dict or isinstance(value, Mapping):
        if key in value:
            return value[key]
    elif type(key) is int and (kind is list or kind is str):
        return value[key] if -len(value) <= key < len(value) else ABSENT
    if is_attribute and type(key) is str:
        if key in METHODS.get(dict if isinstance(value, Mapping) else kind, {}):
            return Method(key, value)
        if key.startswith("_") and not isinstance(value, Mapping):
            raise refused()
    return ABSENT


def lost(value: Json, root: str, steps: Steps) -> str:
    """Return why the last step leads nowhere; *value* is what those before led to."""
    *before, (key, _is_attribute) = steps
    path = written(root, steps)
    holder = _last(before) if before else root.rpartition(".")[2] or "the value"
    if root == "$action" and not before:
        return f"{path}: {_no_output(value, str(key))}"
    return f"{path}: {reason(value, key, holder)}"


def written(root: str, steps: Iterable[tuple[str | int, bool]]) -> str:
    """Return a path as it is written: ``$param.items[0].name``."""
    text = root
    for key, is_attribute in steps:
        if type(key) is int:
            text += f"[{key}]"
        elif is_attribute:
            text += f".{wording.shown(str(key))}"
        else:
            text += f"['{wording.shown(str(key))}']"
    return text


def _last(steps: Sequence[tuple[str | int, bool]]) -> str:
    """Return how a sentence calls what steps led to: ``user``, or ``items[0]``."""
    at = max((place for place, (key, _is_attribute) in enumerate(steps) if type(key) is str), default=-1)
    name = wording.shown(str(steps[at][0])) if at >= 0 else "the value"
    return written(name, steps[at + 1 :])


def reason(value: Json, key: str | int | None, holder: str) -> str:
    """Return why *holder*, which is *value*, has no *key*; None for a key that may not be told."""
    named = "such key" if key is None else f"“{wording.shown(str(key))}”"
    if isinstance(value, Mapping):
        return f"no {named} in {holder}; {_keys(value, key)}"
    if isinstance(value, (list, str)) and type(key) is not str:
        return f"{holder} {_size(value)}"
    if isinstance(value, list):
        return f"{holder} is a list and has no {named}; take one of its entries, such as {holder}[0]"
    return f"{holder} is {kind_of(value)} and has no {named}"


def _size(value: list[Json] | str) -> str:
    if not value:
        return "is empty"
    one, many = ("entry", "entries") if isinstance(value, list) else ("character", "characters")
    return f"has only {len(value):,} {one if len(value) == 1 else many}"


def _keys(value: Mapping[str, Json], key: str | int | None) -> str:
    if not value:
        return "it is empty"
    if type(value) is Keyed:
        return "its keys were worked out"
    if type(key) is int and str(key) in value:
        return f"its keys are text: write ['{key}']"
    names = [wording.shown(str(name), 40) for name in islice(value, SHOWN_KEYS)]
    there = f"there are: {', '.join(names)}" + (", …" if len(value) > SHOWN_KEYS else "")
    close = closest(key, value) if type(key) is str else None
    return f"{there}; did you mean “{close}”?" if close else there


def closest(name: str, names: Iterable[str], alike: float = 0.7) -> str | None:
    """Return the name most like *name*, one that differs in small and large letters before all.

    Of very many names, and of long ones, not all are looked at: that takes long.
    """
    if len(name) > COMPARED_CHARS:
        return None
    near = (each for each in names if len(each) <= COMPARED_CHARS and abs(len(each) - len(name)) <= COMPARED_LENGTHS)
    candidates = list(islice(near, COMPARED_KEYS))
    same = [each for each in candidates if each.casefold() == name.casefold()]
    return next(iter(same or get_close_matches(name, candidates, 1, alike)), None)


def _no_output(outputs: Json, name: str) -> str:
    close = closest(name, outputs) if isinstance(outputs, Mapping) else None
    hint = f"; did you mean “{close}”?" if close else ""
    told = (
        f"there is no output of “{wording.shown(name)}” here; the node does not exist, has not run yet or was skipped"
    )
    return told + hint


def _absent(root: str) -> str:
    if root in ("$item", "$index"):
        return f"{root} has a value only inside of “for each”."
    return f"{root} has no value here."
