"""Writing expressions in the form of a node: braces, completion, help, values, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.flow_page import FlowPage, Server, until
from tests.operators import COOKIE, signed_in

Make = Callable[..., str]
PAYLOAD = {
    "number": 1042,
    "customer": {"name": "Ada", "email": "ada@example.com"},
    "odd key": True,
    "rows": [{"sku": "A"}],
}


@pytest.fixture
def mail(page: Page, server: Server, make_flow: Make) -> FlowPage:
    """An event whose payload is known from a sample, and a mail whose form is open."""
    flow_id = make_flow({"order": "event", "mail": "send_email"}, ["order out mail"], order={"event": "shop.paid"})
    server.flows.edit(
        flow_id, [{"op": "set_samples", "samples": [{"name": "one", "trigger": "order", "payload": PAYLOAD}]}]
    )
    flow = FlowPage(page, flow_id, server.flows)
    flow.node("mail").click()
    flow.panel_shows("Mail")
    return flow


def field(flow: FlowPage, title: str) -> Locator:
    return flow.page.locator(".fe-right").get_by_label(title, exact=True)


def around(flow: FlowPage, title: str) -> Locator:
    """The field with what stands below it."""
    return flow.page.locator(".fe-field").filter(has=flow.page.get_by_label(title, exact=True))


def test_braces_close_themselves_and_typing_them_out_does_no_harm(mail: FlowPage) -> None:
    subject = field(mail, "Subject")
    subject.click()

    mail.page.keyboard.type("Hi {{")
    expect(subject).to_have_value("Hi {{  }}")
    mail.keys("Escape")
    mail.page.keyboard.type(" $param.customer['name'] | default(\"x\") }}!")
    expect(subject).to_have_value("Hi {{ $param.customer['name'] | default(\"x\") }}!")
    mail.keys("Backspace", "Control+z", "Control+z")

    expect(subject).not_to_have_value("")
    until(lambda: str(mail.nodes["mail"]["params"].get("subject", "")).startswith("Hi {{ $param"))


def test_whatever_is_typed_out_to_its_end_stands_there_once(mail: FlowPage) -> None:
    subject = field(mail, "Subject")
    texts = (
        "{{ $param['odd key'] }} and {{ [1, (2)] | join(', ') }}",
        "{{ {'a': {'b': 2}} }}",
        "x {{ \"}}\" }} y {{ 'it''s' }}",
        "{ { }} {{ 1 }}{{ 2 }}",
    )
    for text in texts:
        subject.fill("")
        for letter in text:
            mail.page.keyboard.type(letter)
            mail.keys("Escape")  # suggestions are not what is tested here
        expect(subject).to_have_value(text)

    subject.fill("")
    mail.page.keyboard.type("{{")
    mail.keys("Backspace")
    expect(subject).to_have_value("")


def test_what_fits_the_place_is_suggested(mail: FlowPage) -> None:
    subject, options = field(mail, "Subject"), mail.page.get_by_role("option")
    wanted = {
        "{{ mail": "$param.customer.email",  # by a part of its name
        "{{ $param.rows[0].": "sku",
        "{{ $param.rows | map(attribute='s": "sku",
        "{{ $param.number | ": "abs",  # filters for numbers before others
        "{{ $param.number is ev": "even",
        "{{ $param.number > 3 a": "and",
    }
    for text, first in wanted.items():
        subject.fill("")
        mail.page.keyboard.type(text)
        expect(options.first.locator(".px-option-name"), text).to_have_text(first)
        mail.keys("Escape")


def test_names_and_filters_are_completed_with_the_keyboard_alone(mail: FlowPage) -> None:
    subject, options = field(mail, "Subject"), mail.page.get_by_role("listbox", name="Suggestions")
    subject.focus()

    mail.page.keyboard.type("{{$cust")
    expect(options.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    expect(subject).to_have_attribute("aria-activedescendant", "px-option-0")
    mail.keys("Enter")
    mail.page.keyboard.type(".em")
    mail.keys("Enter")
    mail.page.keyboard.type(" | upp")
    expect(mail.page.locator(".px-help-signature")).to_have_text("| upper")
    mail.keys("Tab")

    expect(subject).to_have_value("{{ $param.customer.email | upper }}")
    expect(subject).to_be_focused()
    until(lambda: mail.nodes["mail"]["params"].get("subject") == "{{ $param.customer.email | upper }}")


def test_a_key_that_is_no_name_is_completed_in_brackets(mail: FlowPage) -> None:
    subject = field(mail, "Subject")
    subject.click()

    mail.page.keyboard.type("{{ $param.odd")
    mail.keys("Enter")

    expect(subject).to_have_value("{{ $param['odd key'] }}")


def test_a_single_line_stays_one_and_tab_leaves_it(mail: FlowPage) -> None:
    subject, text = field(mail, "Subject"), field(mail, "Text")
    subject.fill("one")
    subject.press("Enter")
    mail.page.keyboard.insert_text("two\nlines")
    expect(subject).to_have_value("onetwo lines")
    text.fill("one")
    text.press("Enter")

    expect(text).to_have_value("one\n")
    subject.press("Tab")
    expect(subject).not_to_be_focused()


def test_the_value_of_the_sample_stands_below_the_field(mail: FlowPage) -> None:
    field(mail, "Subject").fill("Order {{ $param.number }}")
    expect(around(mail, "Subject").locator(".px-answer-text")).to_have_text("Order 1042")
    expect(around(mail, "Subject").locator(".px-answer-kind")).to_have_text("text")

    field(mail, "Text").fill("{{ $param }}")
    around(mail, "Text").get_by_role("button", name="{").click()

    expect(mail.page.get_by_role("dialog", name="The whole value")).to_contain_text('"email": "ada@example.com"')
    mail.keys("Escape")
    expect(mail.page.get_by_role("dialog", name="The whole value")).to_be_hidden()
    expect(mail.page.locator(".pw-toast--fail")).to_have_count(0)


def test_an_error_is_told_in_words_where_the_value_would_be(mail: FlowPage) -> None:
    field(mail, "Subject").fill("{{ $param.rows[7].sku }}")

    expect(around(mail, "Subject")).to_contain_text("$param.rows[7]")
    field(mail, "Subject").fill("{{ $param.rows[0].sku }}")
    expect(around(mail, "Subject").locator(".px-answer-text")).to_have_text("A")


def test_what_is_wrong_is_underlined(mail: FlowPage) -> None:
    field(mail, "Subject").fill("Hi {{ $param.number | uper }}")

    expect(around(mail, "Subject").locator(".px-fault")).to_have_text("uper")
    expect(field(mail, "Subject")).to_have_attribute("aria-invalid", "true")


def test_help_is_there_for_the_word_at_the_caret(mail: FlowPage) -> None:
    field(mail, "Subject").fill("{{ $param.customer.name | truncate(3) }}")
    field(mail, "Subject").press("F1")

    card = mail.page.get_by_role("tooltip")
    expect(card).to_contain_text("truncate(")
    mail.keys("Escape")
    expect(card).to_have_count(0)


def test_a_value_is_dropped_where_it_is_let_go(mail: FlowPage) -> None:
    subject = field(mail, "Subject")
    subject.fill("Order  for you")
    drop = """(area) => {
      const letters = area.closest('.px').querySelector('.px-painted').firstChild;
      const range = document.createRange();
      range.setStart(letters, 6);
      const { left, top, height } = range.getBoundingClientRect();
      const data = new DataTransfer();
      data.setData('text/x-pulsewire-expression', '$param.number');
      const place = { clientX: left, clientY: top + height / 2 };
      for (const name of ['dragover', 'drop'])
        area.dispatchEvent(new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true, ...place }));
    }"""
    subject.evaluate(drop)

    expect(subject).to_have_value("Order {{ $param.number }} for you")


def test_the_code_editor_knows_expressions_too(mail: FlowPage) -> None:
    mail.page.get_by_text("More settings").click()
    code = mail.page.get_by_role("textbox", name="HTML", exact=True)
    code.click()
    mail.page.keyboard.type("<b>{{")
    expect(mail.page.get_by_role("tree")).to_be_visible()
    mail.page.keyboard.type(" $param.cust")
    expect(mail.page.get_by_role("tree")).to_be_hidden()
    expect(mail.page.locator(".cm-tooltip-autocomplete")).to_contain_text("customer")
    mail.keys("Escape")
    mail.page.keyboard.type("omer.name }}")

    expect(code).to_have_text("<b>{{ $param.customer.name }}</b>")
    expect(code.locator(".px-root")).to_have_text("$param")
    expect(around(mail, "HTML").locator(".px-answer-text")).to_contain_text("<b>Ada")


@pytest.fixture
def body(page: Page, server: Server, make_flow: Make) -> tuple[FlowPage, Locator]:
    """A request whose form is open, and the editor of its JSON."""
    call = {"url": "https://example.com", "method": "POST"}
    flow_id = make_flow({"order": "event", "call": "http_request"}, ["order out call"], order={"event": "a"}, call=call)
    samples = [{"name": "one", "trigger": "order", "payload": PAYLOAD}]
    server.flows.edit(flow_id, [{"op": "set_samples", "samples": samples}])
    flow = FlowPage(page, flow_id, server.flows)
    flow.node("call").click()
    flow.panel_shows("Call")
    return flow, page.get_by_role("textbox", name="JSON", exact=True)


def test_braces_in_json_get_their_quotes(body: tuple[FlowPage, Locator]) -> None:
    flow, code = body
    code.click()
    flow.page.keyboard.type('{"n": {{')
    expect(code).to_have_text('{"n": "{{  }}"}')
    expect(flow.page.get_by_role("tree")).to_be_visible()
    flow.page.keyboard.type(' $param.number }}", "t": "No. {{')
    flow.keys("Escape")
    flow.page.keyboard.type(' $param.number }}"')

    wanted = {"n": "{{ $param.number }}", "t": "No. {{ $param.number }}"}
    until(lambda: flow.nodes["call"]["params"].get("json") == wanted)


def test_a_value_that_is_picked_into_json_gets_its_quotes(body: tuple[FlowPage, Locator]) -> None:
    flow, code = body
    code.click()
    flow.page.keyboard.type('{"n": ')
    flow.page.get_by_role("button", name="JSON: insert a value").click()
    expect(flow.page.get_by_label("Search values")).to_be_focused()
    expect(flow.page.get_by_role("treeitem").first).to_be_visible()
    flow.page.keyboard.type("number")
    flow.keys("Enter")

    until(lambda: flow.nodes["call"]["params"].get("json") == {"n": "{{ $param.number }}"})


def test_json_that_is_none_yet_says_where_and_what_to_do(body: tuple[FlowPage, Locator]) -> None:
    flow, code = body
    code.click()
    flow.page.keyboard.insert_text('{"n": {{ $param.number }}}')

    expect(around(flow, "JSON")).to_contain_text("look at line 1, column 8. An expression stands in quotes")
    code.press("ControlOrMeta+a")
    flow.page.keyboard.insert_text('{"t": "Dear {{ $param.name }}, {{ $param.name }}",}')
    expect(around(flow, "JSON")).to_contain_text("column 51. It is saved as soon as it is")


def test_undo_takes_back_one_edit_of_one_field(mail: FlowPage) -> None:
    field(mail, "Text").fill("one")
    until(lambda: mail.nodes["mail"]["params"].get("text") == "one")
    field(mail, "Subject").fill("{{ $param.number }}")
    expect(around(mail, "Subject").locator(".px-answer-text")).to_have_text("1042")
    until(lambda: mail.nodes["mail"]["params"].get("subject") == "{{ $param.number }}")

    mail.page.get_by_role("button", name="Undo").click()

    expect(field(mail, "Subject")).to_have_value("")
    expect(around(mail, "Subject").locator(".px-answer")).to_have_count(0)
    expect(field(mail, "Text")).to_have_value("one")


def test_a_problem_in_json_is_underlined_where_it_stands(page: Page, server: Server, make_flow: Make) -> None:
    body = {"json": {"a": 1, "customer": ["{{ $param.name | uper }}"]}}
    flow = FlowPage(page, make_flow({"call": "http_request"}, call=body), server.flows)
    flow.node("call").click()

    expect(page.locator(".cm-content .px-fault")).to_have_text("uper")


def test_who_may_only_look_sees_colours_and_writes_nothing(
    browser: Browser, server: Server, make_flow: Make, faults: list[str]
) -> None:
    flow_id = make_flow({"call": "http_request"}, call={"url": "https://example.com/{{ $param.id }}"})
    context = browser.new_context(base_url=server.url, reduced_motion="reduce")
    context.add_cookies(
        [{"name": COOKIE, "value": signed_in(server.database, "viewer", "viewer@example.com"), "url": server.url}]
    )
    page = context.new_page()
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    flow = FlowPage(page, flow_id, server.flows)
    flow.node("call").click()

    expect(page.locator(".px-expression .px-root")).to_have_text("$param")
    expect(page.get_by_label("URL", exact=True)).to_have_js_property("readOnly", True)
    context.close()
