"""Which kinds of values each parameter takes, and how to turn another kind into one of them."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Strict
from pydantic.fields import FieldInfo

from runtime import shapes
from runtime.shapes import BOOLEAN, NULL, NUMBER, TEXT, UNKNOWN, Shape

LENIENT: Final = {  # what pydantic also takes where the field is not strict
    bool: ("boolean", "number", "text"),
    int: ("number", "boolean", "text"),
    float: ("number", "boolean", "text"),
}
STRICT: Final = {bool: BOOLEAN, int: NUMBER, float: NUMBER, str: TEXT, type(None): NULL}


@lru_cache(maxsize=256)
def params_of(model: type[BaseModel]) -> Mapping[str, Shape]:
    """Return what each parameter takes, by the name that flows store; unknown where nothing can be said."""
    return {info.alias or name: _field(info) for name, info in model.model_fields.items()}


def is_yes_or_no(model: type[BaseModel], name: str) -> bool:
    """Return whether a parameter takes true or false and nothing else."""
    return params_of(model)[name].kinds == {"boolean"}


def fits(shape: Shape, wanted: Shape) -> bool:
    """Return whether a value of such a shape may be taken; of lists and objects, what is in them is looked at too."""
    if shape.is_absent or wanted.is_unknown:
        return True
    common = shape.kinds & wanted.kinds
    if not common:
        return False
    if wanted.values is not None and shape.values is not None and not set(wanted.values) & set(shape.values):
        return False
    if common == {"list"} and shape.items is not None and wanted.items is not None:
        return fits(shape.items, wanted.items)
    if common == {"object"} and wanted.others is not None:
        return all(fits(field.there(), wanted.fields.get(name, wanted.others)) for name, field in shape.fields.items())
    return True


def conversion(shape: Shape, wanted: Shape) -> str | None:
    """Return the filter that makes of such a value one that is taken; None where that is not clear."""
    if "text" in wanted.kinds and shape.known <= {"number", "boolean"}:
        return "string"
    if shape.kinds == {"list"} and shape.items is not None and "list" not in wanted.kinds and fits(shape.items, wanted):
        return "first"
    if shape.kinds == {"text"} and "number" in wanted.kinds:
        return "float"
    return None


def _field(info: FieldInfo) -> Shape:
    return _annotated(info.annotation, info.metadata)


def _annotated(annotation: Any, metadata: Iterable[Any] = ()) -> Shape:
    is_strict = any(isinstance(each, Strict) and each.strict for each in metadata)
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return _annotated(inner, [*metadata, *_spread(more)])
    if origin in (Union, types.UnionType):
        return shapes.union(*(_annotated(part, metadata) for part in get_args(annotation)))
    if origin is Literal:
        return shapes.union(*map(shapes.of_value, get_args(annotation)))
    if origin in (list, dict):
        parts = get_args(annotation)
        inner = _annotated(parts[-1]) if parts else UNKNOWN
        return shapes.list_of(inner) if origin is list else shapes.object_of({}, others=inner)
    if annotation in LENIENT and not is_strict:
        return shapes.of_kinds(LENIENT[annotation])
    return STRICT.get(annotation, UNKNOWN)


def _spread(metadata: Iterable[Any]) -> list[Any]:
    """Return what applies to an annotated type, that of a Field in it included."""
    return [part for each in metadata for part in (each.metadata if isinstance(each, FieldInfo) else [each])]
