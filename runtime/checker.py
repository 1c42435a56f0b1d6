"""What is wrong with the expressions of a flow, read from their syntax trees, the graph and the declared models.

Nothing is run and nothing evaluated. What the dialect itself does not allow is told by ``runtime.param_checks``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from nodes.spec import NodeType
from nodes.switch import equals
from runtime import declared, inference, scanner, shapes, type_checks, wording
from runtime.check_codes import CODES
from runtime.document import Node
from runtime.errors import Problem
from runtime.expressions import has_expression
from runtime.findings import Finding
from runtime.kinds import as_truth
from runtime.knowledge import Knowledge
from runtime.param_checks import Field, fields_of
from runtime.shapes import UNKNOWN, Shape, in_words

Json: TypeAlias = Any
Path: TypeAlias = tuple[str | int, ...]


class Checker:
    """Checks the expressions of one flow, node by node."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def problems(self) -> Iterator[Problem]:
        """Yield every problem of the nodes that are switched on and of a known type."""
        for node in self._knowledge.document.nodes:
            node_type = self._knowledge.types.get(node.type)
            if node_type is not None and not node.disabled:
                yield from self.problems_of(node, node_type)

    def problems_of(self, node: Node, node_type: NodeType) -> Iterator[Problem]:
        """Yield every problem of one node's expressions."""
        wanted = {**type_checks.params_of(node_type.params), **self._columns_to_write(node, node_type)}
        for name, field in fields_of(node_type.params).items():
            value = node.params.get(name)
            if field.is_literal or value is None or (node_type.kind == "trigger" and field.widget != "expression"):
                continue
            yield from _Param(self._knowledge, node, node_type, field).problems(value, wanted[name])
        if (cases := node_type.param_that_gives("cases")) is not None:
            yield from self._cases(node, node_type, cases)

    def _columns_to_write(self, node: Node, node_type: NodeType) -> Mapping[str, Shape]:
        """Return what parameters with a value for each column take."""
        fields = fields_of(node_type.params).values()
        table = next((node.params.get(field.name) for field in fields if field.widget == "table"), None)
        columns = self._knowledge.columns_of(table)
        if columns is None:
            return {}
        return {field.name: declared.written_to(columns) for field in fields if field.widget == "columns"}

    def _cases(self, node: Node, node_type: NodeType, param: str) -> Iterator[Problem]:
        """Yield the cases that the value of a node is never equal to."""
        fields = fields_of(node_type.params)
        value = next((name for name, field in fields.items() if field.widget == "expression"), "")
        if not has_expression(node.params.get(value)):
            return  # it is written out on purpose
        shape = self._knowledge.value_of(node.id, value)
        cases = node.params.get(param)
        for index, case in enumerate(cases if isinstance(cases, list) else ()):
            if isinstance(case, str) and _is_never(shape, case):
                message = f"the value is never “{wording.shown(case)}”: {_what_it_is(shape)}"
                found = Finding("switch.case_never", message, 0, len(case), CODES["switch.case_never"].severity)
                where = f"{wording.shown(node.name)}: “{fields[param].title}”"
                yield _problem(found, where, node.id, param, (index,))

    def problems_of_key(self, key: str) -> Iterator[Problem]:
        """Yield what is wrong with the settings' expression by which runs are told apart."""
        scope = {"param": self._knowledge.payload_of_any()}
        for each in inference.read(key, scope, is_bare=True)[1]:
            if each.code != "expression.item_outside":  # a name of a run: told with the settings
                yield _problem(each, "Settings: “Key”", None, "key", ())


class _Param:
    """One parameter of one node."""

    def __init__(self, knowledge: Knowledge, node: Node, node_type: NodeType, field: Field) -> None:
        self._knowledge = knowledge
        self._node = node
        self._field = field
        self._is_bare = field.is_late or node_type.kind == "trigger"  # one expression, with or without braces
        self._is_condition = field.widget == "expression" and type_checks.is_yes_or_no(node_type.params, field.name)

    def problems(self, value: Json, wanted: Shape) -> Iterator[Problem]:
        if self._is_bare:
            if isinstance(value, str) and value.strip():
                yield from self._text(value, UNKNOWN, (), is_condition=True)
            return
        if self._is_condition and isinstance(value, bool):
            yield replace(self._problem(_always(value, 0), ()), position=None, length=None)
        yield from self._inside(value, wanted, ())

    def _inside(self, value: Json, wanted: Shape, path: Path) -> Iterator[Problem]:
        if isinstance(value, str) and scanner.OPEN in value:
            yield from self._text(value, wanted, path, is_condition=self._is_condition)
        elif (
            self._field.widget == "columns" and len(path) == 1 and not type_checks.fits(shapes.of_value(value), wanted)
        ):
            message = f"it takes {in_words(wanted.kinds)}, not {in_words(shapes.of_value(value).kinds)}"
            found = Finding("param.type", message, 0, 0, CODES["param.type"].severity)
            yield replace(self._problem(found, path), position=None, length=None)
        elif isinstance(value, dict):
            for key, entry in value.items():
                yield from self._inside(entry, wanted.fields.get(key) or wanted.others or UNKNOWN, (*path, key))
        elif isinstance(value, list):
            for index, entry in enumerate(value):
                yield from self._inside(entry, wanted.items or UNKNOWN, (*path, index))

    def _text(self, text: str, wanted: Shape, path: Path, *, is_condition: bool) -> Iterator[Problem]:
        shape, told = self._knowledge.read(self._node.id, text, self._field.name, is_bare=self._is_bare)
        found = list(told)
        if is_condition and not any(each.code == "expression.always" for each in found):
            truth = as_truth(shape)
            if truth is not None and inference.is_alone(text, self._is_bare):
                found.append(_always(truth, len(text)))
        if not type_checks.fits(shape, wanted):
            found.append(_mismatch(text, shape, wanted))
        for each in found:
            yield self._problem(each, path)

    def _problem(self, found: Finding, path: Path) -> Problem:
        inner = wording.shown(wording.place(path))
        where = f"{wording.shown(self._node.name)}: “{self._field.title}”" + (f" ({inner})" if inner else "")
        return _problem(found, where, self._node.id, self._field.name, path)


def _problem(found: Finding, where: str, node: str | None, param: str, path: Path) -> Problem:
    end = "" if found.message.endswith((".", "?")) else "."
    message = f"{where}: {found.message[:1].upper()}{found.message[1:]}{end}"
    place = (path, found.position, found.length)
    return Problem(found.code, message, node, param, found.severity, *place, found.suggestion)


def check_expressions(knowledge: Knowledge) -> Iterator[Problem]:
    """Yield every problem of a flow's expressions that the dialect alone does not see."""
    checker, settings = Checker(knowledge), knowledge.document.graph.settings
    yield from checker.problems()
    if settings is not None and settings.key is not None:
        yield from checker.problems_of_key(settings.key)


def _is_never(shape: Shape, case: str) -> bool:
    """Return whether a value of such a shape never equals a case."""
    if shape.values is not None:
        return not any(equals(value, case) for value in shape.values)
    if "text" in shape.kinds:
        return False
    try:
        written = shapes.of_value(json.loads(case))
    except ValueError:
        return True
    return not written.kinds & shape.kinds - {"list", "object"}


def _what_it_is(shape: Shape) -> str:
    if shape.values is None:
        return f"it is {in_words(shape.kinds)}"
    written = [value if isinstance(value, str) else json.dumps(value) for value in shape.values[:8]]
    return f"it is {wording.shown(' or '.join(written), 100)}"


def _always(truth: bool, length: int) -> Finding:
    message = f"this condition is always {'true' if truth else 'false'}"
    return Finding("expression.always", message, 0, length, CODES["expression.always"].severity)


def _mismatch(text: str, shape: Shape, wanted: Shape) -> Finding:
    severity = CODES["param.type"].severity
    stripped = text.strip()
    if stripped != text and inference.is_alone(stripped):
        message = "the spaces around the expression make it text; remove them, so that its value keeps its kind"
        return Finding("param.type", message, 0, len(text), severity, stripped)
    suggestion = None
    if inference.is_alone(text) and (name := type_checks.conversion(shape, wanted)) is not None:
        inner = text[len(scanner.OPEN) : -len(scanner.CLOSE)].strip()
        simple = all(sign not in inner for sign in " +-*/~<>=")
        suggestion = f"{{{{ {inner if simple else f'({inner})'} | {name} }}}}"
    message = f"it takes {in_words(wanted.kinds)}, and this gives {in_words(shape.kinds)}"
    if shape.kinds & wanted.kinds:
        message = _misfit_within(shape, wanted)
    return Finding("param.type", message, 0, len(text), severity, suggestion)


def _misfit_within(shape: Shape, wanted: Shape) -> str:
    """Return what does not fit of a value that is of a kind which is taken."""
    if shape.items is not None and wanted.items is not None:
        return (
            f"the entries of the list are {in_words(shape.items.kinds)}, and have to be {in_words(wanted.items.kinds)}"
        )
    if wanted.others is not None:
        fields = ((name, field.there(), wanted.fields.get(name, wanted.others)) for name, field in shape.fields.items())
        for name, found, taken in fields:
            if not type_checks.fits(found, taken):
                return (
                    f"“{wording.shown(name)}” in it is {in_words(found.kinds)}, and has to be {in_words(taken.kinds)}"
                )
    values = ", ".join(value if isinstance(value, str) else json.dumps(value) for value in wanted.values or ())
    return f"{_what_it_is(shape)}, and has to be one of: {values}"
