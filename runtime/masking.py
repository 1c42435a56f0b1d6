"""Blacks out the secrets of a run in what is to be recorded.

A secret is found as it is, in other letters' case, backwards, percent-, HTML-, JSON-, base64- or hex-encoded, and taken
apart into pieces that follow each other. A token is found also in part (12 characters one after another, of which 9 are
letters or digits); of a password, which people make of their names and addresses, only the whole is masked. So that
what stands between the characters (commas, escapes, line ends) does not matter, letters and digits alone are compared.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import quote, quote_plus

from markupsafe import escape

from backend.tokens import is_token

Json: TypeAlias = Any
Span: TypeAlias = tuple[int, int]  # [start, end) in bytes

MASK = "••••••••"
FRAGMENT = 9  # letters and digits of a token in a row that are never shown
SHORTEST = 6  # a shorter secret is masked where it stands alone, not inside of other text
GRAM = 5
STRIDE = FRAGMENT - GRAM + 1  # every fragment holds a gram that begins at a multiple of this
LONG = 128  # of a secret with more characters fewer forms are known: whoever chose it must not keep us busy
COMPARED = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PASSED_OVER = bytes(byte for byte in range(256) if byte not in COMPARED)


class Masker:
    """Knows some *secrets* and finds them in JSON values."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = frozenset(secret for secret in secrets if secret)

    def finds(self, value: Json) -> bool:
        """Return whether any secret, or a part of it, is in *value*."""
        return self.mask(value) is not value

    def finds_whole(self, value: Json) -> bool:
        """Return whether any secret is in *value* from its beginning to its end, in any of its forms."""
        texts, keys = list[str](), list[str]()
        _gather(value, texts, keys)
        data = _lowered("\n".join([*texts, *keys]))
        return any(form in data for _squeezed, form in self._squeezed) or not self._secrets.isdisjoint([*texts, *keys])

    def mask(self, value: Json) -> Json:
        """Return *value* with ``MASK`` in place of every secret and part of one; *value* itself if it has none."""
        texts, keys = list[str](), list[str]()
        _gather(value, texts, keys)
        hidden, hidden_keys = self._hidden(texts), self._hidden(keys)
        if not hidden and not hidden_keys:
            return value
        return _rebuilt(value, iter(_replaced(texts, hidden)), iter(_replaced(keys, hidden_keys)))

    def _hidden(self, texts: list[str]) -> dict[int, str]:
        """Return the masked form of those *texts* that need one, by their place."""
        raw = [text.encode("utf-8", "surrogatepass") for text in texts]
        spans = self._spans(b"".join(raw))
        hidden = {place: MASK for place, text in enumerate(texts) if text in self._secrets}
        if not spans:
            return hidden
        start, spans = 0, spans[::-1]  # the next one last
        for place, text in enumerate(raw):
            end, inside = start + len(text), list[Span]()
            while spans and spans[-1][0] < end:
                low, high = spans.pop()
                inside.append((low - start, min(high, end) - start))
                if high > end:  # it goes on in the next text
                    spans.append((end, high))
                    break
            if inside and text:
                hidden[place] = _without(text, inside)
            start = end
        return hidden

    def _spans(self, data: bytes) -> list[Span]:
        """Return where secrets stand in *data*, in order, without overlaps."""
        found = [*self._fragments(data), *self._wholes(data)]
        return _merged(sorted(found))

    def _fragments(self, data: bytes) -> list[Span]:
        text = data.translate(None, PASSED_OVER).lower()
        grams, found = self._grams, list[int]()
        for at in range(0, len(text) - GRAM + 1, STRIDE):
            if text[at : at + GRAM] in grams:
                found += self._around(text, at)
        spans = [(start, start + FRAGMENT) for start in found]
        spans += [span for form in self._long_forms for span in _occurrences(form, text)]
        if not spans:
            return []
        places = [place for place, byte in enumerate(data) if byte in COMPARED]
        return [(places[start], places[end - 1] + 1) for start, end in spans]

    def _around(self, text: bytes, at: int) -> Iterator[int]:
        """Yield where the fragments of a form begin that hold the gram of *text* at *at*."""
        for start in range(max(0, at - STRIDE + 1), at + 1):
            if text[start : start + FRAGMENT] in self._parts:
                yield start

    def _wholes(self, data: bytes) -> Iterator[Span]:
        text = data.lower() if self._short_forms else b""
        for form in self._short_forms:
            yield from _occurrences(form, text)

    @cached_property
    def _grams(self) -> frozenset[bytes]:
        return frozenset(part[at : at + GRAM] for part in self._parts for at in range(STRIDE))

    @cached_property
    def _parts(self) -> frozenset[bytes]:
        """Every fragment of every form of the tokens."""
        forms = {form for form, _whole in _squeezed(filter(is_token, self._secrets))}
        return frozenset(form[at : at + FRAGMENT] for form in forms for at in range(len(form) - FRAGMENT + 1))

    @cached_property
    def _short_forms(self) -> tuple[bytes, ...]:
        """The forms with too few letters and digits to be found by them, and the secrets themselves with all signs."""
        whole = [_lowered(secret) for secret in self._secrets if len(secret) >= SHORTEST]
        return (*whole, *(form for squeezed, form in self._squeezed if len(squeezed) < FRAGMENT))

    @cached_property
    def _long_forms(self) -> frozenset[bytes]:
        """The letters and digits of the forms of all but tokens: of what people choose, a part may be anything."""
        chosen = (secret for secret in self._secrets if not is_token(secret))
        return frozenset(squeezed for squeezed, _whole in _squeezed(chosen) if len(squeezed) >= FRAGMENT)

    @cached_property
    def _squeezed(self) -> frozenset[tuple[bytes, bytes]]:
        return _squeezed(self._secrets)


def _squeezed(secrets: Iterable[str]) -> frozenset[tuple[bytes, bytes]]:
    """Return the forms of *secrets*, each as its letters and digits alone and as a whole."""
    forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
    return frozenset((form.translate(None, PASSED_OVER), form) for form in map(_lowered, forms))


def _occurrences(form: bytes, text: bytes) -> Iterator[Span]:
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + len(form))


def _forms(secret: str) -> set[str]:
    """Return how *secret* may stand in a text, apart from the case of its letters."""
    if len(secret) > LONG:
        return {secret, *_escaped(secret), *_as_bytes(secret)}
    forms = set[str]()
    for raw in (secret, secret[::-1]):
        codes = [ord(char) for char in raw]
        forms |= {"".join(f"{code:d}" for code in codes), "".join(f"x{code:x}" for code in codes)}
        forms |= {"".join(f"u{code:04x}" for code in codes)}
        for cased in (raw, raw.upper(), raw.lower()):
            forms |= {cased, *_escaped(cased), *_as_bytes(cased)}
    forms |= {twice for once in _as_bytes(secret) for twice in _as_bytes(once)}
    forms |= {quote(form, safe="", errors="replace") for form in forms}
    return forms | {form[::-1] for form in forms}


def _lowered(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").lower()  # A to Z alone, so that the length stays


def _escaped(text: str) -> set[str]:
    in_json = (json.dumps(text), json.dumps(text, ensure_ascii=False))
    in_url = (quote(text, safe="", errors="replace"), quote_plus(text, errors="replace"))
    return {str(escape(text)), html.escape(text), *in_url, *(each[1:-1] for each in in_json)}


def _as_bytes(text: str) -> set[str]:
    """Return *text* in hex, and in base64 as it looks with none, one and two bytes before it."""
    data = text.encode("utf-8", "surrogatepass")
    forms = {data.hex()}
    for before in range(3):
        shifted = bytes(before) + data
        first, last = (before * 8 + 5) // 6, len(shifted) * 8 // 6  # of the digits that hold nothing else
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(shifted)[first:last].decode())
    return forms


def _gather(value: Json, texts: list[str], keys: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, dict):
        for key, entry in value.items():
            keys.append(key)
            _gather(entry, texts, keys)
    elif isinstance(value, list):
        for entry in value:
            _gather(entry, texts, keys)


def _rebuilt(value: Json, texts: Iterator[str], keys: Iterator[str]) -> Json:
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, list):
        return [_rebuilt(entry, texts, keys) for entry in value]
    if not isinstance(value, dict):
        return value
    shown: dict[str, Json] = {}
    for entry in value.values():
        key = next(keys)
        shown[key if key not in shown else f"{key} {len(shown) + 1}"] = _rebuilt(entry, texts, keys)
    return shown


def _replaced(texts: list[str], hidden: dict[int, str]) -> list[str]:
    return [hidden.get(place, text) for place, text in enumerate(texts)]


def _without(text: bytes, spans: list[Span]) -> str:
    shown, at = [], 0
    for start, end in spans:
        shown += [text[at:start], MASK.encode()]
        at = end
    return b"".join([*shown, text[at:]]).decode("utf-8", "surrogatepass")


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
