"""Names in expressions and what they lead to: fields that are not there, and outputs that may be missing."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from jinja2 import nodes

from runtime import narrowing, shapes, wording
from runtime.allowlist import LITERAL_WORDS
from runtime.check_codes import ERROR, WARNING
from runtime.kinds import is_method
from runtime.methods import METHOD_NAMES
from runtime.narrowing import Facts
from runtime.scanner import Token
from runtime.scope import ROOTS
from runtime.shapes import UNKNOWN, Shape

if TYPE_CHECKING:
    from runtime.reader import Reader

Step: TypeAlias = "nodes.Getattr | nodes.Getitem"
CHAIN: Final = (nodes.Name, nodes.Getattr, nodes.Getitem)
MAYBE: Final = frozenset({"expression.output_maybe_missing", "expression.field_maybe_missing"})
DEFAULTS: Final = {"text": "''", "number": "0", "boolean": "false", "list": "[]", "object": "{}"}
SHOWN_FIELDS: Final = 8
ALIKE: Final = 0.75  # how much a name has to be like one of the sample's


class _Key(NamedTuple):
    """A key that is written down, and where."""

    value: str | int
    token: Token


def read_chain(reader: Reader, node: nodes.Expr, facts: Facts, *, is_guarded: bool, is_called: bool) -> Shape:
    """Return what a name leads to."""
    before = len(reader.found)
    shape = _reached(reader, node, facts, is_guarded)
    if len(reader.found) > before:
        _offer_default(reader, node, shape, before, is_called)
    return shape


def presence(reader: Reader, node: nodes.Node, facts: Facts) -> bool | None:
    """Return whether a path leads to something in every run, or in none; None: it may."""
    path = narrowing.path_of(node)
    if path is None or path[0] not in reader.scope or path[0] == "env":  # another installation may have others
        return None
    at = reader.scope[str(path[0])]
    for length, key in enumerate(path[1:], 2):
        if (fact := facts.get(path[:length])) is not None and fact.is_there:
            return True if length == len(path) else None
        found = shapes.reach(at, key)
        if found.is_absent:
            return False
        if at.kinds != {"object"} or key not in at.fields or found.missing or found.is_hint:
            return None
        at = found
    return True


def tell_no_field(reader: Reader, field: nodes.Const, entry: Shape, name: str) -> None:
    """Take note that the entries of a list have no such field, which a filter's setting names."""
    token = reader.token(field.lineno - 1)
    if entry.kinds != {"object"}:
        message = f"the entries are {shapes.in_words(entry.kinds)} and have no “{wording.shown(name)}”"
        reader.tell_at("expression.field_unknown", message, token)
        return
    meant = _meant(reader, entry, name)
    message = f"there is no “{wording.shown(name)}” in the entries; {_meant_or_there(entry, meant)}"
    suggestion = _as_key(meant, token) if meant and field.value == name else None
    reader.tell_at("expression.field_unknown", message, token, suggestion=suggestion)


def _reached(reader: Reader, node: nodes.Expr, facts: Facts, is_guarded: bool) -> Shape:
    if isinstance(node, nodes.Name):
        return _root(reader, node, facts)
    assert isinstance(node, (nodes.Getattr, nodes.Getitem))
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        return _part(reader, node, node.arg, facts)
    if isinstance(node.node, CHAIN):
        base = _reached(reader, node.node, facts, is_guarded)
    else:
        base = reader.read(node.node, facts)
    if isinstance(node, nodes.Getattr):
        return _step(reader, node, base, _Key(node.attr, reader.token(node.lineno)), facts, is_guarded)
    if (value := narrowing.constant_key(node.arg)) is not None:
        return _step(reader, node, base, _Key(value, reader.token(node.arg.lineno - 1)), facts, is_guarded)
    return _worked_out(reader, node, base, facts)


def _root(reader: Reader, node: nodes.Name, facts: Facts) -> Shape:
    if node.name in LITERAL_WORDS:
        return shapes.of_value(LITERAL_WORDS[node.name])
    found = reader.scope.get(node.name)
    if found is not None:
        fact = facts.get((node.name,))
        return narrowing.narrowed(found, fact) if fact is not None and fact.is_there else found
    if node.name in ROOTS:
        token = reader.token(node.lineno - 1)
        reader.tell_at("expression.item_outside", f"“{token.text}” has a value only inside of a loop", token)
    return UNKNOWN


def _step(reader: Reader, node: Step, base: Shape, key: _Key, facts: Facts, is_guarded: bool) -> Shape:
    found = shapes.reach(base, key.value)
    path = narrowing.path_of(node) if facts else None
    if path is not None and (fact := facts.get(path)) is not None and fact.is_there:
        return narrowing.narrowed(found, fact)
    if found.is_absent:
        if isinstance(node, nodes.Getattr) and is_method(base, node.attr):
            message = f"“{node.attr}” is a method; write “{node.attr}()”"
            reader.tell_at("expression.type", message, key.token, suggestion=f"{node.attr}()")
        elif not base.is_absent:
            _tell_absent(reader, node, base, key, found, is_guarded)
        return UNKNOWN
    if not is_guarded:
        _tell_not_seen(reader, node, base, key)
    if found.missing and not is_guarded and not _has_run(reader, path, facts):
        code = "expression.output_maybe_missing" if _root_of(node) == "action" else "expression.field_maybe_missing"
        what = _written(node)
        message = f"{what} may be missing, because {found.missing}. Add “| default(…)”, or test “{what} is defined”"
        reader.tell(code, message, node)
    return found.there()


def _tell_not_seen(reader: Reader, node: Step, base: Shape, key: _Key) -> None:
    """Take note of a field that nobody declared and the example lacks, where it has one of nearly that name."""
    name, example = key.value, base.sample
    if not isinstance(name, str) or not isinstance(example, dict) or name in base.fields or name in METHOD_NAMES:
        return
    if meant := reader.around.closest(name, map(str, example), ALIKE):
        message = (
            f"the sample has no “{wording.shown(name)}” in {_written(node.node)}; did you mean "
            f"“{wording.shown(meant)}”? This is a hint: other data may have it"
        )
        reader.tell_at("expression.field_not_seen", message, key.token, suggestion=_as_key(meant, key.token))


def _has_run(reader: Reader, path: narrowing.Path | None, facts: Facts) -> bool:
    """Return whether a node that may be skipped has run for certain, by what was asked before."""
    return path is not None and path[0] == "action" and len(path) == 2 and reader.around.has_run(str(path[1]), facts)


def _tell_absent(reader: Reader, node: Step, base: Shape, key: _Key, found: Shape, is_guarded: bool) -> None:
    if narrowing.is_root(node.node, "env"):
        if not is_guarded:  # another installation may have it
            _tell_no_variable(reader, base, key)
        return
    name, holder, meant = str(key.value), _written(node.node), None
    code, shown = "expression.field_unknown", wording.shown(name)
    if narrowing.is_root(node.node, "action"):
        if name in base.fields:
            code, message = "expression.output_missing", f"there is no output of “{shown}”, because {found.missing}"
        else:
            code, message, meant = reader.around.no_output(name)
    elif base.kinds == {"object"}:
        meant = _meant(reader, base, name)
        why = f", because {found.missing}" if name in base.fields else ""
        message = f"there is no “{shown}” in {holder}{why}; {_meant_or_there(base, meant)}"
    else:
        message = f"{holder} is {shapes.in_words(base.kinds)} and has no “{shown}”"
        if base.kinds == {"list"}:
            message += f"; take one of its entries, such as {holder}[0]"
    if is_guarded:
        end = "" if message.endswith((".", "?")) else "."
        message = f"{message}{end} It is never there, so asking for it always has the same answer"
    suggestion = None if meant is None else _as_key(meant, key.token)
    reader.tell_at(code, message, key.token, WARNING if is_guarded else ERROR, suggestion)


def _tell_no_variable(reader: Reader, variables: Shape, key: _Key) -> None:
    name = str(key.value)
    meant = _meant(reader, variables, name)
    why = "because PULSEWIRE_ENV_NAMES does not list it, or it is not set"
    message = f"there is no “{wording.shown(name)}” in $env, {why}; {_meant_or_there(variables, meant)}"
    code = "expression.variable_unknown"
    reader.tell_at(code, message, key.token, suggestion=None if meant is None else _as_key(meant, key.token))


def _offer_default(reader: Reader, node: nodes.Expr, shape: Shape, since: int, is_called: bool) -> None:
    """Suggest a default for a path that may be missing; one mends whatever on it may be."""
    told = [each for each in reader.found[since:] if each.code in MAYBE]
    if told:
        path = "".join(token.text for token in reader.tokens_of(node))
        kind = next(iter(shape.known)) if len(shape.known) == 1 else ""
        changed = f"{path} | default({DEFAULTS.get(kind, 'null')})"
        position, length = reader.span(node)
        suggestion = f"({changed})" if is_called else changed
        reader.found[since:] = [each for each in reader.found[since:] if each.code not in MAYBE]
        reader.found.append(told[0]._replace(position=position, length=length, suggestion=suggestion))


def _worked_out(reader: Reader, node: nodes.Getitem, base: Shape, facts: Facts) -> Shape:
    """Return what ``base[key]`` is for a key that the run works out."""
    key = reader.read(node.arg, facts)
    if not key.kinds & {"text", "number"}:
        reader.tell("expression.type", f"{shapes.in_words(key.kinds)} cannot be a key or an index", node.arg)
    return base.items if base.kinds == {"list"} and base.items is not None else UNKNOWN


def _part(reader: Reader, node: nodes.Getitem, part: nodes.Slice, facts: Facts) -> Shape:
    base = reader.read(node.node, facts)
    for bound in (part.start, part.stop, part.step):
        if bound is not None and not (kinds := reader.read(bound, facts).kinds) & {"number", "null"}:
            reader.tell("expression.type", f"{shapes.in_words(kinds)} is no position", bound)
    if not base.kinds & {"text", "list"}:
        reader.tell("expression.type", f"{shapes.in_words(base.kinds)} has no such part", node)
        return UNKNOWN
    return base.only({"text", "list"})


def _written(node: nodes.Node) -> str:
    """Return a path as it is written, or what stands for something longer."""
    if isinstance(node, nodes.Name):
        return f"${node.name}"
    if isinstance(node, nodes.Getattr):
        return f"{_written(node.node)}.{wording.shown(node.attr)}"
    if isinstance(node, nodes.Getitem):
        key = narrowing.constant_key(node.arg)
        shown = "…" if key is None else str(key) if isinstance(key, int) else f"'{wording.shown(key)}'"
        return f"{_written(node.node)}[{shown}]"
    return "the value"


def _root_of(node: nodes.Node) -> str:
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        node = node.node
    return node.name if isinstance(node, nodes.Name) else ""


def _meant(reader: Reader, shape: Shape, name: str) -> str | None:
    return reader.around.closest(name, (each for each, field in shape.fields.items() if not field.is_absent), 0.6)


def _meant_or_there(shape: Shape, meant: str | None) -> str:
    if meant:
        return f"did you mean “{wording.shown(meant)}”?"
    there = (wording.shown(name, 40) for name, field in shape.fields.items() if not field.is_absent)
    found = list(islice(there, SHOWN_FIELDS + 1))
    if not found:
        return "it is empty"
    return f"there are: {', '.join(found[:SHOWN_FIELDS])}" + (", …" if len(found) > SHOWN_FIELDS else "")


def _as_key(name: str, token: Token) -> str | None:
    """Return *name* as it would stand in the place of *token*: in quotes, or after a dot where that is possible."""
    if token.kind == "string":
        quote = token.text[0]
        return quote + name.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
    return name if name.isidentifier() else None
