"""The service as one actor may use it: every call is checked against ``rights`` and written to the audit log."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from backend.errors import BackendError
from runtime.actors import Actor
from runtime.errors import Forbidden, Problem, RuntimeFault
from runtime.methods import REFUSED
from runtime.rights import NOBODY, RIGHTS, Right
from storage.errors import StorageError

if TYPE_CHECKING:
    from runtime.service import Service

log = logging.getLogger(__name__)
Part = TypeVar("Part")


@dataclass(frozen=True)
class Checkpoint:
    """Where the calls of one actor pass."""

    service: Service  # as it is, unchecked
    actor: Actor

    def admit(self, right: Right) -> Actor:
        """Return the actor as of now; raises SignedOut, Unauthorized or Forbidden."""
        actor = self.service.standing.now(self.actor)
        if right.role is None:
            raise _refusal()
        actor.require(right.role)
        return actor

    def prepare(self, right: Right, bound: inspect.BoundArguments) -> tuple[Actor, str]:
        """Admit the call and check its condition; return who calls, and what the call is about, as it is named now."""
        actor = self.admit(right)
        if right.condition is not None:
            right.condition(self.service, actor, bound.arguments)
        return actor, self._target(right, bound.arguments)

    def note(self, right: Right, actor: Actor, target: str, arguments: Mapping[str, Any], answer: object) -> None:
        """Write down what was done; that it cannot be written does not undo it."""
        named = target if right.made is None else str(getattr(answer, right.made, ""))
        if right.action is not None:
            details = {name: _plain(arguments[name]) for name in right.details if arguments.get(name) is not None}
            self._add(actor, right.action, named, details, is_merged=right.is_merged)
        if right.tells_escapes and any(each.code == REFUSED for each in getattr(answer, "problems", ())):
            self._add(actor, REFUSED, named, {}, is_merged=True)

    def _add(self, actor: Actor, action: str, target: str, details: dict[str, Any], *, is_merged: bool) -> None:
        try:
            self.service.audit.add(actor.kind, actor.id, actor.name, action, target, details, is_merged=is_merged)
        except (BackendError, StorageError) as error:
            log.error("%s by %s is missing in the audit log: %s", action, actor.name, error)

    def _target(self, right: Right, arguments: Mapping[str, Any]) -> str:
        if right.target is None or right.action is None:
            return ""
        given = arguments.get(right.target, "")
        if right.naming is None:
            return str(given)
        with suppress(BackendError, RuntimeFault):  # the call itself will say what is wrong with it
            return right.naming(self.service, given)
        return str(given)


class Guarded:
    """Stands in for one part of the service. What ``rights`` does not list is refused, whatever the part has."""

    def __init__(self, part: object, rights: Mapping[str, Right], checkpoint: Checkpoint) -> None:
        self.__part = part
        self.__rights = rights
        self.__checkpoint = checkpoint

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        right = self.__rights.get(name, NOBODY)
        if right.role is None:
            raise _refusal()
        if right.is_value:
            self.__checkpoint.admit(right)
            return getattr(self.__part, name)
        method: Callable[..., Any] = getattr(self.__part, name)
        call = self.__dict__[name] = _checked(method, right, self.__checkpoint)  # found there from now on
        return call


def guarded(part: Part, name: str, checkpoint: Checkpoint) -> Part:
    """Return *part*, which is the field *name* of the service, as the actor of the checkpoint may use it."""
    return cast(Part, Guarded(part, RIGHTS.get(name, {}), checkpoint))


def _checked(method: Callable[..., Any], right: Right, checkpoint: Checkpoint) -> Callable[..., Any]:
    is_plain = right.condition is None and right.action is None and not right.tells_escapes
    if inspect.iscoroutinefunction(method):
        return _checked_soon(method, right, checkpoint, is_plain=is_plain)

    def call(*args: Any, **kwargs: Any) -> Any:
        if is_plain:
            checkpoint.admit(right)
            return method(*args, **kwargs)
        bound = _signature(method).bind(*args, **kwargs)
        actor, target = checkpoint.prepare(right, bound)
        answer = method(*bound.args, **bound.kwargs)
        checkpoint.note(right, actor, target, bound.arguments, answer)
        return answer

    return call


def _checked_soon(
    method: Callable[..., Any], right: Right, checkpoint: Checkpoint, *, is_plain: bool
) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        if is_plain:
            await _admit_soon(right, checkpoint)
            return await method(*args, **kwargs)
        bound = _signature(method).bind(*args, **kwargs)
        if right.is_quick and checkpoint.service.standing.is_known(checkpoint.actor):
            actor, target = checkpoint.prepare(right, bound)
        else:
            actor, target = await asyncio.to_thread(checkpoint.prepare, right, bound)
        answer = await method(*bound.args, **bound.kwargs)
        if right.action is not None or getattr(answer, "problems", None):
            await asyncio.to_thread(checkpoint.note, right, actor, target, bound.arguments, answer)
        return answer

    return call


async def _admit_soon(right: Right, checkpoint: Checkpoint) -> None:
    if checkpoint.service.standing.is_known(checkpoint.actor):
        checkpoint.admit(right)
    else:
        await asyncio.to_thread(checkpoint.admit, right)


def _signature(method: Callable[..., Any]) -> inspect.Signature:
    return _parameters(method.__func__) if inspect.ismethod(method) else inspect.signature(method)


@cache
def _parameters(function: Callable[..., Any]) -> inspect.Signature:
    whole = inspect.signature(function)
    return whole.replace(parameters=[*whole.parameters.values()][1:])  # without self


def _refusal() -> Forbidden:
    return Forbidden(Problem("right.unknown", "Nobody may do this here."))


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | bool | None) else [str(each) for each in value]  # type: ignore[attr-defined]
