"""Finding the characters of a text within JSON."""

from __future__ import annotations

import json

import pytest

from editor.json_places import place_in

SOURCE = (
    '{\n  "a": "x",\n  "list": [1, {"b": "{{ $param.n }}"}, "tab\\there \\u00e9 \\ud83d\\ude00!"],\n  "a": "last"\n}'
)


@pytest.mark.parametrize(
    ("path", "position", "rest"),
    [
        (("list", 1, "b"), 0, "{{ $param.n"),
        (("list", 1, "b"), 3, "$param.n"),
        (("list", 2), 3, "\\there"),
        (("list", 2), 4, "here"),
        (("list", 2), 9, "\\u00e9"),
        (("list", 2), 12, '!"'),
        (("a",), 0, 'last"'),
        (("a",), 99, '"\n}'),
    ],
)
def test_a_character_is_found_by_the_way_to_its_text(path: tuple[str | int, ...], position: int, rest: str) -> None:
    at = place_in(SOURCE, path, position)

    assert at is not None
    assert SOURCE[at:].startswith(rest)


@pytest.mark.parametrize("path", [("no",), ("list", 9), ("list", 0), ("a", "b"), (3,), ()])
def test_what_is_no_text_has_no_place(path: tuple[str | int, ...]) -> None:
    assert place_in(SOURCE, path, 0) is None


def test_a_text_alone_is_found() -> None:
    assert place_in(json.dumps("hi"), (), 1) == 2
