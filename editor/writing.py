"""What the form of the open node needs for writing expressions: completion in the browser, and values to show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from editor.answers import Ask
from editor.draft import Draft
from editor.expression_field import ExpressionDesk
from editor.expression_scope import browser_scope
from editor.expression_words import words
from editor.live_values import Held, LiveValues, held_at
from nodes.spec import NodeType
from runtime.run_views import RunView
from runtime.shapes import Shape

if TYPE_CHECKING:
    from runtime.previews import Previews

Json: TypeAlias = Any
TELL_AFTER_S = 0.4
Chosen: TypeAlias = tuple[str | None, Json]


class Writing:
    """One for a page; build it inside the page. *scope* is what is known of the open node's names, *chosen* the trigger
    and payload of the test panel (None: it is no JSON); *previews* is None for those who may not try expressions.
    """

    def __init__(
        self,
        draft: Draft,
        types: Mapping[str, NodeType],
        *,
        scope: Callable[[], Mapping[str, Shape] | None],
        chosen: Callable[[], Chosen],
        previews: Previews | None,
        caller: str,
    ) -> None:
        self._draft = draft
        self._types = types
        self._scope = scope
        self._chosen = chosen
        self._desk = ExpressionDesk(words())
        self._live = LiveValues(previews, self._held, caller) if previews is not None else None
        self._node_id: str | None = None
        self._run: RunView | None = None
        self._seen: object = None
        self._known = Held()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def ask(self) -> Ask | None:
        """What answers the value of a text."""
        return self._live.ask if self._live is not None else None

    def open(self, node_id: str | None, run: RunView | None) -> None:
        """Turn to a node, before its form asks anything; None: to what is known before a run begins."""
        self._node_id = node_id
        self._run = run
        self._held()
        self._tell()

    def look(self, run: RunView | None) -> bool:
        """Take over what the draft, the test panel and the last run hold now; return whether values can be others."""
        self._run = run
        before = self._known
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TELL_AFTER_S, self._tell)
        return self._held() != before

    def close(self) -> None:
        """Stop; the page is gone."""
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self) -> None:
        self._timer = None
        if (scope := self._scope()) is not None:
            told = browser_scope(scope)
            for trigger in self._examples():
                told.get("action", {}).get("f", {}).pop(trigger, None)  # what it brings is the payload
            self._desk.tell(told)

    def _held(self) -> Held:
        trigger, payload = self._chosen()
        document = self._draft.document
        seen = (self._node_id, id(document), id(self._run), trigger, repr(payload))
        if seen != self._seen:
            self._seen = seen
            payloads = {} if trigger is None or payload is None else {trigger: payload}
            payloads |= {each: found for each, found in self._examples().items() if each not in payloads}
            self._known = held_at(document, self._node_id, self._types, payloads, self._run)
        return self._known

    def _examples(self) -> dict[str, Json]:
        """Return a payload of every trigger: its first sample, or what its type brings."""
        samples: dict[str, Json] = {}
        for sample in self._draft.document.get("samples") or ():
            samples.setdefault(sample["trigger"], sample["payload"])
        nodes = [(node, self._types.get(node["type"])) for node in self._draft.document["nodes"]]
        return {
            node["id"]: samples.get(node["id"]) or node_type.sample_of(node.get("params") or {})
            for node, node_type in nodes
            if node_type is not None and node_type.kind == "trigger"
        }
