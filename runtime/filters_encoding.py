"""Filters for JSON, web addresses, HTML, Base64 and hashes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import SplitResult, parse_qsl, quote, quote_plus, unquote, urlsplit, urlunsplit

from markupsafe import escape as escape_html

from runtime import budget, results, strictjson
from runtime.errors import WrongValueError
from runtime.filter_spec import Group, Written, within

Json: TypeAlias = Any
JSON_DEPTH = 64
QUERY_FIELDS = 1_000
Algorithm: TypeAlias = Literal["md5", "sha1", "sha256", "sha384", "sha512"]


def parse_json(value: str) -> Any:
    """The value in a JSON text.

    {{ '{"a": [1, true]}' | parse_json }} → {"a": [1, true]}
    """
    found, fault = strictjson.read(value.encode(), depth=JSON_DEPTH)
    if fault is not None:
        raise WrongValueError(fault.message)
    return found


def tojson(value: Any, indent: int | None = None) -> str:
    """The value as JSON text, on several lines with *indent*.

    {{ {'a': [1, true]} | tojson }} → "{\\"a\\":[1,true]}"
    """
    return results.to_json(value, None if indent is None else within(0, 8, "indent", indent))


def parse_query(value: str) -> dict[str, Json]:
    """The fields of a query as an object; a field that comes more than once has a list.

    {{ 'a=1&b=x%20y&a=2' | parse_query }} → {"a": ["1", "2"], "b": "x y"}
    """
    budget.spend(len(value) // 4)
    try:
        pairs = parse_qsl(value.removeprefix("?"), keep_blank_values=True, max_num_fields=QUERY_FIELDS)
    except ValueError:
        raise WrongValueError(f"has more than {QUERY_FIELDS:,} fields") from None
    found: dict[str, Json] = {}
    for name, text in pairs:
        found.setdefault(name, []).append(text)
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in found.items()}


def parse_url(value: str) -> dict[str, Json]:
    """The parts of a web address: scheme, host, port (or null), path, query (an object) and fragment.

    {{ ('https://example.com/a?b=1#c' | parse_url).host }} → "example.com"
    {{ ('https://example.com/a?b=1#c' | parse_url).query.b }} → "1"
    """
    try:
        parts = _split(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise WrongValueError("is no web address") from None
    found = {"scheme": parts.scheme, "host": host, "port": port, "path": parts.path}
    return found | {"query": parse_query(parts.query), "fragment": parts.fragment}


def urldecode(value: Written) -> str:
    """The text that was written as part of a web address.

    {{ 'a%20b%2Fc' | urldecode }} → "a b/c"
    """
    budget.spend(len(value) // 4)
    return unquote(value)


def urlencode(value: str | float | bool | Mapping[str, Any]) -> str:
    """The text as part of a web address; an object as a whole query.

    {{ 'a b/ü' | urlencode }} → "a%20b/%C3%BC"
    {{ {'q': 'a&b', 'page': 2} | urlencode }} → "q=a%26b&page=2"
    """
    if isinstance(value, Mapping):
        return _query(value)
    text = results.to_text(value)
    budget.spend(len(text) // 4)
    return quote(text)


def with_query(value: str, fields: Mapping[str, Any]) -> str:
    """The web address with these fields in its query, in the place of those with the same names.

    {{ 'https://example.com/?a=1&b=2' | with_query({'b': 3}) }} → "https://example.com/?a=1&b=3"
    """
    try:
        parts = _split(value)
    except ValueError:
        raise WrongValueError("is no web address") from None
    budget.spend(len(value) // 4)
    kept = [pair for pair in parts.query.split("&") if pair and unquote(pair.partition("=")[0]) not in fields]
    return urlunsplit(parts._replace(query="&".join((*kept, _query(fields)))))


def escape(value: Written) -> str:
    """The text safe to stand in HTML.

    {{ '<b> & "c"' | escape }} → "&lt;b&gt; &amp; &#34;c&#34;"
    """
    return str(escape_html(value))


def nl2br(value: Written) -> str:
    r"""The text with `<br>` at the end of every line; use it after `escape`.

    {{ 'one\ntwo' | escape | nl2br }} → "one<br>\ntwo"
    """
    budget.check_text(len(value) + 4 * value.count("\n"))
    return value.replace("\n", "<br>\n")


def striptags(value: Written) -> str:
    """The text of HTML without its tags and with single spaces.

    {{ '<p>Tea &amp; <b>milk</b></p>' | striptags }} → "Tea & milk"
    """
    pieces, at = [], 0
    budget.spend(len(value) // 4)
    while (opened := value.find("<", at)) >= 0:
        ending = "-->" if value.startswith("<!--", opened) else ">"
        if (closed := value.find(ending, opened)) < 0:
            break  # also keeps this linear: the rest is searched once
        pieces.append(value[at:opened])
        at = closed + len(ending)
    return html.unescape(" ".join("".join((*pieces, value[at:])).split()))


def unescape(value: Written) -> str:
    """The text that was written in HTML, with `&amp;` and the like replaced by their characters.

    {{ '&lt;b&gt; &amp; &eacute;' | unescape }} → "<b> & é"
    """
    budget.spend(len(value) // 4)
    return html.unescape(value)


def base64_decode(value: str) -> str:
    """The text in Base64, of either alphabet.

    {{ 'w7xiZXI=' | base64_decode }} → "über"
    """
    budget.spend(len(value) // 8)
    plain = "".join(value.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        raw = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise WrongValueError("is not Base64") from None
    return _text(raw)


def base64_encode(value: Written, url_safe: bool = False) -> str:
    """The text in Base64; with *url_safe* in the alphabet for web addresses, without `=` at the end.

    {{ 'über' | base64_encode }} → "w7xiZXI="
    """
    raw = value.encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=") if url_safe else base64.b64encode(raw).decode()


def hex_decode(value: str) -> str:
    """The text whose bytes are written as hexadecimal digits.

    {{ '546561' | hex_decode }} → "Tea"
    """
    try:
        return _text(binascii.unhexlify(value))
    except (binascii.Error, ValueError):
        raise WrongValueError("is not made of pairs of hexadecimal digits") from None


def hex_encode(value: Written) -> str:
    """The bytes of the text as hexadecimal digits.

    {{ 'Tea' | hex_encode }} → "546561"
    """
    return value.encode().hex()


def hash_(value: Written, algorithm: Algorithm = "sha256") -> str:
    """The hash of the text in hexadecimal digits, by `md5`, `sha1`, `sha256`, `sha384` or `sha512`.

    {{ 'tea' | hash('sha1') }} → "75490f32c06a50051804339453d3fe2f0cd5564b"
    """
    return hashlib.new(algorithm, value.encode(), usedforsecurity=False).hexdigest()


def hmac_(value: Written, key: str, algorithm: Algorithm = "sha256") -> str:
    """The HMAC (RFC 2104) of the text with *key*, in hexadecimal digits.

    {{ 'tea' | hmac('key', 'sha1') }} → "e8a2ed2049e9b00a48b4782264827d3aec86bf8a"
    """
    return hmac.new(key.encode(), value.encode(), algorithm).hexdigest()


def md5(value: Written) -> str:
    """The MD5 hash of the text in hexadecimal digits, as Gravatar wants it; no protection against forgery.

    {{ 'ada@example.com' | md5 }} → "3e3417d7ef77d5932a6734b916515ed5"
    """
    return hash_(value, "md5")


def sha256(value: Written) -> str:
    """The SHA-256 hash of the text in hexadecimal digits.

    {{ 'tea' | sha256 }} → "a9f74d1ec36ebdeb2da3f6e5868090cd2a2d20b3dcca7b62f60304b1d3d9ef42"
    """
    return hash_(value, "sha256")


def _split(address: str) -> SplitResult:
    """Return the parts of a web address. Raises ValueError.

    A host that is not ASCII is normalised, which takes as long as the square of its length.
    """
    if not address.isascii():
        budget.spend(len(address) ** 2 // 1_000)
    return urlsplit(address)


def _query(fields: Mapping[str, Json]) -> str:
    texts = {name: results.to_text(entry) for name, entry in fields.items()}
    budget.spend(len(texts) + sum(len(name) + len(text) for name, text in texts.items()) // 4)
    return "&".join(f"{quote_plus(name)}={quote_plus(text)}" for name, text in texts.items())


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise WrongValueError("holds bytes that are no text") from None


JSON = Group("JSON", cheap=(tojson,), costly=(parse_json,))
URLS = Group("Web addresses", cheap=(parse_query, parse_url, urldecode, urlencode, with_query))
HTML = Group("HTML", cheap=(escape, nl2br), costly=(striptags, unescape))
ENCODINGS = Group(
    "Encodings and hashes",
    cheap=(base64_decode, base64_encode, hash_, hex_decode, hex_encode, hmac_, md5, sha256),
)
