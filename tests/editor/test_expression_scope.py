"""What the browser is told for completion."""

from __future__ import annotations

from dataclasses import replace

from editor.expression_scope import MOST, browser_scope
from editor.expression_words import words
from runtime.shapes import NULL, NUMBER, TEXT, UNKNOWN, absent, list_of, object_of, union, with_sample


def test_fields_items_and_examples_are_told() -> None:
    row = object_of({"email": replace(TEXT, about="Where they read."), "n": NUMBER})
    payload = with_sample(object_of({"rows": list_of(row)}), {"rows": [{"email": "ada@example.com", "n": 3}]})

    told = browser_scope({"param": payload})

    assert told["param"]["f"]["rows"]["i"]["f"] == {
        "email": {"k": "text", "v": "ada@example.com", "d": "Where they read."},
        "n": {"k": "number", "v": "3"},
    }


def test_what_is_never_there_is_not_offered() -> None:
    told = browser_scope(
        {"param": absent("nothing starts it"), "action": object_of({"a": absent("skipped"), "b": TEXT})}
    )

    assert told == {"action": {"k": "object", "f": {"b": {"k": "text"}}}}


def test_a_value_that_may_be_null_or_missing_keeps_its_kind_and_says_why() -> None:
    maybe = replace(union(NUMBER, NULL), missing="it is skipped")

    assert browser_scope({"item": maybe, "index": UNKNOWN}) == {
        "item": {"k": "number", "w": "it is skipped"},
        "index": {"k": "any"},
    }


def test_a_scope_of_any_size_stays_small() -> None:
    wide = object_of({f"field_{number}": TEXT for number in range(MOST * 2)})

    assert len(browser_scope({"param": wide})["param"]["f"]) < MOST


def test_a_filter_is_told_with_what_it_needs() -> None:
    found = {(word["kind"], word["name"]): word for word in words()}

    assert found["filter", "upper"]["needs"] is False
    assert found["filter", "replace"]["needs"] is True
    assert found["filter", "length"]["gives"] == "number"
    assert found["test", "defined"]["kind"] == "test"
