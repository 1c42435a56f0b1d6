"""What operators and comparisons come to, and whether they can work on what they are given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from jinja2 import nodes

from runtime import narrowing, shapes
from runtime.kinds import NUMBERS, binary_kinds, can_order, compared, is_in
from runtime.narrowing import Facts
from runtime.scope import ROOTS
from runtime.shapes import BOOLEAN, NUMBER, TEXT, UNKNOWN, Shape, in_words

if TYPE_CHECKING:
    from runtime.reader import Reader

BINARY: Final = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow)
DIVIDING: Final = frozenset({"/", "//", "%"})
ORDER: Final = {"gt": ">", "gteq": ">=", "lt": "<", "lteq": "<="}


def read_binary(reader: Reader, node: nodes.BinExpr, facts: Facts) -> Shape:
    """Return what ``left + right`` and the like come to."""
    left, right = reader.read(node.left, facts), reader.read(node.right, facts)
    kinds = binary_kinds(node.operator, left.kinds, right.kinds)
    if not kinds:
        hint = "; to put texts together, use “~”" if node.operator == "+" else ""
        both = f"{in_words(left.kinds)} and {in_words(right.kinds)}"
        reader.tell("expression.type", f"“{node.operator}” does not work on {both}{hint}", node)
        return UNKNOWN
    is_zero = kinds == {"number"} and right.values and not any(right.values)
    if node.operator in DIVIDING and is_zero and narrowing.path_of(node.right) not in facts:  # else it was asked for
        reader.tell("expression.division", f"“{node.operator}” divides by zero", node)
    items = shapes.union(left, right).items if "list" in kinds else None
    return replace(shapes.of_kinds(kinds), items=items)


def read_sign(reader: Reader, node: nodes.Neg | nodes.Pos, facts: Facts) -> Shape:
    """Return what ``-value`` comes to."""
    value = reader.read(node.node, facts)
    if not value.kinds & NUMBERS:
        reader.tell("expression.type", f"“{node.operator}” does not work on {in_words(value.kinds)}", node)
    key = narrowing.constant_key(node)
    return NUMBER if key is None else shapes.of_value(key)


def read_concat(reader: Reader, node: nodes.Concat, facts: Facts) -> Shape:
    """Return what ``one ~ other`` comes to."""
    for part in node.nodes:
        reader.read(part, facts)
    return TEXT


def read_compare(reader: Reader, node: nodes.Compare, facts: Facts) -> Shape:
    """Return the answer of a comparison, or of a chain of them such as ``1 < a <= b``."""
    left, answers = reader.read(node.expr, facts), set[bool | None]()
    for operand in node.ops:
        right = reader.read(operand.expr, facts)
        answers.add(_answer(reader, node, operand, left, right))
        left = right
    answer = False if False in answers else None if None in answers else True
    if answer is None:
        return BOOLEAN
    if any(name.name in ROOTS for name in node.find_all(nodes.Name)):  # otherwise it is written out on purpose
        reader.tell("expression.always", f"this comparison is always {'true' if answer else 'false'}", node)
    return shapes.of_value(answer)


def _answer(reader: Reader, node: nodes.Compare, operand: nodes.Operand, left: Shape, right: Shape) -> bool | None:
    sign = operand.op
    if sign in ("eq", "ne"):
        answer = compared(left, right)
        return answer if answer is None or sign == "eq" else not answer
    if sign in ("in", "notin"):
        if not right.kinds & {"text", "list", "object"} or (right.kinds == {"text"} and "text" not in left.kinds):
            message = f"“in” does not work on {in_words(left.kinds)} and {in_words(right.kinds)}"
            reader.tell("expression.type", message, node)
            return None
        answer = None if narrowing.is_root(operand.expr, "env") else is_in(left, right)  # elsewhere it may have others
        return answer if answer is None or sign == "in" else not answer
    if not can_order(left.kinds, right.kinds):
        message = f"“{ORDER[sign]}” cannot compare {in_words(left.kinds)} with {in_words(right.kinds)}"
        reader.tell("expression.type", message, node)
    return None
