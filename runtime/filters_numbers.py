"""Filters for numbers, and those that read one from a text."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Literal, TypeAlias

from jinja2.filters import do_filesizeformat

from runtime import results
from runtime.errors import WrongArgumentError, WrongValueError
from runtime.filter_spec import UNSET, Group, within
from runtime.strictjson import INTEGER_BITS

Json: TypeAlias = Any
DIGITS = 15  # after the decimal point
NUMBER_CHARS = 400  # of a text that a number is read from
SEPARATOR_CHARS = 5
_EXACT = Context(prec=400)  # every finite float has fewer digits
_TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
_FALSE = frozenset({"false", "no", "off", "0", "n", "f", ""})


def abs_(value: float) -> float:
    """The number without its sign.

    {{ -4.5 | abs }} → 4.5
    """
    return results.in_range(abs(value))  # type: ignore[no-any-return]


def bool_(value: str | float | bool | None) -> bool:
    """True or false, read from `yes` and `no`, `on` and `off`, `true` and `false`, 1 and 0, in any letters.

    {{ 'Yes' | bool }} → true
    {{ 0 | bool }} → false
    """
    if not isinstance(value, str):
        return bool(value)
    word = value.strip().lower() if len(value) <= NUMBER_CHARS else "?"
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise WrongValueError("is neither a word for true nor one for false")


def ceil(value: float) -> int:
    """The next whole number that is not smaller.

    {{ 2.1 | ceil }} → 3
    """
    return results.in_range(math.ceil(value))  # type: ignore[no-any-return]


def clamp(value: float, low: float, high: float) -> float:
    """The number, or *low* where it is smaller, or *high* where it is larger.

    {{ 120 | clamp(0, 100) }} → 100
    """
    if low > high:
        raise WrongArgumentError("high", "must not be less than “low”")
    return min(max(value, low), high)


def filesizeformat(value: float, binary: bool = False) -> str:
    """A number of bytes as people read it, in steps of 1,000; of 1,024 with *binary*.

    {{ 1500000 | filesizeformat }} → "1.5 MB"
    {{ 2048 | filesizeformat(true) }} → "2.0 KiB"
    """
    return do_filesizeformat(value, binary)


def float_(value: Any, default: float = UNSET) -> float:
    """The number in a text; *default* where there is none.

    {{ '2.50' | float }} → 2.5
    {{ 'n/a' | float(0) }} → 0
    """
    try:
        number = float(_short(value))
    except (TypeError, ValueError, OverflowError):
        return _or_default(default, "is not a number and holds none")
    return number if math.isfinite(number) else _or_default(default, "is no finite number")


def floor(value: float) -> int:
    """The next whole number that is not larger.

    {{ 2.9 | floor }} → 2
    """
    return results.in_range(math.floor(value))  # type: ignore[no-any-return]


def int_(value: Any, default: float = UNSET, base: int = 10) -> float:
    """The whole number in a text, or a number without its fraction; *default* where there is none.

    {{ '42' | int }} → 42
    {{ 2.9 | int }} → 2
    {{ 'ff' | int(base=16) }} → 255
    {{ 'n/a' | int(0) }} → 0
    """
    if base != 0:
        within(2, 36, "base", base)
    try:
        number = _whole(_short(value), base)
    except (TypeError, ValueError, OverflowError):
        return _or_default(default, "is not a whole number and holds none")
    if number.bit_length() > INTEGER_BITS:
        return _or_default(default, "is too large a number")
    return number


def number_format(value: float, decimals: int = 0, decimal_point: str = ".", thousands: str = ",") -> str:
    """The number rounded to *decimals* digits, half away from zero, with a sign between the thousands.

    {{ 1234567.891 | number_format(2) }} → "1,234,567.89"
    {{ 1234.5 | number_format(2, ',', '.') }} → "1.234,50"
    """
    within(0, DIGITS, "decimals", decimals)
    for name, sign in (("decimal_point", decimal_point), ("thousands", thousands)):
        if len(sign) > SEPARATOR_CHARS:
            raise WrongArgumentError(name, f"may have {SEPARATOR_CHARS} characters")
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, _EXACT)
    written = format(exact if exact else abs(exact), ",f")
    return written.translate({ord(","): thousands, ord("."): decimal_point})


def round_(value: float, precision: int = 0, method: Literal["common", "ceil", "floor"] = "common") -> float:
    """The number rounded to *precision* digits; *method* is `common`, `ceil` or `floor`. For a whole number use `int`.

    {{ 2.718 | round(2) }} → 2.72
    {{ 2.1 | round(method='ceil') }} → 3.0
    """
    within(-DIGITS, DIGITS, "precision", precision)
    if method == "common":
        return round(value, precision)
    scale = 10.0**precision
    return float(results.in_range((math.ceil if method == "ceil" else math.floor)(value * scale) / scale))


def _whole(value: Json, base: int) -> int:
    if isinstance(value, str):
        return int(float(value)) if base == 10 and "." in value else int(value, base)
    return int(value)


def _short(value: Json) -> Json:
    if not isinstance(value, (str, int, float)) or (isinstance(value, str) and len(value) > NUMBER_CHARS):
        raise ValueError
    return value


def _or_default(default: float, ending: str) -> float:
    if default is UNSET:
        raise WrongValueError(f"{ending}; “default” can stand in")
    return default


NUMBERS = Group("Numbers", cheap=(abs_, bool_, ceil, clamp, filesizeformat, float_, floor, int_, number_format, round_))
