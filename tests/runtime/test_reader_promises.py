"""The reader of expressions against their evaluation: what it says they come to, and what it says must fail."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import inference, shapes
from runtime.errors import ExpressionError
from runtime.expressions import compile_value
from runtime.filter_help import HELP
from runtime.scope import Scope
from runtime.shapes import BOOLEAN, NUMBER, TEXT, UNKNOWN, Shape, list_of, object_of
from tests.lengths import examples

Json = Any
ROW = object_of({"id": NUMBER, "name": TEXT, "tags": list_of(TEXT)})
DECLARED = {
    "param": object_of({"n": NUMBER, "s": TEXT, "b": BOOLEAN, "l": list_of(NUMBER), "o": ROW, "any": UNKNOWN}),
    "action": object_of({"rows": object_of({"rows": list_of(ROW), "count": NUMBER})}),
}
VALUES = {"id": 7, "name": "Ada", "tags": ["a", "b"]}
SCOPE = Scope(
    param={"n": 3, "s": "abc", "b": True, "l": [1, 2, 3], "o": VALUES, "any": {"x": 1}},
    action={"rows": {"rows": [VALUES, {**VALUES, "id": 8}], "count": 2}},
)
ATOMS = (
    *("$param.n", "$param.s", "$param.b", "$param.l", "$param.o", "$param.o.name", "$param.any", "$param.any.x"),
    *("$param", "$param['s']", "$param.s.upper()", "$param.o.get('id')", "$param.x", "$param.o.nme", "$action.nope"),
    *("$action.rows.rows", "$action.rows.count", "$action.rows.rows[0].tags"),
    *("1", "2.5", "'a'", "true", "null", "[1, 'a']", "{'k': 1}", "[]"),
)
BINARY = ("+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or")
PLAIN = sorted(
    name for (kind, name), told in HELP.items() if kind == "filter" and not any(a.is_required for a in told.arguments)
)
TESTS = sorted(name for kind, name in HELP if kind == "test" and not HELP[kind, name].arguments and name.isalpha())
DECIDING = ("and", "or", "if", "default", "attribute")  # what may not be come to, also because a list is empty


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(BINARY), inner),
        st.builds("({} | {})".format, inner, st.sampled_from(PLAIN)),
        st.builds("({} is {})".format, inner, st.sampled_from(TESTS)),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} | default({}))".format, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("(-{})".format, inner),
        st.builds("{}[:2]".format, inner),
        st.builds("{}[{}]".format, inner, st.sampled_from(("0", "'id'", "$param.n"))),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{'k': {}}}".format, inner),
        st.builds("{}.{}".format, inner, st.sampled_from(("name", "k", "x", "upper()", "items()"))),
        st.builds("({} | map(attribute='{}'))".format, inner, st.sampled_from(("id", "nme"))),
    )


@given(st.recursive(st.sampled_from(ATOMS), _larger, max_leaves=5))
@settings(max_examples=examples(600, 50_000), deadline=None)
def test_what_is_said_of_an_expression_holds(expression: str) -> None:
    text = f"{{{{ {expression} }}}}"
    shape, found = inference.read(text, DECLARED)
    errors = [each for each in found if each.severity == "error"]

    try:
        value = compile_value(text).evaluate(SCOPE)
    except ExpressionError:
        return

    assert _kind(value) in shape.kinds, f"{text} gives {value!r}, not {shape.kinds}"
    assert shape.values is None or value in shape.values, f"{text} gives {value!r}, not one of {shape.values}"
    assert not errors or any(word in expression for word in DECIDING), f"{text} gives {value!r}: {errors[0].message}"
    assert _holds(shape, value), f"{text} gives {value!r}, not {shape}"


def _holds(shape: Shape, value: Json) -> bool:
    """Return whether a value is what its shape says, all through."""
    if _kind(value) not in shape.kinds:
        return False
    if isinstance(value, dict) and not shape.is_unknown:
        more = value.keys() - shape.fields.keys()
        if more and not shape.is_open:
            return False
        return all(_holds(shape.fields[name], entry) for name, entry in value.items() if name in shape.fields)
    return not isinstance(value, list) or shape.items is None or all(_holds(shape.items, entry) for entry in value)


def _kind(value: Json) -> str:
    if isinstance(value, dict):
        return "object"
    return "list" if isinstance(value, list) else next(iter(shapes.of_value(value).kinds))
