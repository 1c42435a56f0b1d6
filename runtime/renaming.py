"""Gives a node of a flow another id, everywhere that the flow names it.

Expressions are rewritten token by token, so texts, strings and other names that merely look like the id stay as they
are. What names a node only while it runs, such as ``$action[$param.which]``, cannot be known and stays too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from nodes.spec import ERROR, NodeType, load
from runtime import scanner, wording
from runtime.document import NODE_ID, RESERVED_IDS
from runtime.errors import Invalid, Problem
from runtime.param_checks import fields_of
from runtime.scanner import ScanError, Source, Token

Json: TypeAlias = Any
Types: TypeAlias = Mapping[str, NodeType]
Change: TypeAlias = tuple[int, int, str]  # from, to (exclusive), and the text that stands there from now on
WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
BEFORE_A_TEXT = frozenset({"(", "[", "{", ",", ":", "and", "or", "not", "if", "else"})  # it is an operand by itself


def renamed(document: dict[str, Json], old_id: str, new_id: str, types: Types | None = None) -> dict[str, Json]:
    """Return *document* (as ``dump`` gives it) with the node *old_id* called *new_id*; the one given stays as it is.

    *types* say which parameters are expressions without braces; None takes those of this installation. An expression
    that cannot be read to its end is left alone. Raises Invalid when there is no such node, or the new id is taken or
    none.
    """
    _refuse(document, old_id, new_id)
    if old_id == new_id:
        return document
    known = load() if types is None else types
    nodes = [_node(node, known.get(node["type"]), old_id, new_id) for node in document["nodes"]]
    own = {old_id: new_id}
    return {
        **document,
        "graph": _head(document["graph"], old_id, new_id),
        "nodes": nodes,
        "edges": [
            {
                **edge,
                "source": own.get(edge["source"], edge["source"]),
                "target": own.get(edge["target"], edge["target"]),
            }
            for edge in document["edges"]
        ],
        "samples": [
            {**sample, "trigger": own.get(sample["trigger"], sample["trigger"])} for sample in document["samples"]
        ],
        "layout": {own.get(node_id, node_id): place for node_id, place in document["layout"].items()},
    }


def _refuse(document: dict[str, Json], old_id: str, new_id: str) -> None:
    ids = {node["id"] for node in document["nodes"]}
    if old_id not in ids:
        shown = wording.shown(old_id)
        raise Invalid(Problem("node.unknown", f"There is no node “{shown}”; it may have been deleted or renamed."))
    if not re.fullmatch(NODE_ID, new_id) or new_id in RESERVED_IDS:
        message = (
            f"“{wording.shown(new_id)}” cannot be an id. It must begin with a letter or underscore, hold only letters, "
            "digits, “_” and “-”, have at most 64 characters and not be a reserved word."
        )
        raise Invalid(Problem("node.id_invalid", message, old_id))
    if new_id != old_id and new_id in ids:
        message = f"There is already a node with the id “{new_id}”. Choose another id, or rename that node first."
        raise Invalid(Problem("node.id_duplicate", message, old_id))


def _head(head: dict[str, Json], old_id: str, new_id: str) -> dict[str, Json]:
    settings = head.get("settings") or {}
    if not isinstance(settings.get("key"), str):
        return head
    return {**head, "settings": {**settings, "key": _in_condition(settings["key"], old_id, new_id)}}


def _node(node: dict[str, Json], node_type: NodeType | None, old_id: str, new_id: str) -> dict[str, Json]:
    params = {name: _in_param(node_type, name, value, old_id, new_id) for name, value in node["params"].items()}
    if node["id"] != old_id:
        return {**node, "params": params}
    changed = {**node, "id": new_id, "params": params}
    pinned = node.get("pinned")
    if pinned and pinned["port"] == ERROR.name and (pinned["output"] or {}).get("step") == old_id:
        changed["pinned"] = {**pinned, "output": {**pinned["output"], "step": new_id}}
    return changed


def _in_param(node_type: NodeType | None, name: str, value: Json, old_id: str, new_id: str) -> Json:
    field = fields_of(node_type.params).get(name) if node_type else None
    if node_type and node_type.kind == "trigger":
        is_bare, is_plain = field is not None and field.widget == "expression", True
    else:
        is_bare, is_plain = field is not None and field.is_late, field is not None and field.is_literal
    if is_bare:
        return _in_condition(value, old_id, new_id) if isinstance(value, str) else value
    return value if is_plain else _in_value(value, old_id, new_id)


def _in_value(value: Json, old_id: str, new_id: str) -> Json:
    if isinstance(value, str):
        return _in_text(value, old_id, new_id)
    if isinstance(value, dict):
        return {key: _in_value(entry, old_id, new_id) for key, entry in value.items()}
    return [_in_value(entry, old_id, new_id) for entry in value] if isinstance(value, list) else value


def _in_text(text: str, old_id: str, new_id: str) -> str:
    if scanner.OPEN not in text:
        return text
    try:
        pieces = scanner.split(text)
    except ScanError:
        return text
    return _changed(text, [piece for piece in pieces if isinstance(piece, Source)], old_id, new_id)


def _in_condition(text: str, old_id: str, new_id: str) -> str:
    """One expression that may stand without braces."""
    if text.lstrip().startswith(scanner.OPEN):
        return _in_text(text, old_id, new_id)
    try:
        return _changed(text, [scanner.bare(text)], old_id, new_id)
    except ScanError:
        return text


def _changed(text: str, sources: Sequence[Source], old_id: str, new_id: str) -> str:
    changes = [change for source in sources for change in _changes(source.tokens, old_id, new_id)]
    for start, end, new in reversed(changes):
        text = text[:start] + new + text[end:]
    return text


def _changes(tokens: Sequence[Token], old_id: str, new_id: str) -> Iterator[Change]:
    for at, token in enumerate(tokens):
        if token.text != "$action":
            continue
        after = tokens[at + 1 : at + 5]
        words = [each.text for each in after]
        if words[:2] == [".", old_id]:
            if WORD.fullmatch(new_id):
                yield after[1].position, _end(after[1]), new_id
            else:
                yield after[0].position, _end(after[1]), f"['{new_id}']"
        key = _key_after(after) or _key_before(tokens[max(at - 4, 0) : at], words)
        if key is not None and _content(key) == old_id:
            quote = key.text[0]
            yield key.position, _end(key), f"{quote}{new_id}{quote}"


def _key_after(tokens: Sequence[Token]) -> Token | None:
    """The text in ``$action['id']`` or ``$action.get('id'``."""
    words = [token.text for token in tokens]
    if words[:1] == ["["] and words[2:3] == ["]"]:
        return tokens[1]
    return tokens[3] if words[:3] == [".", "get", "("] and len(tokens) > 3 else None


def _key_before(tokens: Sequence[Token], after: Sequence[str]) -> Token | None:
    """The text in ``'id' in $action`` or ``'id' not in $action``, where it is not a part of something longer."""
    words = [token.text for token in tokens]
    if words[-1:] != ["in"] or after[:1] in (["."], ["["], ["("], ["|"]):
        return None
    at = len(tokens) - (3 if words[-2:-1] == ["not"] else 2)
    if at < 0 or (at > 0 and words[at - 1] not in BEFORE_A_TEXT):
        return None
    return tokens[at]


def _content(token: Token) -> str | None:
    """Return what a quoted text says, read as Jinja reads it; None for any other token."""
    if token.kind != "string":
        return None
    try:
        return token.text[1:-1].encode("ascii", "backslashreplace").decode("unicode-escape")
    except UnicodeDecodeError:
        return None


def _end(token: Token) -> int:
    return token.position + len(token.text)
