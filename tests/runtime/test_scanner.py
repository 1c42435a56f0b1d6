"""Where expressions begin and end in a text."""

from __future__ import annotations

import pytest

from runtime.scanner import ScanError, Source, split


def pieces(text: str) -> list[str | list[str]]:
    return [part if isinstance(part, str) else [token.text for token in part.tokens] for part in split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("plain $text }} {%", ["plain $text }} {%"]),
        ("{{ a }}", [["a"]]),
        ("{{a}}{{b}}", [["a"], ["b"]]),
        ("x {{ '}}' }} y", ["x ", ["'}}'"], " y"]),
        ('{{ "\\"}}" }}', [['"\\"}}"']]),
        ("{{ {'a': {'b': 1}} }}", [["{", "'a'", ":", "{", "'b'", ":", "1", "}", "}"]]),
        ("{{{'a': 1}}}", [["{", "'a'", ":", "1", "}"]]),
        ("{{ $param['x'] }}", [["$param", "[", "'x'", "]"]]),
        ("{{ a\n | b }}", [["a", "|", "b"]]),
        ("{{ größe.名 }}", [["größe", ".", "名"]]),
        ("{{ 1_000.5e-3 + 0xff }}", [["1_000.5e-3", "+", "0xff"]]),
        ("{ { a } }", ["{ { a } }"]),
    ],
)
def test_a_text_is_cut_by_tokens(text: str, expected: list[str | list[str]]) -> None:
    assert pieces(text) == expected


def test_every_token_knows_its_place_in_the_text() -> None:
    text = "ab {{ $param.x | upper }}"
    (_, source) = split(text)

    assert isinstance(source, Source)
    assert all(text.startswith(token.text, token.position) for token in source.tokens)


@pytest.mark.parametrize(
    ("text", "position"),
    [("a {{ b", 2), ("{{ 'b }}", 3), ("{{ (b }}", 6), ("{{ b) }}", 4), ("{{ ? }}", 3), ("{{ (b", 2), ("{{ ` }}", 3)],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, position: int) -> None:
    with pytest.raises(ScanError) as caught:
        split(text)

    assert caught.value.position == position


@pytest.mark.timeout(10)
def test_a_hostile_text_is_scanned_in_linear_time() -> None:
    for text in ("{{ " + "'" * 4_000_001, "{{" * 2_000_000, "{{ 1 }}" * 200_000 + "{{ '", "{" * 4_000_000):
        try:
            split(text)
        except ScanError:
            continue
