"""The contract between a node and the platform.

A node file declares one node type: its parameters and output as pydantic models and one function under
``@action`` or ``@trigger``. The form, the checks, the help page and the tests are derived from that declaration.
A node never reaches for the platform: HTTP client, mail, tables, events and clock arrive in ``ctx``.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeAlias, get_type_hints

from pydantic import BaseModel, ConfigDict

Json: TypeAlias = Any  # a value that JSON can hold: None, bool, int, float, str, list or dict of these
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
    "columns",
    "conditions",
    "pairs",
    "list",
    "password",
]
Right: TypeAlias = Literal["editor", "owner"]


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
    ``event`` is None for a trigger that only a person starts.
    """

    event: str | None
    match: Mapping[str, Json] = field(default_factory=dict)
    where: str | None = None


@dataclass(frozen=True)
class Email:
    """A message as a flow describes it; addresses are single addr-specs, optionally with a display name."""

    to: Sequence[str]
    subject: str
    text: str | None = None
    html: str | None = None
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    reply_to: str | None = None


@dataclass(frozen=True)
class SentEmail:
    """*via* is ``smtp`` or ``mailbox``."""

    message_id: str
    via: str


@dataclass(frozen=True)
class HttpResponse:
    """A whole answer; *body* is at most the outbound limit and already decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 30,
    ) -> HttpResponse:
        """Send one request through the guarded client; raises NodeError or TemporaryError."""


class Mail(Protocol):
    def preview(self, email: Email) -> dict[str, Json]:
        """Return the message as it would leave: ``from``, ``to``, ``subject``, ``text``, ``html``, ``via``.

        Raises NodeError for an address or header that cannot be sent.
        """

    async def send(self, email: Email, *, idempotency_key: str) -> SentEmail: ...


class Tables(Protocol):
    """Datahub rows, inside the transaction of the step. *table* is a table's name or id. Raises NodeError."""

    def find(
        self, table: str, where: Json = None, *, order_by: str | None = None, limit: int = 100
    ) -> list[dict[str, Json]]: ...
    def count(self, table: str, where: Json = None) -> int: ...
    def check(self, table: str, values: Mapping[str, Json], *, partial: bool = False) -> dict[str, Json]:
        """Return *values* as they would be stored, without storing them."""

    def insert(self, table: str, values: Mapping[str, Json]) -> dict[str, Json]: ...
    def update(self, table: str, where: Json, values: Mapping[str, Json]) -> int: ...
    def delete(self, table: str, where: Json) -> int: ...


class Passwords(Protocol):
    async def hash(self, password: str) -> object:
        """Return *password* as it may be stored, for ``ctx.users`` alone; it takes a moment, so call it in ``before``.

        Raises NodeError for a password that the rule does not allow, TemporaryError when too many wait.
        """


class Users(Protocol):
    """End users, inside the transaction of the step; their events start flows as everywhere. Raises NodeError.

    A user is ``{"id", "email", "first_name", "last_name", "roles", "email_verified", "blocked", "created_at",
    "updated_at", "last_login_at"}``. A *password* is what ``ctx.passwords.hash`` gave. Those that write return
    the user as it is afterwards, ``delete`` as it was.
    """

    def get(self, by: Literal["email", "id"], value: str) -> dict[str, Json]:
        """Return the user; raises NodeError (``user.not_found``) where there is none."""

    def find(
        self,
        *,
        search: str = "",
        role: str | None = None,
        email_verified: bool | None = None,
        blocked: bool | None = None,
        limit: int = 100,
    ) -> list[dict[str, Json]]: ...
    def check(self, values: Mapping[str, Json], *, user_id: str | None = None) -> dict[str, Json]:
        """Return *values* (``email``, ``first_name``, ``last_name``, ``roles``, ``email_verified``) as they would be
        stored, without storing them: of the user *user_id*, or of a new one."""

    def create(
        self,
        email: str,
        *,
        password: object | None = None,
        first_name: str = "",
        last_name: str = "",
        roles: Sequence[str] = (),
        email_verified: bool = False,
    ) -> dict[str, Json]: ...
    def update(self, user_id: str, values: Mapping[str, Json], *, password: object | None = None) -> dict[str, Json]:
        """Change only what *values* names: ``email``, ``first_name``, ``last_name``, ``email_verified``."""

    def delete(self, user_id: str) -> dict[str, Json]: ...
    def set_roles(self, user_id: str, names: Sequence[str]) -> dict[str, Json]: ...
    def block(self, user_id: str) -> dict[str, Json]: ...
    def unblock(self, user_id: str) -> dict[str, Json]: ...
    def send_verification(self, user_id: str) -> dict[str, Json]:
        """Emit the event that asks for a verification mail, with a new token that the caller never sees."""

    def send_password_reset(self, user_id: str) -> dict[str, Json]:
        """Emit the event that asks for a reset mail, with a new token that the caller never sees."""


class Events(Protocol):
    def emit(self, name: str, payload: Mapping[str, Json]) -> str:
        """Record an event in the transaction of the step and return its id."""


class Context(Protocol):
    """What a running step is given."""

    @property
    def idempotency_key(self) -> str: ...  # the same in every attempt of this step
    @property
    def now(self) -> datetime: ...  # UTC, recorded at the start of the run
    @property
    def http(self) -> Http: ...
    @property
    def mail(self) -> Mail: ...
    @property
    def tables(self) -> Tables: ...
    @property
    def events(self) -> Events: ...
    @property
    def users(self) -> Users: ...
    @property
    def passwords(self) -> Passwords: ...
    @property
    def prepared(self) -> Any: ...  # what the node's ``before`` gave; None where it has none


Result: TypeAlias = Output | Routed
PortsOf: TypeAlias = Callable[[Mapping[str, Json]], tuple[Port, ...]]
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
    summary: str  # format string over the raw parameters: the grey line on the card
    doc: str
    examples: tuple[Example, ...] = field(default=())
    before: Before | None = None  # awaited before the transaction of a write; gives ``ctx.prepared``
    right: Right = "editor"  # who may publish or test a flow with this node
    presets: tuple[Preset, ...] = ()  # the palette's entries; none: one entry, with the type's title

    @cached_property
    def secret_params(self) -> frozenset[str]:
        """The names of the parameters whose values are recorded masked."""
        fields = self.params.model_fields.items()
        return frozenset(
            name
            for name, found in fields
            if isinstance(found.json_schema_extra, dict) and found.json_schema_extra.get("secret")
        )

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

    @property
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
) -> dict[str, Json]:
    """Return ``json_schema_extra`` for a Field: how the form shows it.

    *is_literal*: the value is never an expression (it decides ports or what a trigger listens to).
    *is_secret*: the value is recorded masked, wherever it shows up in the run.
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
    return extra


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
    summary: str = "",
    examples: Sequence[Example] = (),
    before: Before | None = None,
    right: Right = "editor",
) -> Callable[[Callable[[Any, Context], Any]], NodeType]:
    """Return a decorator that turns a function ``(params, ctx) -> Output`` into a NodeType; it registers nothing.

    *output* is given where the function returns Routed and so does not say its model. *before* is what a node
    that writes has to wait for, outside its transaction: ``async (params, ctx) -> ctx.prepared``.
    """

    def declare(function: Callable[[Any, Context], Any]) -> NodeType:
        if effect in ("write", "send") and plan is None:
            raise TypeError(f"{function.__name__} has an effect and needs a plan")
        if effect == "write" and inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__name__} writes in the step's transaction and cannot be async")
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
    summary: str = "",
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
        if module.name == "spec":
            continue
        members = vars(importlib.import_module(f"nodes.{module.name}"))
        found += [value for value in members.values() if isinstance(value, NodeType)]
    found.sort(key=lambda node: (node.kind != "trigger", node.category, node.title))
    return MappingProxyType({node.type: node for node in found})
