"""What expressions may be made of. Everything is refused that is not named here; nothing is evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise

from jinja2 import nodes

from runtime import escape_spellings, filters, limits, method_guards, methods, results
from runtime.errors import ExpressionError
from runtime.filter_spec import Guard
from runtime.scanner import Source, Token
from runtime.scope import ROOTS

LITERAL_WORDS = {"null": None}
_WITH_TEST = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}  # filter -> which setting names a test
_OTHERS = {  # for a name that stands in the wrong place; in quotes, it is one that a filter applies
    "filter": (" It is a test: write “is” before it.", " It is a test; “select” and “reject” apply tests."),
    "test": (" It is a filter: write “|” before it.", " It is a filter; “map” applies filters."),
}
_PLAIN = (
    nodes.And, nodes.Or, nodes.Not, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.Concat, nodes.List,
    nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Slice, nodes.Keyword, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub,
    nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that the dialect does not allow, and where in the text; *suggestion* is what was meant by *length*
    characters there."""

    code: str
    message: str
    position: int
    length: int | None = None
    suggestion: str | None = None

    def error(self) -> ExpressionError:
        return ExpressionError(self.code, self.message, self.position)


def token_faults(source: Source) -> Iterator[Fault]:
    """Return what is wrong before the text is parsed: names, length."""
    if not source.tokens:
        yield Fault("expression.empty", "There is nothing between “{{” and “}}”.", source.position)
    if source.length > limits.EXPRESSION_CHARS:
        message = f"An expression may have {limits.EXPRESSION_CHARS:,} characters."
        yield Fault("expression.too_long", message, source.position)
    before = ""
    for token in source.tokens:
        if token.kind == "root":
            if token.text[1:] not in ROOTS:
                yield _unknown_root(token)
            elif before in (".", "|"):
                yield Fault("expression.syntax", f"“{token.text}” is not expected here.", token.position)
        before = token.text


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unknown_root(token: Token) -> Fault:
    meant = _close(token.text[1:], ROOTS)
    hint = f"did you mean “${meant}”?" if meant else f"there are: {_roots()}."
    return _about(token, "expression.name_unknown", f"There is no “{token.text}”; {hint}", meant and f"${meant}")


def _about(token: Token, code: str, message: str, suggestion: str | None) -> Fault:
    return Fault(code, message, token.position, len(token.text), suggestion)


def _close(name: str, known: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(name, known, 1)), None)


def _roots() -> str:
    return ", ".join(f"${name}" for name in ROOTS)


def tree_faults(tree: nodes.Node, source: Source) -> Iterator[Fault]:
    """Return every part of a parsed expression that is not allowed."""
    if _is_too_complex(tree):
        yield too_complex(source)
        return
    checker = _Checker(source)
    found: list[Fault] = []
    stack: list[nodes.Node] = [tree]
    while stack:
        node = stack.pop()
        found += checker.faults(node)
        stack += reversed(list(node.iter_child_nodes()))
    yield from next(([fault] for fault in found if fault.code == methods.REFUSED), found)  # nothing else is told then


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
        self.called: list[nodes.Node] = []  # a call is looked at before the name that it calls

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
        if token.kind == "root" or node.name in LITERAL_WORDS or any(node is called for called in self.called):
            return
        if node.name == "range":
            yield Fault("expression.call", "“range” is a function; write “range(…)”.", token.position)
            return
        if escape_spellings.is_name(node.name):
            yield self._refused(node)
            return
        if (key := self._hyphenated(node.lineno - 1)) is not None:
            if key[2] is token:  # each further part would say the same
                yield self._needs_quotes(key)
            return
        if node.name in ROOTS:
            message = f"Write “${node.name}” instead of “{node.name}”."
        else:
            message = f"“{shown(node.name)}” is not known here. Text needs quotes; names are: {_roots()}."
        yield _about(token, "expression.name_unknown", message, f"${node.name}" if node.name in ROOTS else None)

    def _needs_quotes(self, key: tuple[Token, ...]) -> Fault:
        name = "".join(token.text for token in key)
        message = f"A name with a hyphen needs quotes: write “['{shown(name)}']” without the dot before it."
        dot = key[0].position - 1
        return Fault("expression.name_unknown", message, dot, len(name) + 1, f"['{name}']")

    def _hyphenated(self, at: int) -> tuple[Token, ...] | None:
        """Return the tokens of a key that is read as a subtraction, such as “.send-email” around its “email”."""
        first, last, tokens = at, at, self.source.tokens
        while first >= 2 and tokens[first - 1].text == "-" and _touch(tokens[first - 2 : first + 1]):
            first -= 2
        while last + 2 < len(tokens) and tokens[last + 1].text == "-" and _touch(tokens[last : last + 3]):
            last += 2
        is_key = 1 <= first < at and tokens[first - 1].text == "." and _touch(tokens[first - 1 : first + 1])
        return tokens[first : last + 1] if is_key else None

    def _constant(self, node: nodes.Const) -> Iterator[Fault]:
        if isinstance(node.value, (int, float)):
            try:
                results.in_range(node.value)
            except ExpressionError as error:
                yield Fault(error.code, error.message, self._at(node))
        elif isinstance(node.value, str) and not _is_encodable(node.value):
            yield Fault("expression.syntax", "A text holds half of a character (a lone surrogate).", self._at(node))

    def _key(self, node: nodes.Getattr | nodes.Getitem, key: object) -> Iterator[Fault]:
        if escape_spellings.is_key(key):
            base: nodes.Node = node
            while isinstance(base, (nodes.Getattr, nodes.Getitem)):
                base = base.node
            if not (isinstance(base, nodes.Name) and self.source.tokens[base.lineno - 1].kind == "root"):
                yield self._refused(node)

    def _applied(self, node: nodes.Filter | nodes.Test, what: str, known: Mapping[str, Guard]) -> Iterator[Fault]:
        if escape_spellings.is_filter(node):
            yield self._refused(node)
            return
        if node.name not in known:
            behind = self.source.tokens[node.lineno - 1 :]  # “is” and “not” may stand before it
            token = next((token for token in behind if token.text == node.name), behind[0])
            yield _unknown(what, node.name, known, token)
            return
        if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
            yield self._refused(node)
            return
        if misfit := _misfit(node, known[node.name]):
            yield Fault("expression.arguments", f"The {what} “{node.name}” {misfit}.", self._at(node))
        elif what == "filter":
            yield from self._inner_name(node)

    def _inner_name(self, node: nodes.Filter | nodes.Test) -> Iterator[Fault]:
        """``map('upper')`` and ``select('gt', 3)`` name a filter or test: it must be known before anything runs."""
        known: Mapping[str, Guard]
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
            yield _unknown(what, named.value, known, self.source.tokens[named.lineno - 1])
        elif misfit := known[named.value].misfit(len(node.args) - place - 1, frozenset()):
            yield Fault("expression.arguments", f"The {what} “{named.value}” {misfit}.", self._at(named))

    def _call(self, node: nodes.Call) -> Iterator[Fault]:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            yield self._refused(node)
        elif isinstance(node.node, nodes.Name) and node.node.name == "range":
            self.called.append(node.node)
            if not 1 <= len(node.args) <= 3 or node.kwargs:
                yield Fault("expression.arguments", "“range” takes one to three whole numbers.", self._at(node))
        elif not isinstance(node.node, nodes.Getattr):
            yield Fault("expression.call", "Only methods and “range” can be called.", self._at(node))
        elif node.node.attr not in methods.METHOD_NAMES:
            if escape_spellings.is_method(node.node):
                yield self._refused(node)
            else:
                message = f"There is no method “{shown(node.node.attr)}”. Perhaps there is a filter, written “| name”."
                yield Fault("expression.call", message, self._at(node))
        elif misfit := _misfit(node, method_guards.GUARDS[node.node.attr]):
            name = self.source.tokens[node.node.lineno]  # its line is that of the dot
            yield Fault("expression.arguments", f"The method “{node.node.attr}” {misfit}.", name.position)


def _misfit(node: nodes.Filter | nodes.Test | nodes.Call, guard: Guard) -> str | None:
    """Return why the arguments do not fit, whatever their values are, as the end of a sentence."""
    settings = [str(getattr(pair, "key", "")) for pair in node.kwargs]
    if twice := next((name for name in settings if settings.count(name) > 1), None):
        return f"is given “{shown(twice)}” twice"
    return guard.misfit(len(node.args), frozenset(settings))


def _unknown(what: str, name: str, known: Iterable[str], token: Token) -> Fault:
    """Return that there is no such filter or test; in quotes, what was meant is written in the same ones."""
    other = {"filter": filters.TESTS, "test": filters.FILTERS}[what]
    meant = None if name in other else _close(name, known)
    hint = f" Did you mean “{meant}”?" if meant else ""
    if name in other:
        hint = _OTHERS[what][token.kind == "string"]
    quote = token.text[0] if token.kind == "string" else ""
    suggestion = meant and f"{quote}{meant}{quote}"
    return _about(token, f"expression.{what}_unknown", f"There is no {what} “{shown(name)}”.{hint}", suggestion)


def _touch(tokens: Sequence[Token]) -> bool:
    """Return whether nothing is between these tokens in the text."""
    return all(one.position + len(one.text) == other.position for one, other in pairwise(tokens))


def too_complex(source: Source) -> Fault:
    """Return the refusal of an expression that has too many parts or levels."""
    message = (
        f"The expression is too complicated: at most {limits.EXPRESSION_NODES} parts and"
        f" {limits.EXPRESSION_DEPTH} levels are allowed. Split it over several nodes."
    )
    return Fault("expression.too_complex", message, source.position)


def shown(text: str) -> str:
    """Return a piece of the expression cut to a length that fits into a sentence."""
    return text if len(text) <= 30 else text[:29] + "…"
