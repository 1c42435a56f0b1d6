"""What triggers bring and nodes give, as their types, their parameters and the columns of data tables declare it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from pydantic import ValidationError

from nodes.spec import NodeType
from runtime import shapes
from runtime.document import Node
from runtime.shapes import NUMBER, TEXT, UNKNOWN, Shape

Json: TypeAlias = Any
Columns: TypeAlias = Mapping[str, Sequence[Mapping[str, Json]]]
FAILURE: Final = shapes.object_of(
    {"message": TEXT, "code": shapes.of_kinds(("text", "null")), "step": TEXT}, about="What went wrong."
)
RUN: Final = shapes.object_of({"id": NUMBER, "started_at": TEXT}, about="The run.")
FLOW: Final = shapes.object_of(
    {"id": TEXT, "name": TEXT, "version": shapes.of_kinds(("number", "null"))}, about="The flow."
)
NOW: Final = replace(TEXT, about="When the run started, ISO 8601 in UTC.")
COLUMN_KINDS: Final = {
    **dict.fromkeys(("text", "date", "datetime", "uuid"), "text"),
    **dict.fromkeys(("integer", "number"), "number"),
    "boolean": "boolean",
}
OWN: Final = ("id", "created_at", "updated_at")  # what every row has besides its columns
INPUT_KINDS: Final = {"integer": "number"}  # the others are kinds already


def payload_of(node: Node, types: Mapping[str, NodeType], columns: Columns) -> Shape:
    """Return what a trigger brings."""
    node_type = types[node.type]
    inputs = node.params.get(node_type.param_that_gives("payload") or "")
    if isinstance(inputs, Mapping) and inputs:
        return shapes.object_of({str(name): _input(kind) for name, kind in inputs.items()})
    found = _told_by(node, node_type, types)
    samples = _samples(found, node.params if found is node_type else None)
    return shapes.union(*(_with_rows(shapes.of_payload(found.output, each), node, found, columns) for each in samples))


def output_of(node: Node, node_type: NodeType, columns: Columns) -> Shape:
    """Return what the model of a node's output says, and the columns of the table that it reads."""
    return _with_rows(shapes.of_model(node_type.output), node, node_type, columns)


def row_of(columns: Sequence[Mapping[str, Json]]) -> Shape:
    """Return a row of a data table. A column may be null unless it is required."""
    fields = dict.fromkeys(OWN, TEXT)
    for column in columns:
        kind = COLUMN_KINDS.get(column.get("type", ""))
        found = UNKNOWN if kind is None else shapes.of_kinds((kind,) if column.get("required") else (kind, "null"))
        fields[str(column.get("name"))] = found
    return shapes.object_of(fields)


def written_to(columns: Sequence[Mapping[str, Json]]) -> Shape:
    """Return what may be written into a row of a data table: text is no number there, and a number no text."""
    row = row_of(columns)
    return replace(row, fields={name: found for name, found in row.fields.items() if name not in OWN}, others=UNKNOWN)


def _told_by(node: Node, node_type: NodeType, types: Mapping[str, NodeType]) -> NodeType:
    """Return the type that says what the trigger brings: of one for any event, that of the event which it names."""
    try:
        listen = node_type.listen(node_type.params.model_validate(node.params)) if node_type.listen else None
    except ValidationError:
        return node_type
    named = None if listen is None or listen.event is None else types.get(listen.event)
    if named is None or named.kind != "trigger" or "." not in named.type:  # an event may be called as another node is
        return node_type
    return named


def _samples(node_type: NodeType, params: Mapping[str, Json] | None) -> list[Mapping[str, Json]]:
    """Return an example of every kind of payload that a trigger has: with these parameters, or with any."""
    if params is not None or not node_type.presets:
        return [node_type.sample_of(params or {})]
    return [node_type.sample_of(preset.params) for preset in node_type.presets]


def _with_rows(output: Shape, node: Node, node_type: NodeType, columns: Columns) -> Shape:
    """Return an output with what is known of the rows in it."""
    fields = dict(output.fields)
    for name, info in node_type.output.model_fields.items():
        extra = info.json_schema_extra
        param = extra.get("row_of") if isinstance(extra, dict) else None
        table = node.params.get(str(param)) if param is not None else None
        known = columns.get(table) if isinstance(table, str) else None
        if known is not None:
            found, row = fields[name], row_of(known)
            fields[name] = replace(found, items=row) if "list" in found.kinds else replace(row, about=found.about)
    return replace(output, fields=fields)


def _input(kind: Json) -> Shape:
    """Return an input of a manual start, whose kind has “?” behind it where it may be left out."""
    name = str(kind).removesuffix("?")
    found = shapes.of_kinds({INPUT_KINDS.get(name, name)} & {*shapes.KINDS, "any"})
    if not str(kind).endswith("?"):
        return found
    return replace(shapes.union(found, shapes.NULL), missing="this input may be left out")
