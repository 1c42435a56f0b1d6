"""What an expression of a node can use: the payload's fields and the outputs of the nodes before it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel

from nodes.spec import NodeType
from runtime.parts import bodies

Json: TypeAlias = Any
SAMPLE_CHARS = 40
DEPTH = 3
MOST = 60


@dataclass(frozen=True)
class Reference:
    """A value by its path (``$param.Name``), where it comes from, and what it was in the sample."""

    path: str
    group: str
    sample: str = ""


def references(
    document: Mapping[str, Json],
    node_id: str,
    types: Mapping[str, NodeType],
    outputs: Mapping[str, Json],
) -> list[Reference]:
    """Return what *node_id* can use, the payload first, then the nearest nodes; *outputs* are of the last run."""
    nodes = {node["id"]: node for node in document["nodes"]}
    around = _loops_around(document, node_id, types)
    found: list[Reference] = []
    seen: set[str] = set()
    for earlier in _ancestors(document, node_id):
        node = nodes[earlier]
        node_type = types.get(node["type"])
        if node_type is None or earlier in around:
            continue
        if node_type.kind == "trigger":
            payload = _payload(document, node, node_type)
            # what an entry of the palette brings is told by its sample alone
            model = None if node_type.preset_of(node.get("params") or {}) else node_type.output
            fields = _described("$param", model, payload, f"Payload of {node['name']}")
        else:
            base = f"$action.{earlier}" if earlier.isidentifier() else f"$action['{earlier}']"
            fields = _described(base, node_type.output, outputs.get(earlier), f"Output of {node['name']}")
        for reference in fields:
            if reference.path not in seen:
                seen.add(reference.path)
                found.append(reference)
    found.sort(key=lambda reference: not reference.path.startswith("$param"))
    common = [Reference("$now", "Always there", "start of the run"), Reference("$run.id", "Always there")]
    return [*_rounds(nodes[node_id], [nodes[loop] for loop in around], types), *found[:MOST], *common]


def _rounds(
    node: Mapping[str, Json], around: list[Mapping[str, Json]], types: Mapping[str, NodeType]
) -> Iterator[Reference]:
    """Yield what the loops around a node bring, and what a node that waits reads itself."""
    node_type = types.get(node["type"])
    if node_type is not None and node_type.late_params:
        yield Reference("$item", f"Payload of what {node['name']} waits for")
    elif node_type is not None and node_type.is_asked_each_round:
        yield from (Reference("$item", "Result of the round before"), Reference("$index", "Rounds done"))
    elif around:
        loop = around[0]
        is_asked = types[loop["type"]].is_asked_each_round
        yield Reference(
            "$item", f"Result of the round before in {loop['name']}" if is_asked else f"Item of {loop['name']}"
        )
        yield Reference("$index", f"Its number in {loop['name']}, from 0")


def _loops_around(document: Mapping[str, Json], node_id: str, types: Mapping[str, NodeType]) -> list[str]:
    """Return the loops whose body holds the node, the innermost first."""
    loops = {}
    for node in document["nodes"]:
        port = types[node["type"]].body_port if node["type"] in types else None
        if port is not None:
            loops[node["id"]] = port
    if not loops:
        return []
    triggers = [node["id"] for node in document["nodes"] if getattr(types.get(node["type"]), "kind", "") == "trigger"]
    edges = [(edge["source"], edge["target"], edge["key"]) for edge in document["edges"]]
    inside = bodies(triggers, loops, edges)
    return sorted((loop for loop in inside if node_id in inside[loop]), key=lambda loop: len(inside[loop]))


def _ancestors(document: Mapping[str, Json], node_id: str) -> list[str]:
    before: dict[str, list[str]] = {}
    for edge in document["edges"]:
        before.setdefault(edge["target"], []).append(edge["source"])
    found: dict[str, None] = {}
    waiting = [node_id]
    while waiting:
        for source in before.get(waiting.pop(0), ()):
            if source not in found:
                found[source] = None
                waiting.append(source)
    return list(found)


def _payload(document: Mapping[str, Json], trigger: Mapping[str, Json], node_type: NodeType) -> Json:
    for sample in document.get("samples") or ():
        if sample["trigger"] == trigger["id"]:
            return sample["payload"]
    return node_type.sample_of(trigger.get("params") or {})


def _described(base: str, model: type[BaseModel] | None, value: Json, group: str) -> Iterator[Reference]:
    """Yield the fields of *model* and what else *value*, an example of it, holds."""
    declared = model.model_fields if model else {}
    known = value if isinstance(value, dict) else {}
    for name in dict.fromkeys([*declared, *known]):
        path = _member(base, name)
        yield Reference(path, group, _short(known[name]) if name in known else "")
        kind = declared[name].annotation if name in declared else None
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _described(path, kind, known.get(name), group)
        else:
            yield from _inside(path, known.get(name), group, DEPTH - 1)


def _inside(base: str, value: Json, group: str, depth: int) -> Iterator[Reference]:
    if not isinstance(value, dict) or depth == 0:
        return
    for name, item in value.items():
        path = _member(base, name)
        yield Reference(path, group, _short(item))
        yield from _inside(path, item, group, depth - 1)


def _member(base: str, name: str) -> str:
    if re.fullmatch(r"[A-Za-z_]\w*", name):
        return f"{base}.{name}"
    return f"{base}[{json.dumps(name, ensure_ascii=False)}]"


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SAMPLE_CHARS else f"{text[: SAMPLE_CHARS - 1]}…"
