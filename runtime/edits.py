"""The operations by which a flow is edited; each is idempotent and knows the operations that take it back.

An operation is an object whose ``op`` names it:

``add_node`` ``{"node": {…}, "at": [x, y]}``        an id, a name and default parameters are filled in; ``copy_of`` in
                                                    the operation names a node whose settings are taken over
``del_node`` ``{"id"}``                             with its edges, its place and its samples
``add_edge`` ``del_edge`` ``{"edge": {"source", "target", "key"}}``
``move`` ``{"at": {id: [x, y]}}``
``patch_node`` ``{"id", "set": {"name" | "params" | "retry" | "on_error"}, "param": {name: value}, "unset": [name]}``
``patch_flow`` ``{"set": {"name" | "description"}}``
``set_samples`` ``{"samples": […]}``
``replace`` ``{"document": {…}}``

Inverses may carry ``index``, the former position in its list, and ``restore``, which puts a node or edge back as it
was even if its type or port is no longer known. Neither can make the structure unsound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic_core import PydanticUndefined, to_jsonable_python

from nodes.spec import NodeType
from runtime import limits, strictjson, wording
from runtime.document import (
    DESCRIPTION_CHARS,
    PLACE,
    SAMPLES,
    Edge,
    Head,
    Node,
    Sample,
    dump,
    dump_node,
    dump_sample,
    parse,
    problems_of_part,
)
from runtime.errors import Problem
from runtime.graph import ports_of, reachable_from

Json: TypeAlias = Any
Operation: TypeAlias = dict[str, Json]
Types: TypeAlias = Mapping[str, NodeType]
NODE_SETTINGS = ("name", "params", "retry", "on_error")


@dataclass(frozen=True)
class Edited:
    """What editing gave: *applied* as it was done (ids and names filled in), *inverse* takes all of it back."""

    document: dict[str, Json]
    applied: list[Operation] = field(default_factory=list)
    inverse: list[Operation] = field(default_factory=list)
    refused: list[tuple[Operation, Problem]] = field(default_factory=list)


def apply(document: dict[str, Json], operations: Sequence[Operation], types: Types) -> Edited:
    """Return *document* (as ``dump`` gives it) after the operations; the one handed in stays as it is.

    An operation that cannot be done is refused with its problems, the others are still done. One that would change
    nothing is left out of *applied*.
    """
    draft = _Draft(document, types)
    applied: list[Operation] = []
    inverse: list[Operation] = []
    refused: list[tuple[Operation, Problem]] = []
    for operation in operations:
        try:
            step = _do(draft, operation)
        except _Refused as refusal:
            refused += [(operation, problem) for problem in refusal.problems]
            continue
        if step is not None:
            done, undo = step
            applied.append(done)
            inverse[:0] = undo
    return Edited(draft.document, applied, inverse, refused)


class _Refused(Exception):
    def __init__(self, *problems: Problem) -> None:
        self.problems = problems


_Step: TypeAlias = "tuple[Operation, list[Operation]] | None"  # as done, and what takes it back; None: no change


class _Draft:
    """A document being edited: lists and objects are replaced on change, never changed in place."""

    def __init__(self, document: dict[str, Json], types: Types) -> None:
        self.document = document
        self.types = types

    def put(self, **parts: Json) -> None:
        self.document = {key: parts.get(key, value) for key, value in self.document.items()}

    @property
    def nodes(self) -> list[dict[str, Json]]:
        return self.document["nodes"]  # type: ignore[no-any-return]

    @property
    def edges(self) -> list[dict[str, Json]]:
        return self.document["edges"]  # type: ignore[no-any-return]

    @property
    def layout(self) -> dict[str, list[Json]]:
        return self.document["layout"]  # type: ignore[no-any-return]

    def find(self, node_id: Json) -> dict[str, Json] | None:
        return next((node for node in self.nodes if node["id"] == node_id), None)

    def need(self, node_id: Json) -> dict[str, Json]:
        if (node := self.find(node_id)) is None:
            shown = wording.shown(str(node_id))
            raise _Refused(Problem("node.unknown", f"There is no node “{shown}”; it may have been deleted."))
        return node

    def place(self, places: Mapping[str, list[Json] | None]) -> None:
        """Set or (None) forget places; the layout stays in the order of the nodes."""
        merged = {**self.layout, **places}
        self.put(layout={n["id"]: merged[n["id"]] for n in self.nodes if merged.get(n["id"]) is not None})


def _do(draft: _Draft, operation: Operation) -> _Step:
    kind = operation.get("op") if isinstance(operation, dict) else None
    if not isinstance(kind, str) or kind not in _OPERATIONS:
        raise _Refused(Problem("operation.unknown", "There is no such editing operation."))
    if (fault := strictjson.fault_of(operation, depth=limits.PAYLOAD_DEPTH + 16)) is not None:
        raise _Refused(Problem(f"operation.{fault.code}", f"The change {fault.message}."))
    return _OPERATIONS[kind](draft, operation)


def _add_node(draft: _Draft, operation: Operation) -> _Step:
    given = _object(operation, "node")
    source = draft.find(operation.get("copy_of") or given.get("copy_of"))
    given = {key: value for key, value in given.items() if key != "copy_of"}
    if "id" in given and (existing := draft.find(given["id"])) is not None:
        if all(existing.get(key) == value for key, value in given.items()):
            return None
        raise _Refused(Problem("node.id_duplicate", f"There is already a node with the id “{existing['id']}”."))
    if len(draft.nodes) >= limits.FLOW_NODES:
        raise _Refused(Problem("document.too_large", f"A flow can have at most {limits.FLOW_NODES:,} nodes."))
    node_type = draft.types.get(given["type"]) if isinstance(given.get("type"), str) else None
    restores = operation.get("restore") is True
    if node_type is None and not restores:
        shown = wording.shown(str(given.get("type", "")))
        raise _Refused(Problem("node.type_unknown", f"There is no node type “{shown}”."))
    node = _node(given if restores or node_type is None else _filled_in(draft, given, node_type, source))
    place = _place(operation["at"]) if operation.get("at") is not None else None if restores else _free_place(draft)
    index = _index(operation, len(draft.nodes))
    draft.put(nodes=[*draft.nodes[:index], node, *draft.nodes[index:]])
    draft.place({node["id"]: place})
    done = {"op": "add_node", "node": node, "at": place, "index": index, "restore": True}
    return done, [{"op": "del_node", "id": node["id"]}]


def _filled_in(
    draft: _Draft, given: dict[str, Json], node_type: NodeType, source: dict[str, Json] | None
) -> dict[str, Json]:
    taken: dict[str, Json] = {}
    if source is not None and source["type"] == node_type.type:
        taken = {key: source[key] for key in NODE_SETTINGS if key in source}
    node: dict[str, Json] = {"params": defaults(node_type), **taken, **given}
    node.setdefault("id", _free_id(draft, node_type.title))
    node["name"] = _free_name(draft, given.get("name") or taken.get("name") or node_type.title)
    return node


def defaults(node_type: NodeType) -> dict[str, Json]:
    """Return the parameters a new node of this type starts with; required ones are left empty."""
    found = {}
    for name, info in node_type.params.model_fields.items():
        value = info.get_default(call_default_factory=True, validated_data={})
        plain = None if value is PydanticUndefined else to_jsonable_python(value)
        if plain is not None and plain not in ("", [], {}):
            found[info.alias or name] = plain
    return found


def _del_node(draft: _Draft, operation: Operation) -> _Step:
    node = draft.find(operation.get("id"))
    if node is None:
        return None
    node_id = node["id"]
    lost = [(i, edge) for i, edge in enumerate(draft.edges) if node_id in (edge["source"], edge["target"])]
    index = draft.nodes.index(node)
    undo: list[Operation] = [
        {"op": "add_node", "node": node, "at": draft.layout.get(node_id), "index": index, "restore": True},
        *({"op": "add_edge", "edge": edge, "index": i, "restore": True} for i, edge in lost),
    ]
    samples = draft.document["samples"]
    kept = [sample for sample in samples if sample["trigger"] != node_id]
    if len(kept) < len(samples):
        undo.append({"op": "set_samples", "samples": samples})
    draft.put(
        nodes=[other for other in draft.nodes if other is not node],
        edges=[edge for edge in draft.edges if node_id not in (edge["source"], edge["target"])],
        samples=kept,
    )
    draft.place({})
    return {"op": "del_node", "id": node_id}, undo


def _add_edge(draft: _Draft, operation: Operation) -> _Step:
    given = {"key": "out", **_object(operation, "edge")}
    if problems := problems_of_part(Edge, given, "Edge"):
        raise _Refused(*problems)
    edge = {key: given[key] for key in ("source", "target", "key")}
    if edge in draft.edges:
        return None
    source, target = draft.need(edge["source"]), draft.need(edge["target"])
    if len(draft.edges) >= limits.FLOW_EDGES:
        raise _Refused(Problem("document.too_large", f"A flow can have at most {limits.FLOW_EDGES:,} edges."))
    restores = operation.get("restore") is True
    if (problem := _edge_problem(draft, source, target, edge["key"], restores=restores)) is not None:
        raise _Refused(problem)
    index = _index(operation, len(draft.edges))
    draft.put(edges=[*draft.edges[:index], edge, *draft.edges[index:]])
    done = {"op": "add_edge", "edge": edge, "index": index, "restore": True}
    return done, [{"op": "del_edge", "edge": edge}]


def _edge_problem(
    draft: _Draft, source: dict[str, Json], target: dict[str, Json], port: str, *, restores: bool
) -> Problem | None:
    if source is target:
        return Problem("graph.cycle", f"{source['name']}: a node cannot be connected to itself.", source["id"])
    pairs = ((edge["source"], edge["target"]) for edge in draft.edges)
    if source["id"] in reachable_from([target["id"]], pairs):
        message = f"{source['name']}: this would run in a circle, because it comes after {target['name']}."
        return Problem("graph.cycle", message, source["id"])
    if restores:
        return None
    target_type, source_type = draft.types.get(target["type"]), draft.types.get(source["type"])
    if target_type is not None and target_type.kind == "trigger":
        message = f"{target['name']}: a trigger starts a flow, so nothing can lead to it."
        return Problem("edge.into_trigger", message, target["id"])
    if source_type is not None:
        ports = [p.name for p in ports_of(Node.model_validate(source), source_type)]
        if port not in ports:
            message = f"{source['name']}: there is no port “{wording.shown(port)}”; there are: {', '.join(ports)}."
            return Problem("edge.port_unknown", message, source["id"])
    return None


def _del_edge(draft: _Draft, operation: Operation) -> _Step:
    given = {"key": "out", **_object(operation, "edge")}
    edge = {key: given.get(key) for key in ("source", "target", "key")}
    if edge not in draft.edges:
        return None
    index = draft.edges.index(edge)
    draft.put(edges=[other for other in draft.edges if other != edge])
    return {"op": "del_edge", "edge": edge}, [{"op": "add_edge", "edge": edge, "index": index, "restore": True}]


def _move(draft: _Draft, operation: Operation) -> _Step:
    known = {node["id"] for node in draft.nodes}
    wanted = {
        node_id: None if at is None else _place(at)
        for node_id, at in _object(operation, "at").items()
        if node_id in known
    }
    changed = {node_id: at for node_id, at in wanted.items() if draft.layout.get(node_id) != at}
    if not changed:
        return None
    former = {node_id: draft.layout.get(node_id) for node_id in changed}
    draft.place(changed)
    return {"op": "move", "at": changed}, [{"op": "move", "at": former}]


def _patch_node(draft: _Draft, operation: Operation) -> _Step:
    node = draft.need(operation.get("id"))
    wanted = dict(_object(operation, "set", {}))
    single = {**_object(wanted, "param", {}), **_object(operation, "param", {})}
    wanted.pop("param", None)
    unset = operation.get("unset", [])
    if unknown := [key for key in wanted if key not in NODE_SETTINGS]:
        message = f"{node['name']}: “{wording.shown(unknown[0])}” cannot be changed."
        raise _Refused(Problem("operation.unknown_setting", message, node["id"]))
    if not isinstance(unset, list) or not all(isinstance(name, str) for name in unset):
        raise _Refused(Problem("operation.invalid", "“unset” must be a list of parameter names.", node["id"]))
    if single or unset:
        params = {**_object(wanted, "params", node["params"]), **single}
        wanted["params"] = {name: value for name, value in params.items() if name not in unset}
    merged = {key: value for key, value in {**node, **wanted}.items() if value is not None}
    if merged.get("name") != node["name"] and isinstance(merged.get("name"), str):
        merged["name"] = merged["name"].strip()
    patched = _node(merged)
    if _same(patched, node):
        return None
    former, latter = _difference(node, patched), _difference(patched, node)
    draft.put(nodes=[patched if other is node else other for other in draft.nodes])
    return {"op": "patch_node", "id": node["id"], **latter}, [{"op": "patch_node", "id": node["id"], **former}]


def _difference(node: dict[str, Json], other: dict[str, Json]) -> dict[str, Json]:
    """Return what turns *other* into *node*, parameter by parameter, so that two people's changes can both stay."""
    patch: dict[str, Json] = {}
    settings = {key: node.get(key) for key in ("name", "retry", "on_error") if node.get(key) != other.get(key)}
    params, others = node["params"], other["params"]
    changed = {name: value for name, value in params.items() if name not in others or not _same(value, others[name])}
    gone = [name for name in others if name not in params]
    if settings:
        patch["set"] = settings
    if changed:
        patch["param"] = changed
    if gone:
        patch["unset"] = gone
    return patch


def _same(one: Json, other: Json) -> bool:
    """Whether two values are the same JSON: unlike in Python, 1 is not true and not 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _patch_flow(draft: _Draft, operation: Operation) -> _Step:
    wanted = _object(operation, "set")
    if unknown := [key for key in wanted if key not in ("name", "description")]:
        message = f"“{wording.shown(unknown[0])}” of a flow cannot be changed this way."
        raise _Refused(Problem("operation.unknown_setting", message))
    head = draft.document["graph"]
    patched = {**head, **wanted}
    if isinstance(patched["description"], str) and len(patched["description"]) > DESCRIPTION_CHARS:
        message = f"The description is too long: at most {DESCRIPTION_CHARS:,} characters are allowed."
        raise _Refused(Problem("document.invalid", message))
    if problems := problems_of_part(Head, patched, "Flow"):
        raise _Refused(*problems)
    if patched == head:
        return None
    draft.put(graph=patched)
    former = {key: head[key] for key in wanted}
    return {"op": "patch_flow", "set": dict(wanted)}, [{"op": "patch_flow", "set": former}]


def _set_samples(draft: _Draft, operation: Operation) -> _Step:
    given = operation.get("samples")
    if not isinstance(given, list) or len(given) > SAMPLES:
        raise _Refused(Problem("operation.invalid", f"“samples” must be a list of at most {SAMPLES} samples."))
    if problems := [problem for sample in given for problem in problems_of_part(Sample, sample, "Sample")]:
        raise _Refused(*problems)
    names = [sample["name"] for sample in given]
    if len(set(names)) < len(names):
        raise _Refused(Problem("sample.duplicate", "Two samples have the same name. Rename one."))
    samples = [dump_sample(Sample.model_validate(sample)) for sample in given]
    former = draft.document["samples"]
    if _same(samples, former):
        return None
    draft.put(samples=samples)
    return {"op": "set_samples", "samples": samples}, [{"op": "set_samples", "samples": former}]


def _replace(draft: _Draft, operation: Operation) -> _Step:
    given = _object(operation, "document")
    if isinstance(given.get("graph"), dict):  # a flow keeps its id
        given = {**given, "graph": {**given["graph"], "id": draft.document["graph"]["id"]}}
    parsed, problems = parse(given)
    if parsed is None:
        raise _Refused(*problems)
    former, latter = draft.document, dump(parsed)
    if _same(former, latter):
        return None
    draft.document = latter
    return {"op": "replace", "document": latter}, [{"op": "replace", "document": former}]


_OPERATIONS: dict[str, Callable[[_Draft, Operation], _Step]] = {
    "add_node": _add_node,
    "del_node": _del_node,
    "add_edge": _add_edge,
    "del_edge": _del_edge,
    "move": _move,
    "patch_node": _patch_node,
    "patch_flow": _patch_flow,
    "set_samples": _set_samples,
    "replace": _replace,
}


def _node(data: dict[str, Json]) -> dict[str, Json]:
    name = data.get("name") or data.get("id")
    if problems := problems_of_part(Node, data, f"Node “{wording.shown(str(name))}”"):
        raise _Refused(*problems)
    return dump_node(Node.model_validate(data))


def _object(operation: Operation, key: str, default: dict[str, Json] | None = None) -> dict[str, Json]:
    value = operation.get(key, default)
    if not isinstance(value, dict):
        raise _Refused(Problem("operation.invalid", f"The operation needs “{key}”, an object."))
    return value


def _place(value: Json) -> list[Json]:
    if (
        not isinstance(value, list)
        or len(value) != 2
        or not all(type(part) in (int, float) and abs(part) <= PLACE for part in value)
    ):
        raise _Refused(Problem("operation.invalid", "A place is a list of two numbers, [x, y]."))
    return [round(part, 1) if isinstance(part, float) and not part.is_integer() else int(part) for part in value]


def _index(operation: Operation, end: int) -> int:
    index = operation.get("index")
    return index if type(index) is int and 0 <= index <= end else end


def _free_place(draft: _Draft) -> list[Json]:
    """Right of everything that has a place."""
    places = list(draft.layout.values())
    return [max(place[0] for place in places) + 280, min(place[1] for place in places)] if places else [0, 0]


def _free_id(draft: _Draft, title: str) -> str:
    stem = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:50] or "node"
    stem = stem if not stem[0].isdigit() else f"n_{stem}"
    taken = {node["id"] for node in draft.nodes}
    return _numbered(stem, "_", taken)


def _free_name(draft: _Draft, wanted: Json) -> Json:
    if not isinstance(wanted, str):
        return wanted  # the check of the whole node says what is wrong with it
    taken = {node["name"] for node in draft.nodes}
    if wanted not in taken:
        return wanted
    return _numbered(re.sub(r" \d+$", "", wanted)[: limits.NAME_CHARS - 6], " ", taken)


def _numbered(stem: str, between: str, taken: set[str]) -> str:
    if stem not in taken:
        return stem
    number = 2
    while f"{stem}{between}{number}" in taken:
        number += 1
    return f"{stem}{between}{number}"
