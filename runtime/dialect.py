"""The dialect: which of Jinja's expression syntax is allowed, and how it becomes something that can be evaluated.

Jinja parses; an allow-list looks at every part of the tree; then the tree is rewritten so that reaching into values,
literals, comparisons and ``~`` go through our own bounded functions, and is compiled in an immutable sandbox.
What is only paths, constants, comparisons, ``and``/``or``/``not`` and inline ``if`` takes a shorter way
(``runtime.closures``) with the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, NoReturn, TypeAlias

from jinja2 import TemplateError, nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runtime import access, budget, closures, filters, limits, methods, operators
from runtime.access import present
from runtime.errors import ExpressionError
from runtime.scanner import Source, Token
from runtime.scope import ROOTS, Scope

Json: TypeAlias = Any
Evaluate: TypeAlias = Callable[[Scope], Json]  # may give a Missing or a Method
_WITH_TEST = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}  # filter -> which setting names a test
_LITERAL_WORDS = {"null": None, "undefined": None}
_PLAIN = (
    nodes.And, nodes.Or, nodes.Not, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.Concat, nodes.List,
    nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Slice, nodes.Keyword, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub,
    nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that the dialect does not allow, and where in the text."""

    code: str
    message: str
    position: int

    def error(self) -> ExpressionError:
        return ExpressionError(self.code, self.message, self.position)


def compile_source(source: Source, *, is_short_way_open: bool = True) -> Evaluate:
    """Return what evaluates the expression. Raises ExpressionError with the first fault."""
    tree, faults = _read(source)
    if faults or tree is None:
        raise faults[0].error()
    tree = _Rewriter(source).rewrite(tree)
    short = closures.of(tree) if is_short_way_open else None
    return short or _long_way(tree)


def faults_of(source: Source) -> list[Fault]:
    """Return everything that the dialect does not allow; nothing is compiled or evaluated."""
    return _read(source)[1]


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with every door that it leaves open led through our own functions."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    intercepted_unops = frozenset({"+", "-"})

    def __init__(self) -> None:
        super().__init__(optimized=False, cache_size=0, autoescape=False, undefined=access.Missing)
        self.globals.clear()
        self.filters = dict(filters.FILTERS) | _OWN
        self.tests = dict(filters.TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return access.member(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return access.item(obj, argument)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            present(value)
        if type(__obj) is access.Missing:
            __obj.fail()
        return methods.call(__obj, args, kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        return operators.binary(operator, left, right)

    def call_unop(self, context: Any, operator: str, arg: Any) -> Any:
        return operators.unary(operator, arg)

    def is_safe_callable(self, obj: Any) -> bool:
        return False

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return False


def _solid_list(first: None, *entries: Json) -> list[Json]:
    return [present(entry) for entry in entries]


def _solid_object(first: None, *parts: Json) -> dict[str, Json]:
    found = {}
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        if type(present(key)) is not str:
            raise ExpressionError("expression.type", "The keys of an object must be text.")
        found[key] = present(value)
    return found


def _part(value: Json, start: Json, stop: Json, step: Json) -> Json:
    """Return ``value[start:stop:step]``."""
    for bound in (start, stop, step):
        if type(present(bound)) not in (int, type(None)):
            raise ExpressionError("expression.type", f"[…:…]: {methods.kind_of(bound)} is no position.")
    if type(value) is access.Missing:
        value.fail()
    if type(present(value)) not in (str, list) or step == 0:
        raise ExpressionError("expression.type", f"[…:…]: {methods.kind_of(value)} has no such part.")
    budget.spend(1 + len(value) // 16)
    return value[start:stop:step]


def _range(first: None, *bounds: Json) -> list[int]:
    if not all(type(present(bound)) is int for bound in bounds):
        raise ExpressionError("expression.type", "“range” takes whole numbers.")
    if len(bounds) == 3 and bounds[2] == 0:
        raise ExpressionError("expression.type", "“range” cannot count in steps of 0.")
    numbers = range(*bounds)
    try:
        budget.check_items(len(numbers))
    except OverflowError:
        budget.check_items(limits.EXPRESSION_ITEMS + 1)
    return list(numbers)


# Stand-ins for parts of the tree; no name that a person can write has parentheses.
_OWN: dict[str, Callable[..., Json]] = {
    "(compare)": operators.compare,
    "(concat)": operators.concatenate,
    "(list)": _solid_list,
    "(object)": _solid_object,
    "(part)": _part,
    "(path)": access.walk,
    "(range)": _range,
}


@cache
def _environment() -> _Environment:
    return _Environment()


def _long_way(tree: nodes.Expr) -> Evaluate:
    environment = _environment()
    body = nodes.Template([nodes.Assign(nodes.Name("result", "store"), tree, lineno=1)], lineno=1)
    body.set_environment(environment)
    template = environment.from_string(body)

    def evaluate(scope: Scope) -> Json:
        budget.refill()
        context = template.new_context({name: getattr(scope, name) for name in ROOTS})
        try:
            for _ in template.root_render_func(context):
                pass
        except ExpressionError:
            raise
        except (
            TemplateError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            RecursionError,
            MemoryError,
        ):
            message = "The expression does not work with these values."
            raise ExpressionError("expression.failed", message) from None
        return context.vars["result"]

    return evaluate


def _read(source: Source) -> tuple[nodes.Expr | None, list[Fault]]:
    """Return the tree and every fault; the tree is None when the text cannot be read at all."""
    if faults := list(_token_faults(source)):
        return None, faults
    parser = Parser(_environment(), "\n".join(_for_jinja(token) for token in source.tokens), state="variable")
    try:
        tree = parser.parse_expression()
        if not parser.stream.eos:
            return None, [_unexpected(source, parser.stream.current.lineno)]
    except TemplateError as error:
        return None, [_unexpected(source, getattr(error, "lineno", 1) or 1)]
    except (RecursionError, ValueError, OverflowError):
        return None, [_too_complex(source)]
    return tree, list(_tree_faults(tree, source))


def _for_jinja(token: Token) -> str:
    """Every token gets a line of its own: Jinja tells lines, so that is how a position is found again."""
    if token.kind == "root":
        return token.text[1:]
    if token.kind == "string":
        return token.text.replace("\r", "\\r").replace("\n", "\\n")
    return token.text


def _token_faults(source: Source) -> Iterator[Fault]:
    if not source.tokens:
        yield Fault("expression.empty", "There is nothing between “{{” and “}}”.", source.position)
    if source.length > limits.EXPRESSION_CHARS:
        message = f"An expression may have {limits.EXPRESSION_CHARS:,} characters."
        yield Fault("expression.too_long", message, source.position)
    before = ""
    for token in source.tokens:
        if token.kind == "root":
            if token.text[1:] not in ROOTS:
                yield Fault("expression.name_unknown", _unknown_root(token.text), token.position)
            elif before in (".", "|"):
                yield Fault("expression.syntax", f"“{token.text}” is not expected here.", token.position)
        elif token.kind == "string" and _has_surrogate(token.text):
            yield Fault("expression.syntax", "A text holds half of a character (a lone surrogate).", token.position)
        before = token.text


def _has_surrogate(text: str) -> bool:
    return "\\ud" in text.lower() or "\\u0000d8" in text.lower() or not _is_encodable(text)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unknown_root(name: str) -> str:
    close = get_close_matches(name[1:], ROOTS, 1)
    return f"There is no “{name}”; " + (f"did you mean “${close[0]}”?" if close else f"there are: {_roots()}.")


def _roots() -> str:
    return ", ".join(f"${name}" for name in ROOTS)


def _unexpected(source: Source, line: int) -> Fault:
    if line > len(source.tokens) or (line == len(source.tokens) and source.tokens[-1].kind == "operator"):
        message = "The expression ends where something more is expected."
        return Fault("expression.syntax", message, source.position)
    token = source.tokens[line - 1]
    return Fault("expression.syntax", f"“{_shown(token.text)}” is not expected here.", token.position)


def _shown(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"


def _too_complex(source: Source) -> Fault:
    message = (
        f"The expression is too complicated: at most {limits.EXPRESSION_NODES} parts and"
        f" {limits.EXPRESSION_DEPTH} levels are allowed. Split it over several nodes."
    )
    return Fault("expression.too_complex", message, source.position)


def _tree_faults(tree: nodes.Node, source: Source) -> Iterator[Fault]:
    if _is_too_complex(tree):
        yield _too_complex(source)
        return
    checker = _Checker(source)
    stack: list[nodes.Node] = [tree]
    while stack:
        node = stack.pop()
        yield from checker.faults(node)
        stack += reversed(list(node.iter_child_nodes()))


def _is_too_complex(tree: nodes.Node) -> bool:
    level: list[nodes.Node] = [tree]
    count = depth = 0
    while level:
        count += len(level)
        depth += 1
        if count > limits.EXPRESSION_NODES or depth > limits.EXPRESSION_DEPTH:
            return True
        level = [child for node in level for child in node.iter_child_nodes()]
    return False


class _Checker:
    """Looks at one node of the tree at a time; what is not named here is refused."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def faults(self, node: nodes.Node) -> Iterator[Fault]:
        if isinstance(node, nodes.Name):
            yield from self._name(node)
        elif isinstance(node, nodes.Const):
            yield from self._constant(node)
        elif isinstance(node, nodes.Getattr):
            yield from self._key(node, node.attr)
        elif isinstance(node, nodes.Getitem):
            yield from self._key(node, node.arg.value if isinstance(node.arg, nodes.Const) else None)
        elif isinstance(node, nodes.Filter):
            yield from self._applied(node, "filter", filters.FILTERS)
        elif isinstance(node, nodes.Test):
            yield from self._applied(node, "test", filters.TESTS)
        elif isinstance(node, nodes.Call):
            yield from self._call(node)
        elif type(node) not in _PLAIN:
            yield self._refused(node)

    def _at(self, node: nodes.Node) -> int:
        tokens = self.source.tokens
        return tokens[min(node.lineno, len(tokens)) - 1].position

    def _refused(self, node: nodes.Node) -> Fault:
        error = methods.refused()
        return Fault(error.code, error.message, self._at(node))

    def _name(self, node: nodes.Name) -> Iterator[Fault]:
        token = self.source.tokens[node.lineno - 1]
        if token.kind == "root" or node.name in _LITERAL_WORDS or node.name == "range":
            return
        if node.name in ROOTS:
            message = f"Write “${node.name}” instead of “{node.name}”."
        else:
            message = f"“{_shown(node.name)}” is not known here. Text needs quotes; names are: {_roots()}."
        yield Fault("expression.name_unknown", message, token.position)

    def _constant(self, node: nodes.Const) -> Iterator[Fault]:
        if isinstance(node.value, (int, float)):
            try:
                operators.in_range(node.value)
            except ExpressionError as error:
                yield Fault(error.code, error.message, self._at(node))

    def _key(self, node: nodes.Getattr | nodes.Getitem, key: object) -> Iterator[Fault]:
        if isinstance(key, str) and key.startswith("__"):
            base: nodes.Node = node
            while isinstance(base, (nodes.Getattr, nodes.Getitem)):
                base = base.node
            if not (isinstance(base, nodes.Name) and self.source.tokens[base.lineno - 1].kind == "root"):
                yield self._refused(node)

    def _applied(self, node: nodes.Filter | nodes.Test, what: str, known: dict[str, Any]) -> Iterator[Fault]:
        if node.name not in known:
            close = get_close_matches(node.name, known, 1)
            hint = f" Did you mean “{close[0]}”?" if close else ""
            yield Fault(
                f"expression.{what}_unknown", f"There is no {what} “{_shown(node.name)}”.{hint}", self._at(node)
            )
            return
        if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
            yield self._refused(node)
            return
        settings = [str(getattr(pair, "key", "")) for pair in node.kwargs]
        if len(set(settings)) < len(settings) or not filters.accepts(
            what, node.name, len(node.args), frozenset(settings)
        ):
            yield Fault(
                "expression.arguments", f"The {what} “{node.name}” does not take these settings.", self._at(node)
            )
        elif what == "filter":
            yield from self._inner_name(node)

    def _inner_name(self, node: nodes.Filter | nodes.Test) -> Iterator[Fault]:
        """``map('upper')`` and ``select('gt', 3)`` name a filter or test: it must be known before anything runs."""
        if node.name == "map":
            place, what, known = 0, "filter", filters.FILTERS
        elif node.name in _WITH_TEST:
            place, what, known = _WITH_TEST[node.name], "test", filters.TESTS
        else:
            return
        if len(node.args) <= place:
            if node.name == "map" and not any(getattr(pair, "key", "") == "attribute" for pair in node.kwargs):
                yield Fault("expression.arguments", "“map” needs a filter's name or attribute='…'.", self._at(node))
            return
        named = node.args[place]
        if not isinstance(named, nodes.Const) or not isinstance(named.value, str):
            yield Fault("expression.arguments", f"“{node.name}” needs the name of a {what}, in quotes.", self._at(node))
        elif named.value not in known:
            yield Fault(f"expression.{what}_unknown", f"There is no {what} “{_shown(named.value)}”.", self._at(named))
        elif not filters.accepts(what, named.value, len(node.args) - place - 1, frozenset()):
            message = f"The {what} “{named.value}” does not take these settings."
            yield Fault("expression.arguments", message, self._at(named))

    def _call(self, node: nodes.Call) -> Iterator[Fault]:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            yield self._refused(node)
        elif isinstance(node.node, nodes.Name) and node.node.name == "range":
            if not 1 <= len(node.args) <= 3 or node.kwargs:
                yield Fault("expression.arguments", "“range” takes one to three whole numbers.", self._at(node))
        elif not isinstance(node.node, nodes.Getattr):
            yield Fault("expression.call", "Only methods and “range” can be called.", self._at(node))
        elif node.node.attr not in methods.METHOD_NAMES:
            if node.node.attr.startswith("_"):
                yield self._refused(node)
            else:
                message = f"There is no method “{_shown(node.node.attr)}”. Perhaps there is a filter, written “| name”."
                yield Fault("expression.call", message, self._at(node))


class _Rewriter:
    """Puts our own functions in the place of what Jinja would do itself. The tree has passed the checks."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def rewrite(self, node: nodes.Expr) -> nodes.Expr:
        if isinstance(node, nodes.Name):
            if self.source.tokens[node.lineno - 1].kind != "root":
                if node.name == "range":
                    _no_function()
                return nodes.Const(_LITERAL_WORDS[node.name], lineno=node.lineno)
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
            return _own("(object)", nodes.Const(None), *parts)
        if isinstance(node, nodes.CondExpr) and node.expr2 is None:
            node.expr2 = nodes.Const(None, lineno=node.lineno)
        self._within(node)
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
        if steps and isinstance(at, nodes.Name):
            return _own("(path)", at, nodes.Const(f"${at.name}"), nodes.Const(tuple(reversed(steps))))
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
            bounds = (node.arg.start, node.arg.stop, node.arg.step)
            parts = [nodes.Const(None) if bound is None else self.rewrite(bound) for bound in bounds]
            return _own("(part)", self.rewrite(node.node), *parts)
        node.node = self.rewrite(node.node)
        if isinstance(node, nodes.Getitem):
            node.arg = self.rewrite(node.arg)
        return node


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


def _no_function() -> NoReturn:
    raise ExpressionError("expression.call", "“range” is a function; write “range(…)”.")
