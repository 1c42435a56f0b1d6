from __future__ import annotations

from nodes.spec import load
from runtime.reference import PAGE, page


def test_committed_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(load()), "run: python -m runtime.reference"


def test_page_names_every_type_and_parameter():
    text = page(load())

    for node in load().values():
        assert f"### {node.title}\n\n`{node.type}`\n" in text
        for name in node.params.model_json_schema().get("properties", {}):
            assert f"| `{name}` |" in text
