"""What is known of a value before there is one: its kinds, its fields, and whether it may be missing.

A Shape never promises more than holds: what nobody declared is unknown, and what is only seen in an example is a hint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

Json: TypeAlias = Any
KINDS: Final = frozenset({"text", "number", "boolean", "list", "object", "null"})
WORDS: Final = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "object": "an object",
    "null": "null",
}
MOST_VALUES = 50
MOST_PARTS = 1_000  # that are put together for one value; objects that hold one another have endlessly many
_ALONE: Final = {kind: frozenset({kind}) for kind in KINDS}
_PLAIN: Final = frozenset({"text", "number", "boolean", "null"})
NOT_ALWAYS = "it is not there in every case"
_NO_FIELDS: Mapping[str, Shape] = MappingProxyType({})


class _Nothing:
    """Stands for no example, because null may be one."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = _Nothing()


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value can be.

    *fields* are those known of an object, *others* what its further fields are (None: there are none), *items* what
    the entries of a list are. *values* are all that it can be, where these are few. *missing* says why it may not be
    there, *null_because* why it may be null, each as the part of a sentence that follows “because”.
    """

    kinds: frozenset[str] = KINDS
    fields: Mapping[str, Shape] = field(default_factory=lambda: _NO_FIELDS)
    others: Shape | None = None
    items: Shape | None = None
    values: tuple[Json, ...] | None = None
    missing: str = ""
    null_because: str = ""
    about: str = ""  # what it is, in words
    sample: Json = NOTHING  # an example of its value
    is_hint: bool = False  # known from an example alone

    @property
    def is_unknown(self) -> bool:
        """Whether it can be anything."""
        return self.kinds >= KINDS

    @property
    def is_absent(self) -> bool:
        """Whether it is never there; ``missing`` says why."""
        return not self.kinds

    @property
    def is_open(self) -> bool:
        """Whether an object may have other fields than those known."""
        return self.others is not None

    @property
    def known(self) -> frozenset[str]:
        """Its kinds without null."""
        return self.kinds - {"null"}

    def only(self, kinds: Iterable[str]) -> Shape:
        """Return the same of these kinds alone; an object of which nothing was known may still have any field."""
        others = UNKNOWN if self.is_unknown else self.others
        return replace(self, kinds=self.kinds & frozenset(kinds), others=others, values=None, null_because="")

    def there(self) -> Shape:
        """Return the same as something that is there."""
        return replace(self, missing="") if self.missing else self


UNKNOWN: Final = Shape()
TEXT: Final = Shape(frozenset({"text"}))
NUMBER: Final = Shape(frozenset({"number"}))
BOOLEAN: Final = Shape(frozenset({"boolean"}))
NULL: Final = Shape(frozenset({"null"}))
LIST: Final = Shape(frozenset({"list"}))
OBJECT: Final = Shape(frozenset({"object"}), others=UNKNOWN)


def absent(because: str) -> Shape:
    """Return what is never there."""
    return Shape(frozenset(), missing=because)


def object_of(fields: Mapping[str, Shape], *, others: Shape | None = None, about: str = "") -> Shape:
    """Return an object with these fields, and with no others unless *others* says what they are."""
    return Shape(frozenset({"object"}), fields, others, about=about)


def list_of(items: Shape | None) -> Shape:
    """Return a list of such entries."""
    return Shape(frozenset({"list"}), items=items)


def of_kinds(kinds: Iterable[str]) -> Shape:
    """Return a value of these kinds, ``any`` among them or none for all; of objects and lists nothing is known."""
    found = frozenset(kinds)
    if "any" in found or not found:
        return UNKNOWN
    return Shape(found, others=UNKNOWN if "object" in found else None)


def in_words(kinds: Iterable[str]) -> str:
    """Return kinds for a sentence: “text or a number”."""
    words = [WORDS[kind] for kind in WORDS if kind in frozenset(kinds)]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "nothing"


def union(*shapes: Shape, because: Sequence[str] = ()) -> Shape:
    """Return what is one of *shapes*; *because* says for each when it is that one.

    Of what has very many parts, the last are unknown.
    """
    return _union(shapes, because, [MOST_PARTS])


def _union(shapes: Sequence[Shape], because: Sequence[str], room: list[int]) -> Shape:
    if len(shapes) == 1 or (not any(because) and all(each is shapes[0] for each in shapes)):
        return shapes[0]
    room[0] -= 1
    if room[0] < 0:
        return UNKNOWN
    reasons = [*because, *[""] * (len(shapes) - len(because))]
    pairs = [(shape, reason) for shape, reason in zip(shapes, reasons, strict=True) if not shape.is_absent]
    if not pairs:
        return shapes[0]
    missing = next((shape.missing for shape in shapes if shape.missing), "")
    if len(pairs) == 1:
        return replace(pairs[0][0], missing=missing)
    kinds = frozenset[str]().union(*(shape.kinds for shape, _reason in pairs))
    if kinds <= _PLAIN and not any(reasons):
        why = next((shape.null_because for shape, _reason in pairs if shape.null_because), "")
        values = _all_values([shape for shape, _reason in pairs])
        return Shape(kinds, values=values, missing=missing, null_because=why, about=pairs[0][0].about)
    objects = [pair for pair in pairs if "object" in pair[0].kinds]
    lists = [shape for shape, _reason in pairs if "list" in shape.kinds]
    return Shape(
        kinds=kinds,
        fields=_merged(objects, room),
        others=next((shape.others for shape, _reason in objects if shape.others is not None), None),
        items=None
        if any(shape.items is None for shape in lists)
        else _union([s.items for s in lists if s.items], (), room)
        if lists
        else None,
        values=_all_values([shape for shape, _reason in pairs]),
        missing=missing,
        null_because=next(filter(None, (_why_null(*pair) for pair in pairs)), ""),
        about=next((shape.about for shape, _reason in pairs if shape.about), ""),
        sample=next((shape.sample for shape, _reason in pairs if shape.sample is not NOTHING), NOTHING),
        is_hint=any(shape.is_hint for shape, _reason in pairs),
    )


def reach(shape: Shape, key: str | int) -> Shape:
    """Return what ``shape[key]`` is; absent when no value of this shape has it."""
    if shape.kinds == _ALONE["object"] and isinstance(key, str):
        return shape.fields.get(key) or shape.others or absent("there is no such field")
    found: list[Shape] = []
    if "object" in shape.kinds and isinstance(key, str):
        entry = shape.fields.get(key, UNKNOWN if shape.is_unknown else shape.others)
        found.append(absent("there is no such field") if entry is None else entry)
    if isinstance(key, int):
        found += [shape.items or UNKNOWN] * ("list" in shape.kinds) + [TEXT] * ("text" in shape.kinds)
    there = union(*found) if found else absent(f"{in_words(shape.kinds)} has no such field")
    if shape.null_because and not there.is_absent and "null" in shape.kinds:
        return replace(there, missing=there.missing or shape.null_because)
    return there


def of_value(value: Json) -> Shape:
    """Return the shape of a value that is written down."""
    if isinstance(value, dict):
        return object_of({str(key): of_value(entry) for key, entry in value.items()})
    if isinstance(value, list):
        return list_of(union(*map(of_value, value)) if value else None)
    return Shape(_ALONE[_kind(value)], values=(value,))


def of_model(model: type[BaseModel]) -> Shape:
    """Return the shape of what a node gives: every field is there."""
    return _of_model(model, "serialization")


def of_payload(model: type[BaseModel], sample: Mapping[str, Json]) -> Shape:
    """Return the shape of what a trigger brings: of the fields that need not be there, those of *sample* are."""
    shape = _of_model(model, "validation")
    fields = {
        name: (found.there() if name in sample else absent("this trigger does not bring it"))
        if found.missing
        else found
        for name, found in shape.fields.items()
    }
    return replace(shape, fields=fields)


def of_schema(schema: Mapping[str, Json], *, closed: bool = False) -> Shape:
    """Return the shape that a JSON Schema describes; *closed*: objects have no fields that it does not name."""
    return _schema(schema, schema.get("$defs", {}), closed, 0)


def with_sample(shape: Shape, value: Json) -> Shape:
    """Return the shape with *value* as an example in it; what only the example tells is marked as a hint."""
    if value is NOTHING or shape.is_absent:
        return shape
    changed = replace(shape, sample=value)
    if isinstance(value, dict) and "object" in shape.kinds:
        fields = {name: with_sample(known, value.get(name, NOTHING)) for name, known in shape.fields.items()}
        if shape.others is not None or shape.is_unknown:
            others = shape.others or UNKNOWN
            more = {str(name): entry for name, entry in value.items() if name not in fields}
            fields |= {name: replace(with_sample(others, entry), is_hint=True) for name, entry in more.items()}
        return replace(changed, fields=fields)
    if isinstance(value, list) and value and "list" in shape.kinds:
        return replace(changed, items=with_sample(shape.items or UNKNOWN, value[0]))
    return changed


def _merged(objects: Sequence[tuple[Shape, str]], room: list[int]) -> Mapping[str, Shape]:
    names = dict.fromkeys(name for shape, _reason in objects for name in shape.fields)
    return {name: _union([_field_of(*pair, name) for pair in objects], (), room) for name in names}


def _field_of(shape: Shape, reason: str, name: str) -> Shape:
    found = shape.fields.get(name, UNKNOWN if shape.is_unknown else shape.others)
    return absent(reason or NOT_ALWAYS) if found is None else found


def _why_null(shape: Shape, reason: str) -> str:
    return shape.null_because or (reason if shape.kinds == {"null"} else "")


def _all_values(shapes: Iterable[Shape]) -> tuple[Json, ...] | None:
    found: list[Json] = []
    for shape in shapes:
        if shape.values is None:
            return None
        found += [value for value in shape.values if not any(type(value) is type(e) and value == e for e in found)]
    return tuple(found) if len(found) <= MOST_VALUES else None


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "text"


@lru_cache(maxsize=512)
def _of_model(model: type[BaseModel], mode: Any) -> Shape:
    return of_schema(model.model_json_schema(mode=mode), closed=True)


def _schema(schema: Any, defs: Mapping[str, Json], closed: bool, depth: int) -> Shape:
    if not isinstance(schema, Mapping) or depth > 20:
        return UNKNOWN
    if isinstance(reference := schema.get("$ref"), str):
        found = _schema(defs.get(reference.rpartition("/")[2]), defs, closed, depth + 1)
        return replace(found, about=schema.get("description", found.about))
    about = schema.get("description", "")
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return replace(union(*(_schema(part, defs, closed, depth + 1) for part in parts)), about=about)
    if "const" in schema or "enum" in schema:
        values = schema.get("enum") or [schema.get("const")]
        return replace(union(*map(of_value, values)), about=about)
    kind = schema.get("type")
    if isinstance(kind, list):
        return replace(union(*(_schema({**schema, "type": one}, defs, closed, depth) for one in kind)), about=about)
    if kind == "array":
        items = schema.get("items")
        return Shape(frozenset({"list"}), items=_schema(items, defs, closed, depth + 1) if items else None, about=about)
    if kind == "object":
        return _object(schema, defs, closed, depth, about)
    words = {"string": "text", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
    return Shape(frozenset({words[kind]}), about=about) if kind in words else replace(UNKNOWN, about=about)


def _object(schema: Mapping[str, Json], defs: Mapping[str, Json], closed: bool, depth: int, about: str) -> Shape:
    required = frozenset(schema.get("required", ()))
    fields = {
        name: found if name in required else replace(found, missing="it need not be given")
        for name, found in (
            (name, _schema(part, defs, closed, depth + 1)) for name, part in schema.get("properties", {}).items()
        )
    }
    more = schema.get("additionalProperties", not (closed and "properties" in schema))
    others = None if more is False else UNKNOWN if more is True else _schema(more, defs, closed, depth + 1)
    return Shape(frozenset({"object"}), fields, others, about=about)
