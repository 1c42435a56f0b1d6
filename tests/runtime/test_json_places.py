"""Line and column of the values of a JSON text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.json_places import Place, Places, place_of_fault

TEXT = """{
  "a": [1, {"b": "x\\"y"}, [], {}, "last"],
  "two\\u0020words": null,
  "é": "\\ud83d\\ude00{{ $x }}"
}"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 1)),
        (("a",), (2, 8)),
        (("a", 0), (2, 9)),
        (("a", 1, "b"), (2, 18)),
        (("a", 2), (2, 27)),
        (("a", 4), (2, 35)),
        (("two words",), (3, 21)),
        (("é",), (4, 8)),
    ],
)
def test_value_is_found(path: tuple[str | int, ...], place: tuple[int, int]) -> None:
    assert Places(TEXT).of(path) == place


def test_what_is_not_there_stands_where_what_is_around_it_does() -> None:
    places = Places(TEXT)

    assert places.of(("a", 1, "missing", "deep")) == places.of(("a", 1))
    assert places.of(("nothing",), 3) == (1, 1)


@pytest.mark.parametrize(("position", "column"), [(0, 9), (1, 21), (4, 24), (99, 29)])
def test_character_of_a_text_is_found_behind_escapes(position: int, column: int) -> None:
    assert Places(TEXT).of(("é",), position) == (4, column)


def test_position_means_nothing_in_what_is_no_text() -> None:
    assert Places(TEXT).of(("a", 0), 1) == (2, 9)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=json_values, is_ascii=st.booleans(), indent=st.sampled_from([None, 2]))
def test_a_value_can_be_read_where_it_is_said_to_stand(value: Any, is_ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    places = Places(text)

    for path, leaf in leaves(value, ()):
        assert json.JSONDecoder().raw_decode(rest_from(text, places.of(path)))[0] == leaf
        if isinstance(leaf, str) and leaf:
            last = json.dumps(leaf[-1], ensure_ascii=is_ascii)[1:-1]
            assert rest_from(text, places.of(path, len(leaf) - 1)).startswith(last)


def rest_from(text: str, place: Place) -> str:
    lines = text.split("\n")
    return "\n".join([lines[place.line - 1][place.column - 1 :], *lines[place.line :]])


def leaves(value: Any, path: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(path, value), *(leaf for key, entry in inner for leaf in leaves(entry, (*path, key)))]


def test_place_of_a_fault() -> None:
    assert place_of_fault('{"a": 1,\n  "b": }') == Place(2, 8)
    assert place_of_fault("{}") is None
