"""The flow document: format ``pulsewire.flow/1``, which is also networkx node-link data.

``parse`` reads one and reports every structural problem at once, ``dump`` writes it with its keys in one order.
Layout stands at the end, apart from the logic, so moving a node changes only ``layout``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from runtime import limits, strictjson, wording
from runtime.document_parts import AfterCrash, FlowSettings, Number, OnError, Part, Pinned
from runtime.document_parts import Retry as Retry
from runtime.errors import Problem

FORMAT = "pulsewire.flow/1"
NODE_ID = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
FLOW_ID = r"^([A-Za-z0-9][A-Za-z0-9_-]{0,99})?$"
NO_NUL = r"^[^\x00]*$"
ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
DESCRIPTION_CHARS = 10_000
SAMPLES = 200
PLACE = 1_000_000  # px from the origin
RESERVED_IDS = frozenset({"__proto__", "constructor", "prototype"})  # names that JavaScript objects already have

Json: TypeAlias = Any
FORMS = {  # what a text that does not fit its pattern has to be
    FLOW_ID: "must begin with a letter or digit, and hold at most 100 letters, digits, “_” and “-”",
    NODE_ID: "must be the id of a node",
    NO_NUL: "must not hold NUL characters",
    ONE_LINE: "must be one line without control characters",
}
NodeId = Annotated[str, Field(pattern=NODE_ID)]
Name = Annotated[str, Field(min_length=1, max_length=limits.NAME_CHARS, pattern=ONE_LINE)]
BOUNDS = {"ge": "minimum", "le": "maximum"}
Coordinate = Annotated[Number, Field(ge=-PLACE, le=PLACE)]
Place = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]


class Node(Part):
    """One node; ``params`` are as the person wrote them, expressions included."""

    id: NodeId
    type: Annotated[str, Field(min_length=1, max_length=100)]
    name: Name
    params: dict[str, Json] = Field(default_factory=dict)
    retry: Retry | None = None
    on_error: OnError = "stop"
    timeout_s: Annotated[Number, Field(ge=0.1, le=limits.STEP_TIMEOUT_S)] | None = None
    after_crash: AfterCrash | None = None  # an effect whose outcome is not known; None: as the node type says
    disabled: bool = False  # passed over: it fires its first port without an output
    pinned: Pinned | None = None

    @model_validator(mode="before")
    @classmethod
    def _named_by_its_id(cls, data: Json) -> Json:
        if isinstance(data, dict) and "name" not in data and isinstance(data.get("id"), str):
            return {**data, "name": data["id"]}
        return data

    @field_validator("id")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value in RESERVED_IDS:
            raise ValueError("this id is reserved; choose another one")
        return value


class Edge(Part):
    """A connection; ``key`` is the output port of the source."""

    source: NodeId
    target: NodeId
    key: Annotated[str, Field(min_length=1, max_length=limits.PORT_CHARS)] = "out"

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.source, self.key, self.target


class Sample(Part):
    """A payload to test with, kept with the flow; ``trigger`` is the node it would arrive at."""

    name: Name
    trigger: NodeId
    payload: dict[str, Json] = Field(default_factory=dict)


class Head(Part):
    """What ``graph`` holds: who the flow is."""

    id: Annotated[str, Field(pattern=FLOW_ID)] = ""
    name: Name
    description: Annotated[str, Field(max_length=DESCRIPTION_CHARS, pattern=NO_NUL)] = ""
    settings: FlowSettings | None = None


class Document(Part):
    """A whole flow, structurally sound: ids are unique and every edge joins two nodes."""

    format: Literal["pulsewire.flow/1"]
    directed: Literal[True] = True
    multigraph: Literal[True] = True
    graph: Head
    nodes: Annotated[list[Node], Field(max_length=limits.FLOW_NODES)] = Field(default_factory=list)
    edges: Annotated[list[Edge], Field(max_length=limits.FLOW_EDGES)] = Field(default_factory=list)
    samples: Annotated[list[Sample], Field(max_length=SAMPLES)] = Field(default_factory=list)
    layout: dict[str, Place] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.graph.id

    @property
    def name(self) -> str:
        return self.graph.name

    def node(self, node_id: str) -> Node | None:
        """Return the node with this id, or None."""
        return next((node for node in self.nodes if node.id == node_id), None)


def new(flow_id: str, name: str) -> Document:
    """Return an empty flow."""
    return Document(format="pulsewire.flow/1", graph=Head(id=flow_id, name=name))


def parse(data: object) -> tuple[Document | None, list[Problem]]:
    """Return the document and what is wrong with its structure, every problem at once.

    The document is None when a problem is an error; warnings (a place for a node that is gone) are repaired.
    What the flow means is not looked at: that is ``runtime.validation``.
    """
    if (fault := strictjson.fault_of(data, depth=limits.PAYLOAD_DEPTH + 8)) is not None:
        return None, [Problem(f"document.{fault.code}", f"The flow document {fault.message}.")]
    if not isinstance(data, dict):
        return None, [Problem("document.not_an_object", "A flow document is a JSON object.")]
    if data.get("format") != FORMAT:
        return None, [_wrong_format(data.get("format"))]
    try:
        document = Document.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems = [_problem(detail, data) for detail in _told_once(found)]
        return None, problems + _reference_problems_of_raw(data)
    problems = reference_problems(document)
    if any(problem.severity == "error" for problem in problems):
        return None, problems
    known = {node.id for node in document.nodes}
    if document.layout.keys() - known:
        document = document.model_copy(update={"layout": {k: v for k, v in document.layout.items() if k in known}})
    return document, problems


def parse_text(raw: bytes) -> tuple[Document | None, list[Problem]]:
    """Return what ``parse`` returns, for JSON text as it was uploaded."""
    value, fault = strictjson.read(raw, size=limits.DOCUMENT_BYTES, depth=limits.PAYLOAD_DEPTH + 8)
    if fault is not None:
        return None, [Problem(f"document.{fault.code}", f"The flow document {fault.message}.")]
    return parse(value)


def dump(document: Document) -> dict[str, Json]:
    """Return the document as JSON values, keys in the published order, layout last and in the order of the nodes."""
    places = document.layout
    return {
        "format": FORMAT,
        "directed": True,
        "multigraph": True,
        "graph": dump_head(document.graph),
        "nodes": [dump_node(node) for node in document.nodes],
        "edges": [{"source": edge.source, "target": edge.target, "key": edge.key} for edge in document.edges],
        "samples": [dump_sample(sample) for sample in document.samples],
        "layout": {node.id: list(places[node.id]) for node in document.nodes if node.id in places},
    }


def dump_head(head: Head) -> dict[str, Json]:
    """Return who the flow is, with its settings where it has any, as JSON values."""
    shape: dict[str, Json] = {"id": head.id, "name": head.name, "description": head.description}
    if head.settings is not None and (settings := head.settings.model_dump(exclude_unset=True)):
        shape["settings"] = settings
    return shape


def dump_node(node: Node) -> dict[str, Json]:
    """Return one node as JSON values; settings that nobody wrote are left out."""
    shape: dict[str, Json] = {
        "id": node.id,
        "type": node.type,
        "name": node.name,
        "params": {name: node.params[name] for name in sorted(node.params)},
    }
    if node.retry is not None:
        retry = node.retry
        shape["retry"] = {"attempts": retry.attempts, "delay_s": retry.delay_s, "backoff": retry.backoff}
    if "on_error" in node.model_fields_set:  # also when it is the default: what was imported is what is exported
        shape["on_error"] = node.on_error
    for name in ("timeout_s", "after_crash", "disabled", "pinned"):
        if getattr(node, name):
            shape[name] = node.pinned.model_dump() if name == "pinned" and node.pinned else getattr(node, name)
    return shape


def dump_sample(sample: Sample) -> dict[str, Json]:
    """Return one sample as JSON values."""
    return {"name": sample.name, "trigger": sample.trigger, "payload": sample.payload}


def dumps(document: Document) -> str:
    """Return the text that is exported and committed: equal documents give equal bytes."""
    return json.dumps(dump(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def json_schema() -> dict[str, Json]:
    """Return the published JSON Schema of the format."""
    schema = Document.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "/api/schema/flow.json",
        **_with_bounds(schema),
        "title": f"Flow document, {FORMAT}",
    }


def _with_bounds(schema: Json) -> Json:
    """Return a schema whose bounds have JSON Schema's names: pydantic leaves those of a union under its own."""
    if isinstance(schema, dict):
        return {BOUNDS.get(name, name): _with_bounds(value) for name, value in schema.items()}
    return [_with_bounds(value) for value in schema] if isinstance(schema, list) else schema


def reference_problems(document: Document) -> list[Problem]:
    """Return what is wrong between the parts: ids or edges given twice, edges and samples that lead nowhere."""
    nodes = [(node.id, node.name) for node in document.nodes]
    edges = [edge.identity for edge in document.edges]
    samples = [(sample.name, sample.trigger) for sample in document.samples]
    return list(_references(nodes, edges, samples, list(document.layout)))


def problems_of_part(part: type[BaseModel], data: object, what: str) -> list[Problem]:
    """Return what is wrong with *data* as one part of a document, such as a ``Node``; *what* names it to people."""
    try:
        part.model_validate(data)
    except ValidationError as error:
        node = data.get("id") if isinstance(data, dict) else None
        return [
            _sentence(detail, what, wording.place(detail["loc"]), node if isinstance(node, str) else None)
            for detail in _told_once(error.errors(include_url=False, include_input=False))
        ]
    return []


def _references(
    nodes: list[tuple[str, str]],
    edges: list[tuple[str, str, str]],
    samples: list[tuple[str, str]],
    places: list[str],
) -> Iterator[Problem]:
    known = {node_id for node_id, _name in nodes}
    for node_id, count in Counter(node_id for node_id, _name in nodes).items():
        if count > 1:
            yield Problem(
                "node.id_duplicate", f"{count} nodes have the id “{node_id}”. Give each node its own id.", node_id
            )
    for (source, port, target), count in Counter(edges).items():
        for end, other, word in ((source, target, "starts"), (target, source, "ends")):
            if end not in known:
                message = f"An edge {word} at “{wording.shown(end)}”, which is not a node. Remove the edge."
                yield Problem("edge.dangling", message, other if other in known else None)
        if count > 1:
            message = (
                f"“{source}” and “{target}” are connected {count} times at the port “{wording.shown(port)}”. Keep one."
            )
            yield Problem("edge.duplicate", message, source)
    for name, count in Counter(name for name, _trigger in samples).items():
        if count > 1:
            yield Problem("sample.duplicate", f"{count} samples are named “{wording.shown(name)}”. Rename one.")
    for name, trigger in samples:
        if trigger not in known:
            message = f"The sample “{wording.shown(name)}” is for “{trigger}”, which is not a node."
            yield Problem("sample.trigger_unknown", message, severity="warning")
    for node_id in places:
        if node_id not in known:
            message = f"The layout has a place for “{wording.shown(node_id)}”, which is not a node; it was left out."
            yield Problem("layout.node_unknown", message, severity="warning")


def _reference_problems_of_raw(data: dict[str, Json]) -> list[Problem]:
    """The same for a document that has other faults: parts too damaged to look at are passed over."""
    nodes = [(n["id"], "") for n in _objects(data.get("nodes")) if isinstance(n.get("id"), str)]
    edges = [
        (e["source"], e.get("key", "out"), e["target"])
        for e in _objects(data.get("edges"))
        if all(isinstance(e.get(end, "out"), str) for end in ("source", "target", "key"))
        and {"source", "target"} <= e.keys()
    ]
    if len(nodes) > limits.FLOW_NODES or len(edges) > limits.FLOW_EDGES:
        return []
    return [problem for problem in _references(nodes, edges, [], []) if problem.severity == "error"]


def _objects(value: Json) -> list[dict[str, Json]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _wrong_format(found: object) -> Problem:
    if isinstance(found, str) and found.startswith("pulsewire.flow/"):
        message = (
            f"This flow was written in the format “{wording.shown(found)}”; this version of Pulsewire reads “{FORMAT}”."
        )
    else:
        message = f"This is not a flow document: its “format” must be “{FORMAT}”."
    return Problem("document.format_unknown", message)


def _told_once(errors: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Leave out the second voice of a union: a wrong number is reported as no int and as no float."""
    seen = set()
    for error in errors:
        location = tuple(step for step in error["loc"] if step not in ("int", "float", "constrained-int"))
        if location not in seen:
            seen.add(location)
            kind = "float_type" if error["type"] == "int_type" and location != error["loc"] else error["type"]
            yield {**error, "loc": location, "type": kind}


def _problem(error: ErrorDetails, data: dict[str, Json]) -> Problem:
    location = error["loc"]
    if len(location) >= 2 and location[0] == "nodes" and isinstance(location[1], int):
        raw = data["nodes"][location[1]]
        node_id = raw.get("id") if isinstance(raw, dict) else None
        node_id = node_id if isinstance(node_id, str) else None
        what = f"Node “{wording.shown(node_id)}”" if node_id else f"Node number {location[1] + 1}"
        return _sentence(error, what, wording.place(location[2:]), node_id)
    return _sentence(error, "Flow document", wording.place(location), None)


def _sentence(error: ErrorDetails, what: str, where: str, node: str | None) -> Problem:
    kind = error["type"]
    where = wording.shown(where)
    area = "node" if what.startswith("Node") else "document"
    param = where.removeprefix("params.") if where.startswith("params.") else None
    if kind == "extra_forbidden":
        return Problem(f"{area}.unknown_key", f"{what}: “{where}” is not part of the format. Remove it.", node)
    if kind == "missing":
        return Problem(f"{area}.missing", f"{what}: “{where}” is missing.", node)
    if where == "id" and kind in ("string_pattern_mismatch", "value_error", "string_type"):
        message = (
            f"{what}: the id must begin with a letter or underscore, hold only letters, digits, “_” and “-”,"
            f" have at most 64 characters and not be a reserved word."
        )
        return Problem("node.id_invalid", message, node)
    if kind == "too_long" and where in ("nodes", "edges", "samples"):
        limit = (error.get("ctx") or {}).get("max_length")
        return Problem("document.too_large", f"A flow can have at most {limit:,} {where}.", node)
    subject = f"“{where}” " if where else ""
    ending = FORMS.get((error.get("ctx") or {}).get("pattern", "")) or wording.ending(error)
    return Problem(f"{area}.invalid", f"{what}: {subject}{ending}.", node, param)
