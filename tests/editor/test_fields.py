"""One field of a form: the control that its parameter gets, and the problem under it."""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape
from typing import Any

from nicegui import ui
from nicegui.element import Element

from editor.expression_field import ExpressionField
from editor.fields import FieldView, FormContext
from editor.param_form import param_fields
from editor.step_view import mail_frame
from nodes import spec
from runtime.errors import Problem
from tests.editor.simulated import Pages

TYPES = spec.load()
TABLES: Mapping[str, Mapping[str, str]] = {"orders": {"number": "integer"}}


def draw(node_type: str, name: str, params: Mapping[str, Any]) -> FieldView:
    context = FormContext(
        save=lambda _name, _value: None,
        tables=lambda: TABLES,
        dress_code=lambda _code: None,
        credentials=lambda: {"Shop": "basic"},
    )
    field = next(field for field in param_fields(TYPES[node_type]) if field.name == name)
    return FieldView(field, context, params)


def named(pages: Pages, label: str) -> list[Element]:
    assert pages.user.client is not None
    return [each for each in pages.user.client.elements.values() if each.props.get("aria-label") == label]


CONTROLS: list[tuple[str, str, dict[str, Any], str, type[Element]]] = [
    ("send_email", "subject", {}, "Subject", ExpressionField),
    ("send_email", "text", {}, "Text", ExpressionField),
    ("send_email", "html", {}, "HTML", ui.codemirror),
    ("condition", "if", {}, "If", ExpressionField),
    ("http_request", "method", {}, "Method", ui.select),
    ("http_request", "json", {}, "JSON", ui.codemirror),
    ("http_request", "credential", {}, "Credential", ui.select),
    ("http_request", "timeout_s", {}, "Timeout", ui.number),
    ("find_rows", "limit", {"limit": "{{ $param.n }}"}, "Limit", ExpressionField),
    ("delete_rows", "all_rows", {}, "All rows", ui.switch),
    ("delete_rows", "table", {}, "Table", ui.select),
    ("create_user", "password", {"password": "{{ $param.password }}"}, "Password", ExpressionField),
    ("create_user", "email_verified", {}, "Email verified", ui.switch),
    ("find_users", "blocked", {}, "Blocked", ui.select),
    ("auth.password_reset", "phase", {"phase": "completed"}, "Phase", ui.select),
    ("switch", "cases", {"cases": ["paid"]}, "Cases: entry 1", ui.input),
    ("set_fields", "fields", {"fields": {"a": 1}}, "Fields: value 1", ExpressionField),
]


async def test_each_parameter_gets_the_control_of_its_kind(pages: Pages) -> None:
    @ui.page("/fields")
    def page() -> None:
        for node_type, name, params, _label, _kind in CONTROLS:
            draw(node_type, name, params)

    await pages.user.open("/fields")

    for _type, _name, _params, label, kind in CONTROLS:
        (control,) = named(pages, label)
        assert isinstance(control, kind), label


async def test_a_problem_is_told_under_its_field_until_it_is_solved(pages: Pages) -> None:
    drawn: list[FieldView] = []

    @ui.page("/field")
    def page() -> None:
        drawn.append(draw("send_email", "subject", {}))

    await pages.user.open("/field")
    drawn[0].set_problems([Problem("param.missing", "“Subject” is empty.")])
    await pages.user.should_see("“Subject” is empty.")
    drawn[0].set_problems([])

    await pages.user.should_not_see("“Subject” is empty.")


async def test_what_is_said_twice_is_told_once_unless_both_can_be_repaired(pages: Pages) -> None:
    drawn: list[FieldView] = []

    @ui.page("/field")
    def page() -> None:
        drawn.append(draw("send_email", "subject", {}))

    await pages.user.open("/field")
    empty = [Problem("expression.empty", "Nothing there.", position=at) for at in (3, 9)]
    wrong = [Problem("w", "“Subject”: Not so.", position=at, suggestion="x") for at in (3, 9)]
    drawn[0].set_problems([*empty, *wrong])

    with pages.user:
        told = [
            each.text for each in pages.user.find(kind=ui.label).elements if each.text in ("Nothing there.", "Not so.")
        ]
    assert sorted(told) == ["Not so.", "Not so.", "Nothing there."]


async def test_html_of_a_simulated_mail_is_shown_with_nothing_allowed(pages: Pages) -> None:
    @ui.page("/mail")
    def page() -> None:
        mail_frame("<script>alert(1)</script><p>hi</p>")

    await pages.user.open("/mail")

    assert pages.user.client is not None
    (frame,) = [each for each in pages.user.client.elements.values() if each.tag == "iframe"]
    assert frame.props["sandbox"] == ""
    shown = unescape(frame.props["srcdoc"])
    assert shown.index("default-src 'none'") < shown.index("<script>")


async def test_yes_and_no_are_words_and_neither_may_be_chosen(pages: Pages) -> None:
    @ui.page("/fields")
    def page() -> None:
        draw("find_users", "blocked", {"blocked": False})
        draw("find_users", "email_verified", {})

    await pages.user.open("/fields")

    (blocked,), (verified,) = (
        [each for each in named(pages, label) if isinstance(each, ui.select)] for label in ("Blocked", "Email verified")
    )
    assert blocked.options == verified.options == {True: "Yes", False: "No"}
    assert (blocked.value, verified.value) == (False, None)
    assert verified.props["placeholder"] == "Does not matter"


async def test_a_message_about_a_field_does_not_give_it_an_older_text(pages: Pages) -> None:
    @ui.page("/field")
    def page() -> None:
        draw("send_email", "subject", {"subject": "before"})

    await pages.user.open("/field")
    (control,) = [each for each in named(pages, "Subject") if isinstance(each, ExpressionField)]
    first = control.props["version"]
    control.set_problems([{"position": 0, "length": 1, "isWarning": False}])
    assert control.props["version"] == first

    control.set_value("after")

    assert control.props["version"] > first
