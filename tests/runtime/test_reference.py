from __future__ import annotations

from nodes.spec import load
from runtime import check_reference
from runtime.check_codes import CODES
from runtime.reference import PAGE, page


def test_committed_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(load()), "run: python -m runtime.reference"


def test_page_names_every_type_and_parameter():
    text = page(load())

    for node in load().values():
        assert f"### {node.title}\n\n`{node.type}`\n" in text
        for name in node.params.model_json_schema().get("properties", {}):
            assert f"| `{name}` |" in text


def test_committed_page_of_the_checker_is_current_and_names_every_code():
    text = check_reference.PAGE.read_text(encoding="utf-8")

    assert text == check_reference.page(), "run: python -m runtime.reference"
    assert all(f"| `{code}` | " in text for code in CODES)
