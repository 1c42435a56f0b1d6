"""The dialect: Jinja's expression syntax, parsed by Jinja, and made into something that can be evaluated.

``runtime.allowlist`` looks at every part of the tree first. Then the tree is rewritten so that reaching into values,
literals, comparisons and ``~`` go through our own bounded functions, and is compiled in ``runtime.sandbox``.
What calls no method takes the shorter way of ``runtime.closures``, with the same functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

from jinja2 import TemplateError, nodes
from jinja2.parser import Parser

from runtime import access, closures, cost, fields
from runtime.allowlist import LITERAL_WORDS, Fault, shown, token_faults, too_complex, tree_faults
from runtime.cost import Cost
from runtime.errors import ExpressionError
from runtime.filter_spec import Parameter
from runtime.filters import FILTERS
from runtime.sandbox import environment
from runtime.scanner import Source, Token
from runtime.scope import ROOTS, Scope

Json: TypeAlias = Any
Evaluate: TypeAlias = Callable[[Scope], Json]  # may give a Missing or a Method
_LINE_OR_ESCAPE = re.compile(r"\\.|[\r\n]", re.DOTALL)
_FIELDS: dict[Any, str] = {fields.way: "(field)", fields.ways: "(fields)"}
_LINES = {"\r": "\\r", "\n": "\\n"}
_FAILURES = (
    *(TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError, MemoryError),
)
_INSTEAD = {"=": "; to compare, write “==”", "|": "; for one of two conditions, write “or”"}
_ESCAPES = frozenset("\\'\"abfnrtvxuUN01234567")


def compile_source(source: Source, *, is_short_way_open: bool = True) -> Evaluate:
    """Return what evaluates the expression. Raises ExpressionError with the first fault."""
    return compile_with_cost(source, is_short_way_open=is_short_way_open)[0]


def compile_with_cost(source: Source, *, is_short_way_open: bool = True) -> tuple[Evaluate, Cost]:
    """Return what evaluates the expression, and what that costs by its shape. Raises ExpressionError."""
    tree, faults = _read(source)
    if faults or tree is None:
        raise faults[0].error()
    found = _cost(tree, source)
    tree = _Rewriter(source).rewrite(tree)
    short = closures.of(tree) if is_short_way_open else None
    if short is not None and closures.is_path(tree):  # it knows all that can go wrong
        return short, found
    return _in_words(short or _long_way(tree)), found


def cost_of(source: Source) -> Cost:
    """Return what the expression costs by its shape; nothing is compiled. Raises ExpressionError."""
    tree, faults = _read(source)
    if faults or tree is None:
        raise faults[0].error()
    return _cost(tree, source)


def faults_of(source: Source) -> list[Fault]:
    """Return everything that the dialect does not allow; nothing is compiled or evaluated."""
    return list(_seen(source)[1])


def tree_of(source: Source) -> nodes.Expr | None:
    """Return the syntax tree of an expression, one line for each token; None when the dialect does not allow it."""
    tree, faults = _seen(source)
    return None if faults else tree


def _cost(tree: nodes.Expr, source: Source) -> Cost:
    return cost.of(tree, frozenset(line for line, token in enumerate(source.tokens, 1) if token.kind == "root"))


def _long_way(tree: nodes.Expr) -> Evaluate:
    sandbox = environment()
    body = nodes.Template([nodes.Assign(nodes.Name("result", "store"), tree, lineno=1)], lineno=1)
    body.set_environment(sandbox)
    try:
        template = sandbox.from_string(body)
    except (SyntaxError, RecursionError, MemoryError, ValueError, OverflowError):  # it passed the checks nevertheless
        raise ExpressionError("expression.too_complex", "The expression cannot be compiled; make it simpler.") from None

    def evaluate(scope: Scope) -> Json:
        context = template.new_context({name: getattr(scope, name) for name in ROOTS})
        for _ in template.root_render_func(context):
            pass
        return context.vars["result"]

    return evaluate


def _in_words(evaluate: Evaluate) -> Evaluate:
    """Return what raises nothing but ExpressionError, and TooMuchInPlace."""

    def evaluate_in_words(scope: Scope) -> Json:
        try:
            return evaluate(scope)
        except _FAILURES:
            message = "The expression does not work with these values."
            raise ExpressionError("expression.failed", message) from None

    return evaluate_in_words


@lru_cache(maxsize=2048)
def _seen(source: Source) -> tuple[nodes.Expr | None, tuple[Fault, ...]]:
    """Return a tree to look at, which is not to be changed, and every fault."""
    tree, faults = _read(source)
    return tree, tuple(faults)


def _read(source: Source) -> tuple[nodes.Expr | None, list[Fault]]:
    """Return the tree and every fault; the tree is None when the text cannot be read at all."""
    if faults := list(token_faults(source)):
        return None, faults
    text = "\n".join(_for_jinja(token) for token in source.tokens)
    try:
        parser = Parser(environment(), text, state="variable")  # reads the first token at once
        tree = parser.parse_expression()
        if not parser.stream.eos:
            return None, [_unexpected(source, parser.stream.current.lineno)]
    except TemplateError as error:
        return None, [_unexpected(source, getattr(error, "lineno", 1) or 1)]
    except (RecursionError, ValueError, OverflowError):
        return None, [too_complex(source)]
    return tree, list(tree_faults(tree, source))


def _for_jinja(token: Token) -> str:
    """Every token gets a line of its own: Jinja tells lines, so that is how a position is found again."""
    if token.kind == "root":
        return token.text[1:]
    return _LINE_OR_ESCAPE.sub(_escaped, token.text) if token.kind == "string" else token.text


def _escaped(found: re.Match[str]) -> str:
    """Put a text on one line, and keep the backslash of what is no escape, as Python does (with a warning)."""
    text = found.group()
    if text in _LINES:
        return _LINES[text]
    if text[1] == "\n":
        return ""
    return text if text[1] in _ESCAPES else f"\\{text}"


def _unexpected(source: Source, line: int) -> Fault:
    if line > len(source.tokens) or (line == len(source.tokens) and source.tokens[-1].kind == "operator"):
        message = "The expression ends where something more is expected."
        return Fault("expression.syntax", message, source.position)
    token = source.tokens[line - 1]
    hint = _INSTEAD.get(token.text, "") if line > 1 else ""
    return Fault("expression.syntax", f"“{shown(token.text)}” is not expected here{hint}.", token.position)


class _Rewriter:
    """Puts our own functions in the place of what Jinja would do itself. The tree has passed the checks."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def rewrite(self, node: nodes.Expr) -> nodes.Expr:
        if isinstance(node, nodes.Name):
            if self.source.tokens[node.lineno - 1].kind != "root":
                return nodes.Const(LITERAL_WORDS[node.name], lineno=node.lineno)
            return _own("(path)", node, nodes.Const(f"${node.name}"), nodes.Const(()))
        if isinstance(node, (nodes.Getattr, nodes.Getitem)):
            return self._reaching(node)
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
            return _own("(range)", nodes.Const(None), *(self.rewrite(arg) for arg in node.args))
        if isinstance(node, nodes.Compare):
            signs = nodes.Const(tuple(operand.op for operand in node.ops))
            return _own("(compare)", self.rewrite(node.expr), signs, *(self.rewrite(each.expr) for each in node.ops))
        if isinstance(node, nodes.Concat):
            first, *rest = (self.rewrite(part) for part in node.nodes)
            return _own("(concat)", first, *rest)
        if isinstance(node, (nodes.List, nodes.Tuple)):
            return _own("(list)", nodes.Const(None), *(self.rewrite(entry) for entry in node.items))
        if isinstance(node, nodes.Dict):
            parts = [self.rewrite(part) for pair in node.items for part in (pair.key, pair.value)]
            is_told = all(isinstance(pair.key, nodes.Const) for pair in node.items)
            return _own("(object)" if is_told else "(object of keys)", nodes.Const(None), *parts)
        if isinstance(node, nodes.CondExpr) and node.expr2 is None:
            node.expr2 = nodes.Const(None, lineno=node.lineno)
        self._within(node)
        if isinstance(node, nodes.Filter):
            self._name_fields(node)
        return node

    def _within(self, node: Any) -> None:
        """Rewrite the children of a node that itself stays."""
        for name in node.fields:
            value = getattr(node, name, None)
            if isinstance(value, nodes.Keyword):
                self._within(value)
            elif isinstance(value, nodes.Expr):
                setattr(node, name, self.rewrite(value))
            elif isinstance(value, list):
                setattr(node, name, [self._one(entry) for entry in value])

    def _one(self, entry: Any) -> Any:
        if isinstance(entry, nodes.Expr):
            return self.rewrite(entry)
        if isinstance(entry, nodes.Node):
            self._within(entry)
        return entry

    def _reaching(self, node: nodes.Getattr | nodes.Getitem) -> nodes.Expr:
        steps: list[tuple[str | int, bool]] = []
        at: nodes.Expr = node
        while isinstance(at, (nodes.Getattr, nodes.Getitem)) and (step := _constant_step(at)) is not None:
            steps.append(step)
            at = at.node
        if steps and isinstance(at, nodes.Name) and self.source.tokens[at.lineno - 1].kind == "root":
            return _own("(path)", at, nodes.Const(f"${at.name}"), nodes.Const(tuple(reversed(steps))))
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
            bounds = (node.arg.start, node.arg.stop, node.arg.step)
            parts = [nodes.Const(None) if bound is None else self.rewrite(bound) for bound in bounds]
            return _own("(part)", self.rewrite(node.node), *parts)
        path = nodes.Const(self._told(node.node))
        holder = self.rewrite(node.node)
        if (step := _constant_step(node)) is not None:
            return _own("(step)", holder, nodes.Const(step[0]), nodes.Const(step[1]), path)
        assert isinstance(node, nodes.Getitem)
        return _own("(item)", holder, self.rewrite(node.arg), path)

    def _told(self, node: nodes.Expr) -> str:
        """Return how a path is written, with “[…]” for keys that are worked out; nothing for what is no path."""
        if isinstance(node, nodes.Name) and self.source.tokens[node.lineno - 1].kind == "root":
            return f"${node.name}"
        if not isinstance(node, (nodes.Getattr, nodes.Getitem)) or not (before := self._told(node.node)):
            return ""
        step = _constant_step(node)
        return f"{before}[…]" if step is None else access.written(before, (step,))

    def _name_fields(self, node: nodes.Filter) -> None:
        """Mark the fields that are named by a text in the expression: messages may tell those."""
        guard = FILTERS[node.name]
        for place, argument in enumerate(node.args):
            node.args[place] = _marked(guard.by_place[min(place, len(guard.by_place) - 1)], argument)
        for pair in node.kwargs:
            assert isinstance(pair, nodes.Keyword)
            pair.value = _marked(guard.by_name[pair.key], pair.value)


def _marked(parameter: Parameter, argument: nodes.Expr) -> nodes.Expr:
    if parameter.reader.read in _FIELDS and isinstance(argument, nodes.Const) and type(argument.value) is str:
        return _own(_FIELDS[parameter.reader.read], argument)
    return argument


def _constant_step(node: nodes.Getattr | nodes.Getitem) -> tuple[str | int, bool] | None:
    if isinstance(node, nodes.Getattr):
        return node.attr, True
    if isinstance(node.arg, nodes.Const) and type(node.arg.value) in (str, int):
        return node.arg.value, False
    if isinstance(node.arg, nodes.Neg) and isinstance(node.arg.node, nodes.Const) and type(node.arg.node.value) is int:
        return -node.arg.node.value, False
    return None


def _own(name: str, first: nodes.Expr, *rest: nodes.Expr) -> nodes.Expr:
    return nodes.Filter(first, name, list(rest), [], None, None, lineno=first.lineno or 1)
