"""Node types as the editor shows them, and a flow's nodes as the canvas draws them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

from nodes.spec import OUT, NodeType, Params, Port, Preset
from runtime.errors import Problem
from runtime.graph import with_failure_port

Json: TypeAlias = Any
Edge: TypeAlias = tuple[str, str, str]  # source, key, target

COLORS = {  # categories in the palette's order, with names of tokens in static/app.css
    "Triggers": "--pw-violet",
    "Table triggers": "--pw-violet",
    "User triggers": "--pw-violet",
    "Logic": "--pw-amber",
    "Communication": "--pw-pink",
    "Data": "--pw-teal",
    "Users": "--pw-blue",
}
OTHER_COLOR = "--pw-soft"
UNKNOWN_COLOR = "--pw-faint"
SUMMARY_CHARS = 80
TOLD = 5  # problems of a node that its mark tells
CALM = frozenset({"param.missing", "expression.empty"})  # codes of what nobody has filled in yet
NOT_SET_UP = "Not set up yet"
NODE_WIDTH, HEAD_HEIGHT, PORT_HEIGHT = 220, 64, 22  # NOTE: px, the same as in static/canvas/src/graph.js


def color_of(node_type: NodeType | None) -> str:
    """Return the token that colours a node type's icon."""
    return COLORS.get(node_type.category, OTHER_COLOR) if node_type else UNKNOWN_COLOR


@dataclass(frozen=True)
class Entry:
    """What can be put on a canvas by one name: a node type, or one of its presets."""

    key: str  # the type's name, or with the preset's place behind it
    node_type: NodeType
    preset: Preset | None = None

    @property
    def title(self) -> str:
        return self.preset.title if self.preset else self.node_type.title

    @property
    def hint(self) -> str:
        return (self.preset and self.preset.hint) or short_hint(self.node_type)


def entry_of(node_type: NodeType, params: Mapping[str, Json]) -> Entry:
    """Return what a node of this type with these parameters counts as."""
    preset = node_type.preset_of(params)
    if preset is None:
        return Entry(node_type.type, node_type)
    return Entry(f"{node_type.type}#{node_type.presets.index(preset)}", node_type, preset)


def entries(types: Mapping[str, NodeType]) -> list[Entry]:
    """Return everything that the palette lists, in its order: triggers, then logic, then what acts."""
    order = {category: place for place, category in enumerate(COLORS)}
    found = [
        entry_of(node_type, preset.params) if preset else Entry(node_type.type, node_type)
        for node_type in types.values()
        for preset in node_type.presets or (None,)
    ]
    return sorted(
        found, key=lambda each: (order.get(each.node_type.category, len(order)), each.node_type.category, each.title)
    )


def stem(entry: Entry) -> str:
    """Return what ids of new nodes are made from: ``send_email``, ``table_emptied``."""
    word = entry.node_type.type if entry.node_type.type.isidentifier() else entry.title
    return re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_") or "node"


def short_hint(node_type: NodeType) -> str:
    """Return what a node type does in a few words, without marks and without what is said of every trigger."""
    hint = re.sub(r"[*`]", "", node_type.hint)
    if node_type.kind == "trigger":
        hint = re.sub(r"^Starts? when ", "", hint)
    return hint[:1].upper() + hint[1:]


def canvas_catalog(types: Mapping[str, NodeType]) -> dict[str, Json]:
    """Return all that the canvas knows about node types; those that only presets offer are there, but not listed."""
    listed = {entry.key: entry for entry in entries(types)}
    whole = {name: Entry(name, node_type) for name, node_type in types.items() if node_type.presets}
    return {key: _face(entry) | {"is_listed": key in listed} for key, entry in (listed | whole).items()}


def _face(entry: Entry) -> dict[str, Json]:
    node_type = entry.node_type
    return {
        "type": node_type.type,
        "params": dict(entry.preset.params) if entry.preset else None,
        "title": entry.title,
        "icon": node_type.icon,
        "color": color_of(node_type),
        "category": node_type.category,
        "hint": entry.hint,
        "stem": stem(entry),
        "ports": _ports_json(node_type.ports({})),
        "has_input": node_type.kind != "trigger",
    }


def ports_of(node: Mapping[str, Json], node_type: NodeType | None) -> tuple[Port, ...]:
    """Return the output ports of a node of the document, with the one that fires when it fails."""
    ports = tuple(node_type.ports(node.get("params") or {})) if node_type else OUT
    return with_failure_port(ports, node.get("on_error", "stop"))


def card_size(node: Mapping[str, Json], node_type: NodeType | None) -> tuple[int, int]:
    """Return width and height in px of a node's card."""
    count = len(ports_of(node, node_type))
    return NODE_WIDTH, HEAD_HEIGHT + (12 + PORT_HEIGHT * count if count > 1 else 0)


class _Readable(dict[str, str]):
    def __missing__(self, key: str) -> str:
        raise KeyError(key)


def summary(node: Mapping[str, Json], node_type: NodeType | None) -> str:
    """Return the grey line of a card: what it is set to, that this is still to be done, or empty without either."""
    if node_type is None:
        return f"Unknown type {node.get('type', '')}"[:SUMMARY_CHARS]
    if callable(node_type.summary):
        return node_type.summary(node.get("params") or {})[:SUMMARY_CHARS] or NOT_SET_UP
    given = {name: readable(value) for name, value in (node.get("params") or {}).items() if value != ""}
    try:
        text = node_type.summary.format_map(_Readable(_unset(node_type.params) | given))
    except KeyError:
        return NOT_SET_UP
    return " ".join(text.split())[:SUMMARY_CHARS]


@cache
def _unset(params: type[Params]) -> dict[str, str]:
    """Return what stands for each parameter that may be left out: its default, or what its empty drop-down says."""
    found: dict[str, str] = {}
    for name, info in params.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        empty = extra.get("placeholder", "") if extra.get("widget") in ("table", "select") else ""
        if not info.is_required():
            found[info.alias or name] = str(info.default or empty)
    return found


def readable(value: Json) -> str:
    """Return a parameter's value on one line: text as it is, ``{{ }}`` without its braces, lists with commas."""
    if isinstance(value, str):
        whole = re.fullmatch(r"\s*\{\{((?:(?!\}\}).)*)\}\}\s*", value, re.DOTALL)
        return whole[1].strip() if whole else value
    if isinstance(value, list):
        return ", ".join(readable(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(value)
    return json.dumps(value)


@dataclass(frozen=True)
class Picture:
    """What a canvas shows of a flow: records of nodes by id, and edges."""

    nodes: dict[str, dict[str, Json]] = field(default_factory=dict)
    edges: frozenset[Edge] = frozenset()

    def as_json(self) -> dict[str, Json]:
        """Return the whole picture, as the canvas loads it."""
        return {"nodes": list(self.nodes.values()), "edges": [edge_json(edge) for edge in sorted(self.edges)]}

    def changes_since(self, before: Picture, nodes: Iterable[str] = (), edges: Iterable[Edge] = ()) -> dict[str, Json]:
        """Return what turns *before* into this picture, and how *nodes* and *edges* are in any case."""
        doubtful_nodes, doubtful_edges = set(nodes), set(edges)
        changed = {i for i, record in self.nodes.items() if before.nodes.get(i) != record or i in doubtful_nodes}
        wired = (self.edges - before.edges) | (self.edges & doubtful_edges)
        return {
            "nodes": [record for node_id, record in self.nodes.items() if node_id in changed],
            "gone": sorted((before.nodes.keys() | doubtful_nodes) - self.nodes.keys()),
            "edges": [edge_json(edge) for edge in sorted(wired)],
            "cut": [edge_json(edge) for edge in sorted((before.edges | doubtful_edges) - self.edges)],
        }


def picture(document: Mapping[str, Json], types: Mapping[str, NodeType], problems: Iterable[Problem] = ()) -> Picture:
    """Return a document as the canvas draws it, with each node's problems."""
    of_node: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.node:
            of_node.setdefault(problem.node, []).append(problem)
    layout = document.get("layout") or {}
    return Picture(
        {
            node["id"]: _record(node, types.get(node["type"]), layout, of_node.get(node["id"], []))
            for node in document["nodes"]
        },
        frozenset(edge_identity(edge) for edge in document["edges"]),
    )


def tone(problems: Iterable[Problem]) -> str:
    """Return how serious *problems* are together: ``error``, ``gap`` (something is still empty) or ``warning``."""
    errors = [problem for problem in problems if problem.severity == "error"]
    if not errors:
        return "warning"
    return "gap" if all(problem.code in CALM for problem in errors) else "error"


def _mark(problems: list[Problem]) -> dict[str, Json] | None:
    if not problems:
        return None
    worst_first = sorted(problems, key=lambda problem: problem.severity != "error")
    lines = list(dict.fromkeys(problem.message.replace("**", "") for problem in worst_first))
    more = [f"and {len(lines) - TOLD} more"] if len(lines) > TOLD else []
    return {"tone": tone(problems), "message": "\n".join([*lines[:TOLD], *more]), "count": len(problems)}


def edge_identity(edge: Mapping[str, Json]) -> Edge:
    """Return what an edge is known by."""
    return str(edge["source"]), str(edge.get("key", "out")), str(edge["target"])


def edge_json(edge: Edge) -> dict[str, str]:
    """Return an edge as the document writes it."""
    return {"source": edge[0], "target": edge[2], "key": edge[1]}


def _record(
    node: Mapping[str, Json], node_type: NodeType | None, layout: Mapping[str, Json], problems: list[Problem]
) -> dict[str, Json]:
    ports = ports_of(node, node_type)
    entry = entry_of(node_type, node.get("params") or {}) if node_type else None
    return {
        "id": node["id"],
        "type": node["type"],
        "kind": entry.key if entry and entry.preset else None,
        "name": node.get("name") or node["id"],
        "at": list(layout.get(node["id"], (0, 0))),
        "summary": summary(node, node_type),
        "ports": None if node_type and ports == tuple(node_type.ports({})) else _ports_json(ports),
        "problem": _mark(problems),
        "disabled": bool(node.get("disabled")),
        "pinned": bool(node.get("pinned")),
    }


def _ports_json(ports: Iterable[Port]) -> list[dict[str, str]]:
    given = list(ports)
    usual = "Success" if len(given) > 1 else ""  # what ``out`` is called beside another port
    return [{"name": p.name, "title": p.title or (usual if p.name == "out" else "")} for p in given]
