"""Finds the expressions in a text, by tokens: quotes, brackets and ``$names`` are told apart before ``}}`` counts.

``{% %}`` and ``{# #}`` are text, and so is a ``$`` outside of an expression.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from runtime import limits

OPEN, CLOSE = "{{", "}}"
REMEMBERED_CHARS = 20_000
_SPACE = re.compile(r"\s+")
_TOKEN = re.compile(
    r"""
      (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<number>0[xXbBoO][0-9a-fA-F_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d[\d_]*)?)
    | (?P<root>\$[^\W\d]\w*)
    | (?P<word>[^\W\d]\w*)
    | (?P<operator>\*\*|//|==|!=|<=|>=|[-+*/%~<>=|.,:()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_PAIRS = {")": "(", "]": "[", "}": "{"}
Kind: TypeAlias = Literal["string", "number", "root", "word", "operator"]


class Token(NamedTuple):
    """One token; ``position`` counts characters from the start of the whole text."""

    kind: Kind
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Source:
    """One expression, without its braces."""

    tokens: tuple[Token, ...]
    position: int
    length: int


INSTEAD = {  # signs of other languages, and what to write
    "&&": "write “and”",
    "??": "write “| default(…)”",
    "?.": "write “.”, and “| default(…)” behind it",
    "?": "write “a if b else c”",
    "!": "write “not”",
    "`": "text stands in quotes",
}


class ScanError(Exception):
    """*message* is a sentence, *position* where in the text it went wrong."""

    def __init__(self, code: str, message: str, position: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.position = position


def split(text: str) -> list[str | Source]:
    """Return the text cut into plain pieces and expressions, without empty pieces. Raises ScanError."""
    parts: list[str | Source] = []
    at = count = 0
    while (opened := text.find(OPEN, at)) >= 0:
        count += 1
        if count > limits.EXPRESSIONS_IN_TEXT:
            message = f"A text may have {limits.EXPRESSIONS_IN_TEXT} expressions."
            raise ScanError("expression.too_many", message, opened)
        if opened > at:
            parts.append(text[at:opened])
        tokens, closed = _scan(text, opened + len(OPEN), is_bare=False)
        parts.append(Source(tokens, opened, closed - opened - len(OPEN)))
        at = closed + len(CLOSE)
    if at < len(text):
        parts.append(text[at:])
    return parts


def pieces(text: str) -> tuple[str | Source, ...]:
    """Return what ``split`` does; of a text that is not very long it is remembered. Raises ScanError."""
    return _pieces(text) if len(text) <= REMEMBERED_CHARS else tuple(split(text))


@lru_cache(maxsize=4096)
def _pieces(text: str) -> tuple[str | Source, ...]:
    return tuple(split(text))


def bare(text: str) -> Source:
    """Return the tokens of an expression that stands without braces. Raises ScanError."""
    tokens, end = _scan(text, 0, is_bare=True)
    return Source(tokens, 0, end)


def _scan(text: str, start: int, *, is_bare: bool) -> tuple[tuple[Token, ...], int]:
    """Return the tokens from *start* on and the position of the closing braces (or the end of a bare expression)."""
    tokens: list[Token] = []
    brackets: list[str] = []
    at = start
    while True:
        if (space := _SPACE.match(text, at)) is not None:
            at = space.end()
        if at - start > limits.EXPRESSION_CHARS:
            raise ScanError(
                "expression.too_long", f"An expression may have {limits.EXPRESSION_CHARS:,} characters.", start
            )
        if at == len(text):
            if is_bare and not brackets:
                return tuple(tokens), at
            raise _unfinished(text, start, is_bare, brackets)
        if not is_bare and not brackets and text.startswith(CLOSE, at):
            return tuple(tokens), at
        token = _token(text, at)
        tokens.append(token)
        if token.kind == "operator":
            _balance(token, brackets)
        at += len(token.text)


def _token(text: str, at: int) -> Token:
    # Cut, so that a text of megabytes with one stray quote is not searched to its end again and again.
    found = _TOKEN.match(text, at, at + limits.EXPRESSION_CHARS + 1)
    if found is None:
        if text[at] in "'\"":
            raise ScanError("expression.syntax", "A quoted text has no closing quote.", at)
        sign = next((sign for sign in INSTEAD if text.startswith(sign, at)), text[at])
        shown = sign if sign.isprintable() else "a control character"
        hint = f"; {INSTEAD[sign]}" if sign in INSTEAD else ""
        raise ScanError("expression.syntax", f"“{shown}” has no meaning here{hint}.", at)
    kind: Kind = found.lastgroup  # type: ignore[assignment]
    return Token(kind, found.group(), at)


def _balance(token: Token, brackets: list[str]) -> None:
    if token.text in "([{":
        brackets.append(token.text)
        if len(brackets) > limits.EXPRESSION_DEPTH:
            raise ScanError("expression.too_deep", "The expression is nested too deeply.", token.position)
    elif token.text in _PAIRS and (not brackets or brackets.pop() != _PAIRS[token.text]):
        raise ScanError("expression.syntax", f"“{token.text}” closes nothing.", token.position)


def _unfinished(text: str, start: int, is_bare: bool, brackets: list[str]) -> ScanError:
    if brackets:
        return ScanError("expression.syntax", f"“{brackets[-1]}” is opened and not closed.", start)
    return ScanError(
        "expression.syntax", "An expression begins with “{{” and is not closed with “}}”.", start - len(OPEN)
    )
