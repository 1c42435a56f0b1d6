"""What the names of expressions stand for in each node of a flow, as far as it is known before a run.

It comes from the models that nodes and events declare, from the parameters that decide an output, from the columns of
data tables and from the ways through the graph. Samples and the last run give examples and hints, never promises.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeAlias

import jinja2.nodes

from nodes.spec import NodeType
from runtime import declared, inference, narrowing, shapes, wording
from runtime.access import closest
from runtime.certainty import Certainty
from runtime.declared import Columns
from runtime.document import Document, Node
from runtime.findings import Finding, NoOutput
from runtime.narrowing import Facts
from runtime.shapes import NOTHING, NUMBER, TEXT, UNKNOWN, Shape
from runtime.ways import Fired, Ways

Json: TypeAlias = Any
Read: TypeAlias = tuple[Shape, tuple[Finding, ...]]
YES_OR_NO = {"true", "false"}


SUGGESTIONS = 100  # of names that were meant, in one flow: comparing takes long


class Knowledge:
    """What is known about one flow.

    *columns* are those of the data tables by name and id. *outputs* and *payload* are those of the last run,
    *environment* and *variables* the names there are; None: not known here.
    """

    def __init__(
        self,
        document: Document,
        types: Mapping[str, NodeType],
        *,
        columns: Columns | None = None,
        outputs: Mapping[str, Json] | None = None,
        payload: Json = NOTHING,
        environment: Collection[str] | None = None,
        variables: Mapping[str, Shape] | None = None,
    ) -> None:
        self.document = document
        self.types = types
        self.ways = Ways(document, types)
        self._columns = columns or {}
        self._suggestions = 0
        self._outputs = outputs or {}
        self._payload = payload
        self._environment = environment
        self._variables = variables or {}
        self._given: dict[str, Shape] = {}
        self._mixed: dict[tuple[str, tuple[Fired, ...]], Shape] = {}
        self._left = iter(self.ways.order)
        self._read: dict[tuple[str, str, bool], Read] = {}
        self._brought: dict[str, Shape] = {}
        self._facts: dict[str, Facts] = {}
        self._scopes: dict[tuple[str, bool], Mapping[str, Shape]] = {}

    def scope_of(self, node_id: str, param: str | None = None) -> Mapping[str, Shape]:
        """Return what each name stands for in a node: ``param``, ``action`` … without the ``$``.

        A parameter that is evaluated while the step waits has names of its own: say which one it is.
        """
        node_type = self._type(node_id)
        is_late = param is not None and node_type is not None and param in node_type.late_params
        key = node_id, is_late
        if key not in self._scopes:
            self._scopes[key] = self._scope(node_id, node_type, is_late)
        return self._scopes[key]

    def payload_at(self, node_id: str) -> Shape:
        """Return what ``$param`` is in a node: the payload of any trigger whose runs come to it."""
        triggers = self.ways.triggers_of(node_id)
        if len(triggers) > 1:
            triggers = tuple(trigger for trigger in triggers if self._may_start(trigger, node_id))
        if not triggers:
            return UNKNOWN
        because = [f"{self._named(trigger)} may have started the run" for trigger in triggers]
        return shapes.union(*map(self.payload_of, triggers), because=because)

    def payload_of_any(self) -> Shape:
        """Return what ``$param`` is before a run, whichever trigger starts it."""
        because = [f"{self._named(trigger)} may start the run" for trigger in self.ways.triggers]
        return shapes.union(*map(self.payload_of, self.ways.triggers), because=because) if because else UNKNOWN

    def payload_of(self, trigger: str) -> Shape:
        """Return what a trigger brings."""
        if trigger not in self._brought:
            node = self.ways.nodes[trigger]
            given = [sample.payload for sample in self.document.samples if sample.trigger == trigger]
            given += [self._payload] if self._payload is not NOTHING else []
            found = declared.payload_of(node, self.types, self._columns)
            for example in reversed(given or [self.types[node.type].sample_of(node.params)]):
                found = shapes.with_sample(found, example)
            self._brought[trigger] = found
        return self._brought[trigger]

    def read(self, node_id: str, text: str, param: str, *, is_bare: bool = False) -> Read:
        """Return what a text in a parameter comes to, and what is wrong in it; see ``inference.read``.

        What conditions have made certain is asked for only where something would be wrong without it.
        """
        node_type = self._type(node_id)
        key = node_id, text, node_type is not None and param in node_type.late_params
        if key not in self._read:
            given = text, self.scope_of(node_id, param)
            around = Certainty(self, node_id)
            found = inference.read(*given, around=around, is_bare=is_bare)
            if found[1] and (facts := self.facts_at(node_id)):
                found = inference.read(*given, facts, around, is_bare=is_bare)
            self._read[key] = found
        return self._read[key]

    def value_of(self, node_id: str, param: str) -> Shape:
        """Return what a parameter of a node comes to."""
        return self._of_param(self.ways.nodes[node_id], param)

    def columns_of(self, table: Json) -> Sequence[Mapping[str, Json]] | None:
        """Return the columns of a data table that is named, None when it is not known."""
        return self._columns.get(table) if isinstance(table, str) else None

    def output_of(self, node_id: str) -> Shape:
        """Return what a node gives when it succeeds."""
        while node_id not in self._given:  # in their order, so that no output waits for another one
            other = next(self._left)
            found = self._output_of(self.ways.nodes[other], self._type(other))
            self._given[other] = shapes.with_sample(found, self._outputs.get(other, NOTHING))
        return self._given[node_id]

    def output_at(self, node_id: str, other: str) -> Shape:
        """Return what ``$action`` holds of *other* in a node that comes after it."""
        node, name = self.ways.nodes[other], self._named(other)
        found = self.payload_of(other) if self._is_trigger(other) else self.output_of(other)
        if node.disabled:
            return shapes.absent(f"{name} is switched off")
        if other in self._repeated(node_id):
            return replace(found, missing=f"{name} has no output before the first round")
        before = self.ways.before(node_id, other) if self.ways.can_run(node_id) else None
        if before is None or (self._is_trigger(other) and not before.may_be_skipped):
            return found
        if not before.fired and self.ways.fired_by(other):
            return shapes.absent(f"{name} is skipped on every way to this node")
        found = self._after(other, found, before.fired)
        if before.may_be_skipped:
            why = "may not have started the run" if self._is_trigger(other) else "is skipped on some ways to this node"
            found = replace(found, missing=found.missing or f"{name} {why}")
        return found

    def _after(self, node_id: str, output: Shape, fired: tuple[Fired, ...]) -> Shape:
        """Return what a node gave that has fired one of these ports."""
        key = node_id, fired
        if key not in self._mixed:
            ways = [self._given_at(output, self._named(node_id), each) for each in fired] or [(output, "")]
            self._mixed[key] = shapes.union(*(way[0] for way in ways), because=[way[1] for way in ways])
        return self._mixed[key]

    def outputs_at(self, node_id: str) -> tuple[str, ...]:
        """Return the nodes whose outputs can be there in a node, the nearest first."""
        return (*self._repeated(node_id), *self.ways.earlier(node_id))

    def has_output_at(self, node_id: str, other: str) -> bool:
        """Return whether the output of *other* can be there in a node."""
        return self.ways.comes_before(node_id, other) or other in self._repeated(node_id)

    def is_yes_or_no(self, node_id: str, field: str) -> bool:
        """Return whether that field of a node's output says which of the ports *true* and *false* it fired."""
        if node_id not in self.ways.nodes or node_id not in self._conditions:
            return False
        return self.output_of(node_id).fields.keys() == {field}

    def facts_at(self, node_id: str) -> Facts:
        """Return what is certain in a node because conditions led to it."""
        if node_id not in self._facts:
            self._facts[node_id] = self._certain(node_id) if self.ways.can_run(node_id) else {}
        return self._facts[node_id]

    def _certain(self, node_id: str) -> Facts:
        found: list[Facts] = []
        for other, test in self._conditions.items():
            if not self.ways.comes_before(node_id, other):
                continue
            for holds in (True, False):
                if self.ways.has_fired(node_id, other, "true" if holds else "false"):
                    facts = narrowing.with_prefixes(narrowing.facts_of(test, holds))
                    is_same_round = self.ways.frames_of(other)[:1] == self.ways.frames_of(node_id)[:1]
                    found.append({at: f for at, f in facts.items() if is_same_round or at[0] not in ("item", "index")})
        return narrowing.joined(*found)

    @cached_property
    def _conditions(self) -> Mapping[str, jinja2.nodes.Expr]:
        """The expressions of the nodes that choose between the ports *true* and *false*."""
        found = ((node_id, self._condition_of(node_id)) for node_id in self.ways.nodes)
        return {node_id: test for node_id, test in found if test is not None}

    @cached_property
    def questions(self) -> Mapping[str, Sequence[tuple[str, str, bool]]]:
        """What those expressions ask; the node, the field of its output with the answer, and whether it is affirmed."""
        found: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
        for node_id, test in self._conditions.items():
            for field in self.output_of(node_id).fields if self.ways.nodes[node_id].on_error == "stop" else ():
                found[narrowing.question(test)].append((node_id, field, narrowing.is_affirmed(test)))
        return found

    def _condition_of(self, node_id: str) -> jinja2.nodes.Expr | None:
        """Return the expression by which a node chooses between its ports *true* and *false*."""
        node, node_type = self.ways.nodes[node_id], self._type(node_id)
        if node_type is None or node.disabled or {port.name for port in node_type.ports(node.params)} != YES_OR_NO:
            return None
        texts = [value for value in node.params.values() if isinstance(value, str)]
        parts = inference.parts_of(texts[0]) if len(texts) == 1 else None
        return parts.expressions[0].tree if parts is not None and parts.is_alone else None

    def closest(self, name: str, names: Iterable[str], alike: float) -> str | None:
        """Return the name most like *name*; None when that was asked very often."""
        self._suggestions += 1
        return closest(name, names, alike) if self._suggestions <= SUGGESTIONS else None

    def no_output(self, node_id: str, name: str) -> NoOutput:
        """Return why ``$action`` has no output of a name in a node."""
        shown = wording.shown(name)
        node = self.ways.nodes.get(name)
        if node is None:
            ids = {**{node.name: node.id for node in self.document.nodes}, **{each: each for each in self.ways.nodes}}
            close = self.closest(name, ids, 0.6)
            meant = ids[close] if close else None
            hint = f"; did you mean “{meant}”?" if meant else ""
            return NoOutput("expression.node_unknown", f"there is no node “{shown}” in this flow{hint}", meant)
        if name == node_id:
            message = "a node cannot read its own output"
        elif name in self.ways.frames_of(node_id):
            message = f"{self._named(name)} has an output only when the loop has ended"
        elif loops := [loop for loop in self.ways.frames_of(name) if loop not in self.ways.frames_of(node_id)]:
            message = f"{self._named(name)} is inside of the loop {self._named(loops[-1])}; read the loop's “outputs”"
        else:
            message = f"{self._named(name)} does not come before this node on any path"
        return NoOutput("expression.node_not_before", message)

    def _repeated(self, node_id: str) -> tuple[str, ...]:
        """Return the nodes of a loop's body whose outputs its own condition reads."""
        node_type = self._type(node_id)
        if node_type is None or not node_type.is_asked_each_round:
            return ()
        return tuple(other for other in self.ways.nodes if self.ways.frames_of(other)[:1] == (node_id,))

    def _scope(self, node_id: str, node_type: NodeType | None, is_late: bool) -> Mapping[str, Shape]:
        environment = TEXT if self._environment is None else None
        found = {
            "param": self.payload_at(node_id),
            "action": shapes.object_of(_Outputs(self, node_id)),
            "var": shapes.object_of(self._variables),
            "env": shapes.object_of(dict.fromkeys(self._environment or (), TEXT), others=environment),
            "flow": declared.FLOW,
            "run": declared.RUN,
            "now": declared.NOW,
        }
        if node_type is not None and node_type.kind == "trigger":
            return {**found, "param": self.payload_of(node_id), "action": shapes.object_of({})}
        if is_late:
            return found | self._round(node_id) | {"item": replace(shapes.OBJECT, about="The payload of the event.")}
        if node_type is not None and node_type.is_asked_each_round:
            return found | {"item": _previous(), "index": replace(NUMBER, about="Rounds done.")}
        return found | self._round(node_id)

    def _round(self, node_id: str) -> dict[str, Shape]:
        frames = self.ways.frames_of(node_id)
        if not frames:
            return {}
        loop, node_type = self.ways.nodes[frames[0]], self._type(frames[0])
        index = replace(NUMBER, about=f"Number of the round of {self._named(loop.id)}, from 0.")
        if node_type is None or node_type.is_asked_each_round:
            return {"item": _previous(), "index": index}
        items = self._of_param(loop, node_type.param_that_gives("item"))
        item = (items.items or UNKNOWN) if items.kinds == {"list"} else UNKNOWN
        return {"item": replace(item, about=item.about or f"An item of {self._named(loop.id)}."), "index": index}

    def _may_start(self, trigger: str, node_id: str) -> bool:
        if trigger == node_id:
            return True
        before = self.ways.before(node_id, trigger) if self.ways.can_run(node_id) else None
        return before is None or bool(before.fired)

    def _given_at(self, output: Shape, name: str, fired: Fired) -> tuple[Shape, str]:
        """Return the output of a node that fired one port, and in words that it did."""
        if fired.is_empty:
            why = "it may have failed" if fired.has_failed else f"it may have gone on at “{fired.port}”"
            because = f"{name} has no output then: {why}"
            return replace(shapes.NULL, null_because=because), because
        if fired.has_failed:
            return declared.FAILURE, f"{name} may have failed"
        return output, f"{name} may not have failed"

    def _output_of(self, node: Node, node_type: NodeType | None) -> Shape:
        if node_type is None:
            return UNKNOWN
        if (given := node_type.param_that_gives("output")) is not None:
            found = self._of_param(node, given)
            return found if found.kinds == {"object"} else shapes.OBJECT
        return declared.output_of(node, node_type, self._columns)

    def _of_param(self, node: Node, param: str | None) -> Shape:
        """Return what a parameter comes to."""
        if param is None or param not in node.params:
            return UNKNOWN
        return inference.shape_of(node.params[param], lambda text: self.read(node.id, text, param)[0])

    def _type(self, node_id: str) -> NodeType | None:
        return self.types.get(self.ways.nodes[node_id].type)

    def _is_trigger(self, node_id: str) -> bool:
        node_type = self._type(node_id)
        return node_type is not None and node_type.kind == "trigger"

    def _named(self, node_id: str) -> str:
        return f"“{wording.shown(self.ways.nodes[node_id].name)}”"


class _Outputs(Mapping[str, Shape]):
    """What ``$action`` holds in one node; each output is looked at when it is asked for."""

    def __init__(self, knowledge: Knowledge, node_id: str) -> None:
        self._knowledge = knowledge
        self._node_id = node_id
        self._found: dict[str, Shape] = {}

    def __getitem__(self, other: str) -> Shape:
        if other not in self._found:
            if other not in self._knowledge.ways.nodes or not self._knowledge.has_output_at(self._node_id, other):
                raise KeyError(other)
            self._found[other] = self._knowledge.output_at(self._node_id, other)
        return self._found[other]

    def __iter__(self) -> Iterator[str]:
        return iter(self._knowledge.outputs_at(self._node_id))

    def __len__(self) -> int:
        return len(self._knowledge.outputs_at(self._node_id))


def _previous() -> Shape:
    return replace(UNKNOWN, about="What the round before gave; null at first.")
