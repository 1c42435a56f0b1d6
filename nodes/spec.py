"""The contract between a node and the platform.

A node file declares one node type: its parameters and output as pydantic models and one function under
``@action`` or ``@trigger``. The form, the checks, the help page and the tests are derived from that declaration.
A node never reaches for the platform: what it may use arrives in ``ctx``, see ``nodes/context.py``.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_type_hints

from pydantic import BaseModel, ConfigDict

from nodes.context import Context as Context
from nodes.context import Email as Email
from nodes.context import Events as Events
from nodes.context import Http as Http
from nodes.context import HttpResponse as HttpResponse
from nodes.context import Json as Json
from nodes.context import Mail as Mail
from nodes.context import Passwords as Passwords
from nodes.context import SentEmail as SentEmail
from nodes.context import Tables as Tables
from nodes.context import Users as Users
from nodes.suspending import AnotherRound as AnotherRound
from nodes.suspending import AwaitApproval as AwaitApproval
from nodes.suspending import AwaitEvent as AwaitEvent
from nodes.suspending import CallFlow as CallFlow
from nodes.suspending import EachItem as EachItem
from nodes.suspending import Sleep as Sleep
from nodes.suspending import Suspended as Suspended

Effect: TypeAlias = Literal["none", "read", "write", "send"]
Widget: TypeAlias = Literal[
    "text",
    "multiline",
    "html",
    "json",
    "expression",
    "number",
    "switch",
    "select",
    "table",
    "flow",
    "credential",
    "columns",
    "conditions",
    "pairs",
    "list",
    "password",
    "timezone",
]
Right: TypeAlias = Literal["editor", "owner"]
Gives: TypeAlias = Literal["cases", "item", "order", "output", "payload"]


class NodeError(Exception):
    """The step failed and trying again will not help; *message* is shown to the person who drew the flow."""

    def __init__(self, message: str, *, code: str = "node.failed", param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param


class TemporaryError(NodeError):
    """The step failed for a reason that may pass; the runtime tries again as the node's retry settings say."""


class Params(BaseModel):
    """Base of every node's parameters. They reach the node evaluated and valid."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Output(BaseModel):
    """Base of every node's output: a JSON object that later nodes read as ``$action.<node id>``."""

    model_config = ConfigDict(frozen=True)


class FreeOutput(Output):
    """An output whose fields the flow decides."""

    model_config = ConfigDict(frozen=True, extra="allow")


@dataclass(frozen=True)
class Port:
    """One output port: *name* is stored in edges, *title* is what the canvas writes beside it."""

    name: str
    title: str = ""
    has_output: bool = True  # False: when it is fired, the node's output is null
    needs: str | None = None  # it is never fired while this parameter is empty


OUT = (Port("out"),)
ERROR = Port("error", "Error")


@dataclass(frozen=True)
class Routed:
    """What a node returns to fire another port than ``out``."""

    port: str
    output: Output


@dataclass(frozen=True)
class Plan:
    """What ``run`` would do: *effect* is shown in place of acting, *output* stands in for the real one.

    ``effect`` has ``kind`` (``email``, ``http``, ``rows``, ``event``) and what a person wants to see of it.
    """

    effect: dict[str, Json]
    output: Output


@dataclass(frozen=True)
class Example:
    """A documented use that is also a test: *params* evaluated, and the *output* or *error* code they give."""

    title: str
    params: Mapping[str, Json]
    output: Mapping[str, Json] | None = None
    port: str = "out"
    error: str | None = None


@dataclass(frozen=True)
class Listen:
    """What a trigger waits for: events of one name whose payload has the values in *match*.

    *where* is one expression over ``$param``, with or without braces; an event for which it is not true starts nothing.
    ``event`` is None for a trigger that no event starts: a person does, or another flow, or a *schedule*
    (``{"cron": str}`` or ``{"every_s": number}``, with ``timezone`` and ``missed``), or a request to a *webhook*
    (``{"path": str, "method": str}`` and how it is checked and answered).
    """

    event: str | None
    match: Mapping[str, Json] = field(default_factory=dict)
    where: str | None = None
    schedule: Mapping[str, Json] | None = None
    webhook: Mapping[str, Json] | None = None

    @property
    def waits_for_a_person(self) -> bool:
        return self.event is None and self.schedule is None and self.webhook is None


@dataclass(frozen=True)
class Report:
    """An event that a step may report, and what its raw parameters tell of the event's payload.

    ``event`` is None where another flow is called, as in Listen: *known* has its id as ``flow``.
    """

    event: str | None
    known: Mapping[str, Json] = field(default_factory=dict)


Result: TypeAlias = Output | Routed | Suspended
ReportsOf: TypeAlias = Callable[[Mapping[str, Json]], tuple[Report, ...]]
PortsOf: TypeAlias = Callable[[Mapping[str, Json]], tuple[Port, ...]]
Summary: TypeAlias = str | Callable[[Mapping[str, Json]], str]
Before: TypeAlias = Callable[[Any, Context], Awaitable[Any]]


@dataclass(frozen=True)
class Preset:
    """One entry of the palette for a type that has several: a node with *params* filled in, and its own sample."""

    title: str
    params: Mapping[str, Json]
    sample: Mapping[str, Json] | None = None  # None: the type's own
    hint: str | None = None  # None: the type's own


@dataclass(frozen=True)
class NodeType:
    """A declaration. *ports* reads the raw parameters, because a switch has a port for each case."""

    type: str
    kind: Literal["trigger", "action"]
    title: str
    category: str
    icon: str  # a Material Symbols name
    params: builtins.type[Params]
    output: builtins.type[Output]  # of a trigger: the payload it brings
    ports: PortsOf
    effect: Effect
    is_repeatable: bool  # after a crash with unknown outcome, calling again with the same key is safe
    run: Callable[[Any, Context], Result | Awaitable[Result]] | None
    plan: Callable[[Any, Context], Plan] | None
    listen: Callable[[Any], Listen] | None
    sample: Mapping[str, Json] | None
    summary: Summary  # the grey line on the card: a format string over the raw parameters, or a function of them
    doc: str
    examples: tuple[Example, ...] = field(default=())
    before: Before | None = None  # awaited before the transaction of a write; gives ``ctx.prepared``
    right: Right = "editor"  # who may publish or test a flow with this node
    presets: tuple[Preset, ...] = ()  # the palette's entries; none: one entry, with the type's title
    body_port: str | None = None  # what is reached only through this port is repeated
    is_asked_each_round: bool = False  # its parameters are evaluated before every round, with the round's names
    is_returning: bool = False  # its output is what the run returns
    is_answer: bool = False  # its output is the answer to whoever called the webhook that started the run
    reports: ReportsOf = lambda _params: ()  # what may start other flows; reads the raw parameters

    @cached_property
    def secret_params(self) -> frozenset[str]:
        """The names of the parameters whose values are recorded masked."""
        return self._marked("secret")

    @cached_property
    def late_params(self) -> frozenset[str]:
        """The names, as flows store them, of expressions that are not evaluated before the step but while it waits."""
        return self._marked("late")

    def _marked(self, mark: str) -> frozenset[str]:
        fields = self.params.model_fields.items()
        return frozenset(
            name
            for name, found in fields
            if isinstance(found.json_schema_extra, dict) and found.json_schema_extra.get(mark)
        )

    def param_that_gives(self, what: Gives) -> str | None:
        """Return the parameter, as flows store it, from which the checker reads that; see ``ui``."""
        for name, found in self.params.model_fields.items():
            if isinstance(found.json_schema_extra, dict) and found.json_schema_extra.get("gives") == what:
                return found.alias or name
        return None

    def preset_of(self, params: Mapping[str, Json]) -> Preset | None:
        """Return which of the palette's entries a node with these raw parameters is; None where there is but one."""
        fields = self.params.model_fields
        raw = {name: params.get(name, field.default) for name, field in fields.items()}
        return next(
            (each for each in self.presets if all(raw[name] == value for name, value in each.params.items())), None
        )

    def sample_of(self, params: Mapping[str, Json]) -> dict[str, Json]:
        """Return the payload that stands in for that of a trigger with these raw parameters."""
        preset = self.preset_of(params)
        return dict((preset and preset.sample) or self.sample or {})

    @cached_property
    def validate(self) -> Callable[[Mapping[str, Json]], Params]:
        """Returns evaluated parameters as the node takes them; raises ValidationError."""
        return self.params.__pydantic_validator__.validate_python

    @cached_property
    def is_plain(self) -> bool:
        """Whether it neither waits nor touches anything, and is given nothing secret."""
        is_called = self.kind == "action" and self.effect == "none" and not self.is_async
        return is_called and not (self.secret_params or self.is_asked_each_round)

    @cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.run)

    @property
    def hint(self) -> str:
        """The first line of the node's documentation."""
        return self.doc.strip().splitlines()[0].rstrip(".")


def ui(
    widget: Widget | None = None,
    *,
    placeholder: str | None = None,
    is_advanced: bool = False,
    is_literal: bool = False,
    is_secret: bool = False,
    is_late: bool = False,
    gives: Gives | None = None,
) -> dict[str, Json]:
    """Return ``json_schema_extra`` for a Field: how the form shows it.

    *is_literal*: the value is never an expression (it decides ports or what a trigger listens to).
    *is_secret*: the value is recorded masked, wherever it shows up in the run.
    *is_late*: one expression that the platform evaluates while the step waits; the node gets its text.
    *gives*: what the checker reads from it: these are what the node's expression is compared with, an entry of this
    list is ``$item``, it names the columns that rows are put in order by, it is itself the output, or its values name
    the kinds of the payload's fields.
    """
    extra: dict[str, Json] = {}
    if widget:
        extra["widget"] = widget
    if placeholder:
        extra["placeholder"] = placeholder
    if is_advanced:
        extra["advanced"] = True
    if is_literal:
        extra["literal"] = True
    if is_secret:
        extra["secret"] = True
    if is_late:
        extra["late"] = True
    if gives:
        extra["gives"] = gives
    return extra


def row_of(param: str) -> dict[str, Json]:
    """Return ``json_schema_extra`` for a Field of an output: it holds rows of the table that *param* names."""
    return {"row_of": param}


def _fixed(ports: tuple[Port, ...]) -> PortsOf:
    return lambda _params: ports


def action(
    *,
    title: str,
    category: str,
    icon: str = "bolt",
    effect: Effect = "none",
    ports: tuple[Port, ...] | PortsOf = OUT,
    output: type[Output] | None = None,
    plan: Callable[[Any, Context], Plan] | None = None,
    is_repeatable: bool = True,
    summary: Summary = "",
    examples: Sequence[Example] = (),
    before: Before | None = None,
    right: Right = "editor",
    body_port: str | None = None,
    is_asked_each_round: bool = False,
    is_returning: bool = False,
    is_answer: bool = False,
    reports: tuple[Report, ...] | ReportsOf = (),
) -> Callable[[Callable[[Any, Context], Any]], NodeType]:
    """Return a decorator that turns a function ``(params, ctx) -> Output`` into a NodeType; it registers nothing.

    *output* is given where the function returns Routed and so does not say its model. *before* is what a node
    that writes has to wait for, outside its transaction: ``async (params, ctx) -> ctx.prepared``. *body_port* is the
    port of a loop whose part of the flow is repeated; *is_asked_each_round* where the node says so before every round.
    *reports* are the events by which it may start other flows.
    """

    def declare(function: Callable[[Any, Context], Any]) -> NodeType:
        if effect in ("write", "send") and plan is None:
            raise TypeError(f"{function.__name__} has an effect and needs a plan")
        if effect == "write" and inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__name__} writes in the step's transaction and cannot be async")
        if is_answer and not inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__name__} answers once its step is durable, so it waits and has to be async")
        if before is not None and effect != "write":
            raise TypeError(f"{function.__name__} does not write: it can do by itself what `before` does")
        hints = get_type_hints(function)
        return NodeType(
            type=function.__name__,
            kind="action",
            title=title,
            category=category,
            icon=icon,
            params=hints["params"],
            output=output or hints["return"],
            ports=ports if callable(ports) else _fixed(ports),
            effect=effect,
            is_repeatable=is_repeatable,
            run=function,
            plan=plan,
            listen=None,
            sample=None,
            summary=summary,
            doc=inspect.getmodule(function).__doc__ or "",
            examples=tuple(examples),
            before=before,
            right=right,
            body_port=body_port,
            is_asked_each_round=is_asked_each_round,
            is_returning=is_returning,
            is_answer=is_answer,
            reports=reports if callable(reports) else lambda _params: reports,
        )

    return declare


def trigger(
    *,
    title: str,
    payload: type[Output],
    sample: Mapping[str, Json],
    type: str | None = None,
    icon: str = "bolt",
    category: str = "Triggers",
    summary: Summary = "",
    right: Right = "editor",
    presets: Sequence[Preset] = (),
) -> Callable[[Callable[[Any], Listen]], NodeType]:
    """Return a decorator that turns a function ``(params) -> Listen`` into a NodeType.

    *type* is given where the published event name is the node type's name and no Python name. *presets* are the
    palette's entries of a type that has several.
    """

    def declare(function: Callable[[Any], Listen]) -> NodeType:
        hints = get_type_hints(function)
        return NodeType(
            type=type or function.__name__,
            kind="trigger",
            title=title,
            category=category,
            icon=icon,
            params=hints["params"],
            output=payload,
            ports=_fixed(OUT),
            effect="none",
            is_repeatable=True,
            run=None,
            plan=None,
            listen=function,
            sample=sample,
            summary=summary,
            doc=inspect.getmodule(function).__doc__ or "",
            right=right,
            presets=tuple(presets),
        )

    return declare


@cache
def load() -> Mapping[str, NodeType]:
    """Return every node type in this package by its type name, triggers first, then by category and title."""
    package = importlib.import_module("nodes")
    found: list[NodeType] = []
    for module in pkgutil.iter_modules(package.__path__):
        if module.name in ("spec", "suspending"):
            continue
        members = vars(importlib.import_module(f"nodes.{module.name}"))
        found += [value for value in members.values() if isinstance(value, NodeType)]
    found.sort(key=lambda node: (node.kind != "trigger", node.category, node.title))
    return MappingProxyType({node.type: node for node in found})
