"""The operations by which a flow is edited; each is idempotent and knows the operations that take it back.

An operation is an object whose ``op`` names it:

``add_node`` ``{"node": {…}, "at": [x, y]}``        an id, a name and default parameters are filled in; ``copy_of`` in
                                                    the operation names a node whose settings are taken over
``del_node`` ``{"id"}``                             with its edges, its place and its samples
``add_edge`` ``del_edge`` ``{"edge": {"source", "target", "key"}}``
``move`` ``{"at": {id: [x, y]}}``
``patch_node`` ``{"id", "set": {"name" | "params" | "retry" | "on_error" | "timeout_s" | "after_crash" | "disabled" |
               "pinned"}, "param": {name: value}, "unset": [name]}``
``rename_node`` ``{"id", "to"}``                    with all that names it, expressions included
``patch_flow`` ``{"set": {"name" | "description" | "settings"}}``
``set_samples`` ``{"samples": […]}``
``replace`` ``{"document": {…}}``

Inverses may carry ``index``, the former position in its list, and ``restore``, which puts a node or edge back as it
was even if its type or port is no longer known. Neither can make the structure unsound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runtime import limits, strictjson, wording
from runtime.document import (
    DESCRIPTION_CHARS,
    SAMPLES,
    Head,
    Sample,
    dump,
    dump_head,
    dump_sample,
    parse,
    problems_of_part,
)
from runtime.edit_draft import Draft, Json, Operation, Refused, Step, Types, object_in, place_of, same
from runtime.edit_edges import add_edge, del_edge
from runtime.edit_nodes import add_node, defaults, del_node, patch_node, rename_node
from runtime.errors import Problem

__all__ = ["Edited", "apply", "defaults"]


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
    draft = Draft(document, types)
    applied: list[Operation] = []
    inverse: list[Operation] = []
    refused: list[tuple[Operation, Problem]] = []
    for operation in operations:
        try:
            step = _do(draft, operation)
        except Refused as refusal:
            refused += [(operation, problem) for problem in refusal.problems]
            continue
        if step is not None:
            done, undo = step
            applied.append(done)
            inverse[:0] = undo
    return Edited(draft.document, applied, inverse, refused)


def _do(draft: Draft, operation: Operation) -> Step:
    kind = operation.get("op") if isinstance(operation, dict) else None
    if not isinstance(kind, str) or kind not in _OPERATIONS:
        raise Refused(Problem("operation.unknown", "There is no such editing operation."))
    if (fault := strictjson.fault_of(operation, depth=limits.PAYLOAD_DEPTH + 16)) is not None:
        raise Refused(Problem(f"operation.{fault.code}", f"The change {fault.message}."))
    return _OPERATIONS[kind](draft, operation)


def _move(draft: Draft, operation: Operation) -> Step:
    known = {node["id"] for node in draft.nodes}
    wanted = {
        node_id: None if at is None else place_of(at)
        for node_id, at in object_in(operation, "at").items()
        if node_id in known
    }
    changed = {node_id: at for node_id, at in wanted.items() if draft.layout.get(node_id) != at}
    if not changed:
        return None
    former = {node_id: draft.layout.get(node_id) for node_id in changed}
    draft.place(changed)
    return {"op": "move", "at": changed}, [{"op": "move", "at": former}]


def _patch_flow(draft: Draft, operation: Operation) -> Step:
    wanted = object_in(operation, "set")
    if unknown := [key for key in wanted if key not in ("name", "description", "settings")]:
        message = f"“{wording.shown(unknown[0])}” of a flow cannot be changed this way."
        raise Refused(Problem("operation.unknown_setting", message))
    head = draft.document["graph"]
    patched = {**head, **wanted}
    if isinstance(patched["description"], str) and len(patched["description"]) > DESCRIPTION_CHARS:
        message = f"The description is too long: at most {DESCRIPTION_CHARS:,} characters are allowed."
        raise Refused(Problem("document.invalid", message))
    if problems := problems_of_part(Head, patched, "Flow"):
        raise Refused(*problems)
    patched = dump_head(Head.model_validate(patched))
    if same(patched, head):
        return None
    draft.put(graph=patched)
    former = {key: head.get(key) for key in wanted}
    return {"op": "patch_flow", "set": dict(wanted)}, [{"op": "patch_flow", "set": former}]


def _set_samples(draft: Draft, operation: Operation) -> Step:
    given = operation.get("samples")
    if not isinstance(given, list) or len(given) > SAMPLES:
        raise Refused(Problem("operation.invalid", f"“samples” must be a list of at most {SAMPLES} samples."))
    if problems := [problem for sample in given for problem in problems_of_part(Sample, sample, "Sample")]:
        raise Refused(*problems)
    names = [sample["name"] for sample in given]
    if len(set(names)) < len(names):
        raise Refused(Problem("sample.duplicate", "Two samples have the same name. Rename one."))
    samples = [dump_sample(Sample.model_validate(sample)) for sample in given]
    former = draft.document["samples"]
    if same(samples, former):
        return None
    draft.put(samples=samples)
    return {"op": "set_samples", "samples": samples}, [{"op": "set_samples", "samples": former}]


def _replace(draft: Draft, operation: Operation) -> Step:
    given = object_in(operation, "document")
    if isinstance(given.get("graph"), dict):  # a flow keeps its id
        given = {**given, "graph": {**given["graph"], "id": draft.document["graph"]["id"]}}
    parsed, problems = parse(given)
    if parsed is None:
        raise Refused(*problems)
    former, latter = draft.document, dump(parsed)
    if same(former, latter):
        return None
    draft.document = latter
    return {"op": "replace", "document": latter}, [{"op": "replace", "document": former}]


_OPERATIONS: dict[str, Callable[[Draft, Operation], Step]] = {
    "add_node": add_node,
    "del_node": del_node,
    "add_edge": add_edge,
    "del_edge": del_edge,
    "move": _move,
    "patch_node": patch_node,
    "rename_node": rename_node,
    "patch_flow": _patch_flow,
    "set_samples": _set_samples,
    "replace": _replace,
}
