"""Adding, changing and deleting a node of a flow that is being edited."""

from __future__ import annotations

import re

from pydantic_core import PydanticUndefined, to_jsonable_python

from nodes.spec import NodeType
from runtime import limits, wording
from runtime.document import Node, dump_node, problems_of_part
from runtime.edit_draft import Draft, Json, Operation, Refused, Step, index_in, object_in, place_of, same
from runtime.errors import Invalid, Problem
from runtime.renaming import renamed

NODE_SETTINGS = ("name", "params", "retry", "on_error", "timeout_s", "after_crash", "disabled", "pinned")


def add_node(draft: Draft, operation: Operation) -> Step:
    """Add a node with an id, a name and parameters filled in, or put back one that was deleted."""
    given = object_in(operation, "node")
    source = draft.find(operation.get("copy_of") or given.get("copy_of"))
    given = {key: value for key, value in given.items() if key != "copy_of"}
    if "id" in given and (existing := draft.find(given["id"])) is not None:
        if all(existing.get(key) == value for key, value in given.items()):
            return None
        raise Refused(Problem("node.id_duplicate", f"There is already a node with the id “{existing['id']}”."))
    if len(draft.nodes) >= limits.FLOW_NODES:
        raise Refused(Problem("document.too_large", f"A flow can have at most {limits.FLOW_NODES:,} nodes."))
    node_type = draft.types.get(given["type"]) if isinstance(given.get("type"), str) else None
    restores = operation.get("restore") is True
    if node_type is None and not restores:
        shown = wording.shown(str(given.get("type", "")))
        raise Refused(Problem("node.type_unknown", f"There is no node type “{shown}”."))
    node = _node(given if restores or node_type is None else _filled_in(draft, given, node_type, source))
    place = place_of(operation["at"]) if operation.get("at") is not None else None if restores else _free_place(draft)
    index = index_in(operation, len(draft.nodes))
    draft.put(nodes=[*draft.nodes[:index], node, *draft.nodes[index:]])
    draft.place({node["id"]: place})
    done = {"op": "add_node", "node": node, "at": place, "index": index, "restore": True}
    undo: list[Operation] = [{"op": "del_node", "id": node["id"]}]
    samples = draft.document["samples"]
    if any(sample["trigger"] == node["id"] for sample in samples):  # they were there before the node
        undo.append({"op": "set_samples", "samples": samples})
    return done, undo


def _filled_in(
    draft: Draft, given: dict[str, Json], node_type: NodeType, source: dict[str, Json] | None
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


def del_node(draft: Draft, operation: Operation) -> Step:
    """Delete a node with its edges, its place and its samples."""
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


def patch_node(draft: Draft, operation: Operation) -> Step:
    """Change a node's settings, or single parameters of it."""
    node = draft.need(operation.get("id"))
    wanted = dict(object_in(operation, "set", {}))
    single = {**object_in(wanted, "param", {}), **object_in(operation, "param", {})}
    wanted.pop("param", None)
    unset = operation.get("unset", [])
    if unknown := [key for key in wanted if key not in NODE_SETTINGS]:
        message = f"{node['name']}: “{wording.shown(unknown[0])}” cannot be changed."
        raise Refused(Problem("operation.unknown_setting", message, node["id"]))
    if not isinstance(unset, list) or not all(isinstance(name, str) for name in unset):
        raise Refused(Problem("operation.invalid", "“unset” must be a list of parameter names.", node["id"]))
    if single or unset:
        params = {**object_in(wanted, "params", node["params"]), **single}
        wanted["params"] = {name: value for name, value in params.items() if name not in unset}
    merged = {key: value for key, value in {**node, **wanted}.items() if value is not None}
    if merged.get("name") != node["name"] and isinstance(merged.get("name"), str):
        merged["name"] = merged["name"].strip()
    patched = _node(merged)
    if same(patched, node):
        return None
    former, latter = _difference(node, patched), _difference(patched, node)
    draft.put(nodes=[patched if other is node else other for other in draft.nodes])
    return {"op": "patch_node", "id": node["id"], **latter}, [{"op": "patch_node", "id": node["id"], **former}]


def rename_node(draft: Draft, operation: Operation) -> Step:
    """Give a node another id, and rewrite every expression that names it."""
    node_id, wanted = draft.need(operation.get("id"))["id"], operation.get("to")
    if not isinstance(wanted, str):
        raise Refused(Problem("operation.invalid", "“to” must be the node's new id, a text.", node_id))
    former = draft.document
    try:
        latter = renamed(former, node_id, wanted, draft.types)
        back = renamed(latter, wanted, node_id, draft.types)
    except Invalid as invalid:
        raise Refused(*invalid.problems) from None
    if wanted == node_id:
        return None
    draft.document = latter
    undo: list[Operation] = [{"op": "rename_node", "id": wanted, "to": node_id}]
    for was, now in zip(former["nodes"], back["nodes"], strict=True):  # other spelling, or it named the new id before
        if not same(was, now):
            undo.append({"op": "patch_node", "id": was["id"], **_difference(was, now)})
    if not same(former["graph"], back["graph"]):
        undo.append({"op": "patch_flow", "set": {"settings": former["graph"]["settings"]}})
    return {"op": "rename_node", "id": node_id, "to": wanted}, undo


def _difference(node: dict[str, Json], other: dict[str, Json]) -> dict[str, Json]:
    """Return what turns *other* into *node*, parameter by parameter, so that two people's changes can both stay."""
    patch: dict[str, Json] = {}
    changeable = (key for key in NODE_SETTINGS if key != "params")
    settings = {key: node.get(key) for key in changeable if not same(node.get(key), other.get(key))}
    params, others = node["params"], other["params"]
    changed = {name: value for name, value in params.items() if name not in others or not same(value, others[name])}
    gone = [name for name in others if name not in params]
    if settings:
        patch["set"] = settings
    if changed:
        patch["param"] = changed
    if gone:
        patch["unset"] = gone
    return patch


def _node(data: dict[str, Json]) -> dict[str, Json]:
    name = data.get("name") or data.get("id")
    if problems := problems_of_part(Node, data, f"Node “{wording.shown(str(name))}”"):
        raise Refused(*problems)
    return dump_node(Node.model_validate(data))


def _free_place(draft: Draft) -> list[Json]:
    """Right of everything that has a place."""
    places = list(draft.layout.values())
    return [max(place[0] for place in places) + 280, min(place[1] for place in places)] if places else [0, 0]


def _free_id(draft: Draft, title: str) -> str:
    stem = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:50] or "node"
    stem = stem if not stem[0].isdigit() else f"n_{stem}"
    taken = {node["id"] for node in draft.nodes}
    return _numbered(stem, "_", taken)


def _free_name(draft: Draft, wanted: Json) -> Json:
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
