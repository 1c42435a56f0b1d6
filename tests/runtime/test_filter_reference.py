from __future__ import annotations

from collections import Counter

from runtime.filter_help import HELP
from runtime.filter_reference import PAGE, page


def test_the_committed_reference_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text == page(text), "run: python -m runtime.reference"


def test_the_reference_names_every_filter_and_test_once() -> None:
    text = page(PAGE.read_text(encoding="utf-8"))

    wanted = Counter(each.signature for each in HELP.values() if not each.same_as)
    assert {signature: text.count(f"\n- **`{signature}`** · ") for signature in wanted} == wanted
