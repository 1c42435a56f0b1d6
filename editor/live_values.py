"""What expressions of the open node come to, with the payload of the test panel and the outputs of the last run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from editor.answers import Answer, error_answer, value_answer, waiting_answer
from editor.widgets import Refused
from nodes.spec import NodeType
from runtime import expressions, scanner
from runtime.access import ABSENT
from runtime.document import parse
from runtime.run_views import RunView, StepView
from runtime.scanner import Source, Token
from runtime.ways import Ways

if TYPE_CHECKING:
    from runtime.previews import Previews

Json: TypeAlias = Any


@dataclass(frozen=True)
class Held:
    """What names hold in one node; *names* of nodes are for messages."""

    param: Json = field(default_factory=dict)
    action: Mapping[str, Json] = field(default_factory=dict)
    item: Json = ABSENT
    index: Json = ABSENT
    names: Mapping[str, str] = field(default_factory=dict)


def held_at(
    document: Mapping[str, Json],
    node_id: str | None,
    types: Mapping[str, NodeType],
    payloads: Mapping[str, Json],
    run: RunView | None,
) -> Held:
    """Return what names hold in a node; in none: before a run begins.

    *payloads* are those to try, by trigger, the chosen one first.
    """
    nodes = {node["id"]: node for node in document["nodes"]}
    names = {node["id"]: node["name"] for node in nodes.values()}
    if node_id is None:
        return Held(param=next(iter(payloads.values()), {}), names=names)
    parsed, _problems = parse(document)
    if parsed is None or parsed.node(node_id) is None:
        return Held(names=names)
    ways = Ways(parsed, types)
    starts = (node_id,) if node_id in payloads else ways.triggers_of(node_id)
    trigger = next((each for each in payloads if each in starts), None)
    pinned = {each: node["pinned"].get("output") for each, node in nodes.items() if node.get("pinned")}
    steps = {step.node: step for step in run.steps if step.status == "succeeded"} if run else {}
    outputs = {each: step.output for each, step in steps.items() if each in nodes}
    item = _first_item(ways.frames_of(node_id), parsed.node, types, steps)
    return Held(
        param=payloads[trigger] if trigger is not None else {},
        action={**pinned, **outputs},
        item=item,
        index=ABSENT if item is ABSENT else 0,
        names=names,
    )


class LiveValues:
    """Answers what a text comes to. *held* is asked each time, for what names hold then."""

    def __init__(self, previews: Previews, held: Callable[[], Held], caller: str) -> None:
        self._previews = previews
        self._held = held
        self._caller = caller

    async def ask(self, value: Json) -> Answer | None:
        """Return how the value of a parameter is told; None where its problems are told elsewhere."""
        if expressions.problems_of(value):
            return None
        held = self._held()
        tokens = list(_tokens(value))
        if lacking := _lacking(tokens, held):
            return waiting_answer(lacking)
        named = _nodes_named(tokens)
        action = held.action if named is None else {node: held.action[node] for node in named if node in held.action}
        try:
            found = await self._previews.preview(
                value, param=held.param, action=action, item=held.item, index=held.index, caller=self._caller
            )
        except Refused:
            return waiting_answer("The values that this uses are too large to try it here.")
        if found.problems:
            return error_answer(found.problems[0].message, found.problems[0].position)
        return value_answer(found.value)


def _first_item(
    loops: tuple[str, ...], node: Callable[[str], Any], types: Mapping[str, NodeType], steps: Mapping[str, StepView]
) -> Json:
    """Return the first item of the innermost loop as of the last run."""
    loop = node(loops[0]) if loops else None
    node_type = types.get(loop.type) if loop is not None else None
    param = node_type.param_that_gives("item") if node_type is not None else None
    step = steps.get(loops[0]) if loops else None
    items = (step.input or {}).get(param or "") if step is not None else None
    return items[0] if isinstance(items, list) and items else ABSENT


def _tokens(value: Json) -> Iterator[Token]:
    """Yield the tokens of every expression in *value*, which has no faults."""
    if isinstance(value, str):
        for piece in scanner.split(value) if expressions.has_expression(value) else ():
            if isinstance(piece, Source):
                yield from piece.tokens
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _tokens(entry)


def _nodes_named(tokens: list[Token]) -> list[str] | None:
    """Return the nodes whose outputs are used; None where that is only known when it is evaluated."""
    found = []
    for index, token in enumerate(tokens):
        if token.text != "$action":
            continue
        mark, name = (*(each.text for each in tokens[index + 1 : index + 3]), "", "")[:2]
        if mark == ".":
            found.append(name)
        elif mark == "[" and name[:1] in ("'", '"') and "\\" not in name:
            found.append(name[1:-1])
        else:
            return None
    return found


def _lacking(tokens: list[Token], held: Held) -> str | None:
    """Return what has to be done before there is a value, or None."""
    for node in _nodes_named(tokens) or ():
        if node in held.names and node not in held.action:
            return f"Test “{held.names[node]}” once to see the value."
    roots = {token.text for token in tokens if token.kind == "root"}
    if held.item is ABSENT and roots & {"$item", "$index"}:
        return "Test the loop once to see the value."
    return None
