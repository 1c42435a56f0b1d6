"""Filters for text."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, TypeAlias

from runtime import budget, methods, results
from runtime.errors import WrongArgumentError, WrongValueError
from runtime.filter_spec import Group, Written, at_least, within

Json: TypeAlias = Any
WIDTH = 1_000  # of a column that a text is put into
DIGITS = 15  # after the decimal point
SLUG_CHARS = 10_000
SEPARATOR_CHARS = 10
# the possessive signs keep it linear: nothing that was read is read again in another way
_PLACEHOLDER = re.compile(r"%(?:%|[-+ 0#]*+(\d*+)(?:\.(\d++))?([sdifeEgGxX])|.|$)", re.DOTALL)
_WORD_STARTS = re.compile(r"([-\s({\[<]+)")


def capitalize(value: Written) -> str:
    """The text with its first letter large and the rest small.

    {{ 'ada LOVELACE' | capitalize }} → "Ada lovelace"
    """
    return value.capitalize()


def center(value: Written, width: int = 80) -> str:
    """The text in the middle of *width* characters.

    {{ 'ok' | center(6) }} → "  ok  "
    """
    return value.center(within(0, WIDTH, "width", width))


def format_(value: str, *values: Any) -> str:
    """The text with `%s`, `%d`, `%.2f` … replaced by the values, in their order.

    {{ '%s costs %.2f' | format('Tea', 3.5) }} → "Tea costs 3.50"
    {{ '%05d' | format(42) }} → "00042"
    """
    wanted = 0
    for placeholder in _PLACEHOLDER.finditer(value):
        budget.spend(4)
        width, digits, kind = placeholder.groups()
        if kind is None and placeholder.group() != "%%":
            raise WrongValueError("has a “%” that is no placeholder; write “%%” for the sign itself")
        if int(width or 0) > WIDTH or int(digits or 0) > DIGITS:
            raise WrongValueError(f"has a placeholder that is too wide: at most {WIDTH:,} characters, {DIGITS} digits")
        wanted += kind is not None
    if wanted != len(values):
        raise WrongValueError(f"has {wanted} placeholders for {len(values)} values")
    plain = tuple(each if type(each) in (str, int, float) else results.to_text(each) for each in values)
    budget.check_text(len(value) + sum(len(each) for each in plain if isinstance(each, str)))
    return value % plain


def indent(value: Written, width: int = 4, first: bool = False) -> str:
    r"""The text with every line moved in by *width* spaces; the first line too with *first*.

    {{ 'one\ntwo' | indent(2) }} → "one\n  two"
    """
    margin = " " * within(0, WIDTH, "width", width)
    lines = value.count("\n") + 1
    budget.check_text(len(value) + lines * width)
    budget.spend(lines)
    moved = re.sub(r"\n(?=[^\n])", "\n" + margin, value)
    return margin + moved if first else moved


def lower(value: Written) -> str:
    """The text in small letters.

    {{ 'Ada@Example.COM' | lower }} → "ada@example.com"
    """
    return value.lower()


def pad_left(value: Written, width: int, fill: str = " ") -> str:
    """The text made *width* characters long by *fill* at its start.

    {{ 7 | pad_left(3, '0') }} → "007"
    """
    return value.rjust(within(0, WIDTH, "width", width), _one_character(fill))


def pad_right(value: Written, width: int, fill: str = " ") -> str:
    """The text made *width* characters long by *fill* at its end.

    {{ 'Tea' | pad_right(6, '.') }} → "Tea..."
    """
    return value.ljust(within(0, WIDTH, "width", width), _one_character(fill))


def replace(value: Written, old: str, new: Written, count: int = -1) -> str:
    """The text with *old* replaced by *new*, at most *count* times.

    {{ 'a-b-c' | replace('-', '/') }} → "a/b/c"
    {{ 'a-b-c' | replace('-', '', 1) }} → "ab-c"
    """
    return methods.replace_text(value, old, new, count)


def slugify(value: Written, separator: str = "-") -> str:
    """The text as part of an address: small letters without accents, digits, and *separator* between words.

    {{ 'Über uns & mehr!' | slugify }} → "uber-uns-mehr"
    """
    if len(value) > SLUG_CHARS:
        raise WrongValueError(f"is too long: at most {SLUG_CHARS:,} characters")
    if len(separator) > SEPARATOR_CHARS:
        raise WrongArgumentError("separator", f"may have {SEPARATOR_CHARS} characters")
    budget.spend(len(value))
    # each character by itself: together, marks would be put in order, which takes long and changes nothing here
    letters = "".join(unicodedata.normalize("NFKD", each) for each in value.casefold())
    plain = letters.encode("ascii", "ignore").decode()
    return separator.join(re.findall(r"[a-z0-9]+", plain))


def split(value: Written, sep: str | None = None, maxsplit: int = -1) -> list[str]:
    """The pieces of the text between *sep*, or between spaces; at most *maxsplit* cuts.

    {{ 'red, green' | split(', ') }} → ["red", "green"]
    {{ ' one  two ' | split }} → ["one", "two"]
    """
    return methods.split_text(value, sep, maxsplit)


def string(value: Any) -> str:
    """The value as it stands between other text: nothing for null, JSON for lists and objects.

    {{ 5 | string }} → "5"
    {{ {'a': true} | string }} → "{\\"a\\":true}"
    """
    return results.to_text(value)


def title(value: Written) -> str:
    """The text with the first letter of every word large and the rest small.

    {{ 'the quick FOX' | title }} → "The Quick Fox"
    """
    budget.spend(len(value))
    return "".join(word[:1].upper() + word[1:].lower() for word in _WORD_STARTS.split(value) if word)


def trim(value: Written, chars: str | None = None) -> str:
    """The text without spaces, or *chars*, at its ends.

    {{ '  Ada ' | trim }} → "Ada"
    {{ '/docs/' | trim('/') }} → "docs"
    """
    return methods.stripped(str.strip)(value, chars)


def truncate(value: Written, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5) -> str:
    """The text cut to *length* characters with *end* at its end, between words unless *killwords*.

    A text that is longer by no more than *leeway* stays whole.

    {{ 'A long story about tea' | truncate(12) }} → "A long..."
    {{ 'A long story' | truncate(8, true, '…', 0) }} → "A long …"
    """
    at_least(0, "leeway", leeway)
    at_least(len(end), "length", length)
    if len(value) <= length + leeway:
        return value
    cut = value[: length - len(end)]
    return (cut if killwords else cut.rsplit(" ", 1)[0]) + end


def upper(value: Written) -> str:
    """The text in capital letters.

    {{ 'de' | upper }} → "DE"
    """
    return value.upper()


def wordcount(value: Written) -> int:
    """How many words the text has.

    {{ 'the quick fox' | wordcount }} → 3
    """
    budget.spend(len(value) // 4)
    return sum(1 for _ in re.finditer(r"\w+", value))


def _one_character(fill: str) -> str:
    if len(fill) != 1:
        raise WrongArgumentError("fill", "must be one character")
    return fill


TEXT = Group(
    "Text",
    cheap=(
        *(capitalize, center, format_, indent, lower, pad_left, pad_right, replace, slugify, split, string, title),
        *(trim, truncate, upper),
    ),
    costly=(wordcount,),
)
