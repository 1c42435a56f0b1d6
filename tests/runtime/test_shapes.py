"""Shapes: what is promised of a value, and what is only guessed from an example."""

from __future__ import annotations

import pytest

from nodes.spec import load
from runtime import shapes
from runtime.shapes import KINDS, NULL, NUMBER, TEXT, UNKNOWN, absent, list_of, object_of, reach, union

TYPES = load()


def test_a_declared_output_has_its_fields_and_no_others() -> None:
    found = shapes.of_model(TYPES["find_users"].output)

    assert found.fields["count"].kinds == {"number"}
    assert found.fields["users"].items is not None
    assert found.fields["users"].items.fields["last_login_at"].kinds == {"text", "null"}
    assert reach(found, "user").is_absent


def test_what_a_service_answers_is_unknown() -> None:
    found = shapes.of_model(TYPES["http_request"].output)

    assert found.fields["body"].is_unknown
    assert not reach(found.fields["body"], "anything").missing
    assert reach(found.fields["headers"], "content-type").kinds == {"text"}


@pytest.mark.parametrize(("preset", "is_there"), [(0, True), (1, False)], ids=["requested", "completed"])
def test_a_payload_has_the_optional_fields_of_its_own_sample(preset: int, is_there: bool) -> None:
    declared = TYPES["auth.password_reset"]

    found = shapes.of_payload(declared.output, declared.sample_of(declared.presets[preset].params))

    assert found.fields["token"].is_absent is not is_there
    assert found.fields["email"].kinds == {"text"}


def test_a_union_keeps_what_both_have_and_says_what_one_lacks() -> None:
    one, other = object_of({"id": NUMBER, "a": TEXT}), object_of({"id": TEXT})

    found = union(one, other, because=["it is the first", "it is the second"])

    assert found.fields["id"].kinds == {"number", "text"}
    assert not found.fields["id"].missing
    assert found.fields["a"].missing == "it is the second"
    assert found.fields["a"].kinds == {"text"}


def test_a_union_with_null_says_why_it_may_be_null() -> None:
    found = union(object_of({"id": NUMBER}), NULL, because=["", "it failed"])

    assert found.kinds == {"object", "null"}
    assert reach(found, "id").missing == "it failed"
    assert not reach(union(object_of({"id": NUMBER}), NULL), "id").missing


def test_a_union_with_something_unknown_promises_nothing() -> None:
    found = union(object_of({"id": NUMBER}), UNKNOWN)

    assert found.is_unknown
    assert found.fields["id"].is_unknown
    assert not reach(found, "other").missing


def test_what_is_absent_adds_a_reason_and_no_kind() -> None:
    found = union(TEXT, absent("it was not given"))

    assert found.kinds == {"text"}
    assert found.missing == "it was not given"
    assert union(absent("a"), absent("b")).is_absent


def test_an_index_reaches_into_lists_and_texts_alone() -> None:
    assert reach(list_of(NUMBER), 0).kinds == {"number"}
    assert reach(TEXT, 0).kinds == {"text"}
    assert reach(NUMBER, 0).is_absent
    assert reach(list_of(NUMBER), "id").is_absent


def test_an_example_is_a_hint_where_nothing_is_declared() -> None:
    found = shapes.with_sample(object_of({"id": NUMBER, "rest": UNKNOWN}), {"id": 7, "rest": {"mail": "a@b"}})

    assert found.fields["id"].sample == 7
    assert not found.fields["id"].is_hint
    assert found.fields["rest"].fields["mail"].is_hint
    assert found.fields["rest"].fields["mail"].is_unknown
    assert "extra" not in shapes.with_sample(object_of({"id": NUMBER}), {"id": 7, "extra": 1}).fields


def test_values_are_known_where_they_are_few() -> None:
    assert shapes.of_model(TYPES["respond"].output).fields["kind"].values == ("json", "text", "empty")
    assert union(shapes.of_value(True), shapes.of_value(1)).values == (True, 1)
    assert union(shapes.of_value(1), NUMBER).values is None


def test_kinds_are_told_in_words() -> None:
    assert shapes.in_words({"number", "text"}) == "text or a number"
    assert shapes.in_words({"list", "number", "text"}) == "text, a number or a list"
    assert shapes.in_words({"null"}) == "null"


def test_what_was_unknown_stays_open_when_it_is_narrowed() -> None:
    not_null = UNKNOWN.only(KINDS - {"null"})

    assert reach(not_null, "email") == UNKNOWN
    assert reach(UNKNOWN.only({"object"}), "email") == UNKNOWN
    assert reach(TEXT.only({"text", "object"}), "email").is_absent


def test_objects_that_hold_one_another_many_times_are_put_together_in_few_steps() -> None:
    found, other = object_of({"a": TEXT}), object_of({"a": NUMBER})
    for _level in range(60):
        found, other = object_of({"a": found, "b": found}), object_of({"a": other, "b": other})

    both = union(found, other)

    assert both.fields["a"].kinds == {"object"}
    assert union(found, found) is found
