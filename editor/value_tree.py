"""What the expressions of a node can use, as a tree: round, payload, earlier nodes, variables, and what is common."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from editor.catalog import color_of
from nodes.spec import NodeType
from runtime.shapes import NOTHING, UNKNOWN, Shape

Json: TypeAlias = Any
Item: TypeAlias = dict[str, Json]  # a row: name, path, kind, sample, whole, missing, about, children, icon, color, note
SHORT_CHARS = 60
WHOLE_CHARS = 400
DEPTH = 6
MOST = 1500  # rows
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
SEEN = "Seen in an example; it need not be there."
COMMON = {  # root -> what it is
    "now": "When the run started, in UTC.",
    "run": "The run: its id, and when it started.",
    "flow": "This flow: its id, name and version.",
    "env": "What the installation lets flows see of its environment.",
}


def tree(
    document: Mapping[str, Json],
    types: Mapping[str, NodeType],
    scope: Mapping[str, Shape],
    *,
    has_run: bool = False,
) -> dict[str, Json]:
    """Return ``{"groups": rows, "hint": what to do to see more, "unfolded": keys of rows that are open at first}``.

    *scope* is what is known of each name, with the outputs of nodes nearest first; *has_run*: a run gave examples.
    A group is a row without a path.
    """
    rows = _Rows()
    groups = [
        *rows.rounds(scope),
        *rows.payload(document, types, scope.get("param")),
        *rows.outputs(document, types, scope.get("action")),
        *rows.variables(scope.get("var")),
        *rows.common(scope),
    ]
    nearest = next((group["key"] for group in groups if group["key"].startswith("$action")), "")
    unfolded = [group["key"] for group in groups if group["key"] in ("round", "param", nearest) or len(groups) == 1]
    return {"groups": groups, "hint": _hint(document, scope, has_run), "unfolded": unfolded}


def member(base: str, key: str) -> str:
    """Return the path of a field: ``$param.name``, or ``$param['odd key']``."""
    if WORD.fullmatch(key):
        return f"{base}.{key}"
    plain = json.dumps(key, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"{base}['{plain}']"


class _Rows:
    """Makes rows, and stops when there are more than anybody reads."""

    def __init__(self) -> None:
        self._left = MOST

    def rounds(self, scope: Mapping[str, Shape]) -> Iterator[Item]:
        found = [
            self._row(f"${name}", f"${name}", scope[name])
            for name in ("item", "index")
            if name in scope and not scope[name].is_absent
        ]
        if found:
            yield _group("round", "This round", found, "repeat", "--pw-amber")

    def payload(
        self, document: Mapping[str, Json], types: Mapping[str, NodeType], shape: Shape | None
    ) -> Iterator[Item]:
        if shape is None or _is_nothing(shape):
            return
        names = [
            node["name"]
            for node in document["nodes"]
            if node["type"] in types and types[node["type"]].kind == "trigger"
        ]
        note = names[0] if len(names) == 1 else f"{len(names)} triggers" if names else ""
        rows = [self._whole("whole payload", "$param", shape), *self._inside("$param", shape, DEPTH)]
        yield _group("param", "Payload", rows, "bolt", "--pw-violet", note=note)

    def outputs(
        self, document: Mapping[str, Json], types: Mapping[str, NodeType], shape: Shape | None
    ) -> Iterator[Item]:
        nodes = {node["id"]: node for node in document["nodes"]}
        for node_id, output in (shape.fields if shape else {}).items():
            if output.is_absent or node_id not in nodes:
                continue
            node, base = nodes[node_id], member("$action", node_id)
            node_type = types.get(node["type"])
            if node_type is not None and node_type.kind == "trigger":
                continue  # what it brings is the payload
            rows = [self._whole("whole output", base, output), *self._inside(base, output, DEPTH)]
            symbol = node_type.icon if node_type else "help"
            yield _group(base, node["name"], rows, symbol, color_of(node_type), note=node_id) | _doubt(output)

    def variables(self, shape: Shape | None) -> Iterator[Item]:
        rows = list(self._inside("$var", shape, DEPTH)) if shape else []
        if rows:
            yield _group("var", "Variables", rows, "deployed_code", "--pw-teal")

    def common(self, scope: Mapping[str, Shape]) -> Iterator[Item]:
        rows = [
            self._row(f"${name}", f"${name}", scope[name]) | {"about": about}
            for name, about in COMMON.items()
            if name in scope and not scope[name].is_absent and (name != "env" or scope[name].fields)
        ]
        if rows:
            yield _group("common", "Always there", rows, "schedule", "--pw-soft")

    def _row(self, name: str, path: str, shape: Shape, depth: int = DEPTH) -> Item:
        self._left -= 1
        row: Item = {"key": f"{path} {name}", "name": name, "path": path, "kind": _kind(shape)}
        if shape.sample is not NOTHING:
            row |= {"sample": _short(shape.sample), "whole": _whole(shape.sample)}
        if shape.about:
            row["about"] = shape.about
        if shape.is_hint:
            row["origin"] = SEEN
        row |= _doubt(shape)
        if depth and (inside := list(self._inside(path, shape, depth - 1))):
            row["children"] = inside
        return row

    def _whole(self, name: str, path: str, shape: Shape) -> Item:
        """Return the row for all that the rows after it are the fields of."""
        return self._row(name, path, replace(shape, about=""), 0) | {"isWhole": True}

    def _inside(self, base: str, shape: Shape, depth: int) -> Iterator[Item]:
        for name, field in shape.fields.items():
            if self._left > 0 and not field.is_absent:
                yield self._row(name, member(base, name), field, depth)
        if shape.items is not None and self._left > 0 and depth:
            yield self._row("first entry", f"{base}[0]", shape.items, depth)


def _group(key: str, name: str, rows: list[Item], symbol: str, color: str, *, note: str = "") -> Item:
    return {"key": key, "name": name, "icon": symbol, "color": color, "note": note, "children": rows}


def _doubt(shape: Shape) -> Item:
    if shape.missing:
        return {"missing": f"May be missing, because {shape.missing}."}
    return {"missing": f"May be null, because {shape.null_because}."} if shape.null_because else {}


def _kind(shape: Shape) -> str:
    if len(shape.known) == 1:
        return next(iter(shape.known))
    if shape.sample is NOTHING:
        return "any" if shape.known else "null"
    return _kind_of(shape.sample)


def _kind_of(value: Json) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return kinds.get(type(value), "null")


def _short(value: Json) -> str:
    """Return an example on one line, cut; of lists and objects how much is in them."""
    if isinstance(value, list | dict):
        one, more = ("entry", "entries") if isinstance(value, list) else ("field", "fields")
        return f"{len(value)} {one if len(value) == 1 else more}"
    text = " ".join(value.split()) if isinstance(value, str) else json.dumps(value)
    return _cut(text, SHORT_CHARS) if text else "empty"


def _whole(value: Json) -> str:
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), WHOLE_CHARS)


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[: chars - 1]}…"


def _hint(document: Mapping[str, Json], scope: Mapping[str, Shape], has_run: bool) -> str:
    """Return what to do to see more, or nothing."""
    param = scope.get("param", UNKNOWN)
    if _is_nothing(param):
        return "Connect this node to a trigger to see what it can use."
    if not has_run and not document.get("samples") and _is_guessed(param):
        yours = "Save a sample of your payload in the test panel, or test the flow once"
        return f"{yours}, to see its fields." if not param.fields else f"These fields are an example. {yours}."
    names = {node["id"]: node["name"] for node in document["nodes"]}
    for node_id, shape in scope["action"].fields.items() if "action" in scope else ():
        if shape.is_unknown and not shape.fields and node_id in names:
            return f"Test the flow once, and the fields of “{names[node_id]}” appear here."
    return ""


def _is_nothing(payload: Shape) -> bool:
    """Return whether no trigger leads to the node: every payload is an object."""
    return payload.is_absent or (payload.is_unknown and not payload.fields)


def _is_guessed(shape: Shape) -> bool:
    """Return whether fields of an object are known from an example alone, or not at all."""
    if not shape.fields:
        return shape.is_open and "object" in shape.kinds
    return any(field.is_hint or (field.is_unknown and field.fields) for field in shape.fields.values())
