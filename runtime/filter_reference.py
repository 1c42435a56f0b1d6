"""The reference of filters, tests and methods in ``docs/expressions.md``, written from their declarations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from runtime.filter_help import HELP, Help
from runtime.filter_spec import ANY, What
from runtime.methods import METHODS

PAGE = Path(__file__).parent.parent / "docs" / "expressions.md"
HEAD = "## Reference\n"
INTRO = """Written from the declarations in `runtime/` by `python -m runtime.reference`. Every example is a test.
What stands before an arrow is what a filter takes, behind it what it gives.
"""


def page(text: str) -> str:
    """Return the page *text* with its reference written anew."""
    return text[: text.index(HEAD)] + reference()


def reference() -> str:
    """Return the reference as Markdown, from its heading to the end of the page."""
    return "\n".join([HEAD, INTRO, *_all("filter"), "### Tests, written after `is`\n", *_all("test"), *_methods()])


def _all(kind: What) -> Iterator[str]:
    first = [each for each in HELP.values() if each.kind == kind and not each.same_as]
    for group, members in groupby(first, key=lambda each: each.group):
        if kind == "filter":
            yield f"### {group}\n"
        yield from map(_entry, members)


def _entry(each: Help) -> str:
    others = [name for (kind, name), other in HELP.items() if kind == each.kind and other.same_as == each.name]
    also = f" Also `{'`, `'.join(others)}`." if others else ""
    gives = "anything" if each.gives == ANY else each.gives
    kinds = f"{_kinds(each)} → {gives}" if each.kind == "filter" else _kinds(each)
    lines = [f"- **`{each.signature}`** · {kinds}  ", f"  {_words(each.summary)}{also}"]
    lines += [f"  - `{example.text}` → `{json.dumps(example.value, ensure_ascii=False)}`" for example in each.examples]
    return "\n".join(lines) + "\n"


def _kinds(each: Help) -> str:
    return "anything" if ANY in each.takes else ", ".join(sorted(each.takes))


def _words(summary: str) -> str:
    return re.sub(r"\*(\w+)\*", r"`\1`", summary)


def _methods() -> Iterator[str]:
    yield "### Methods\n"
    for kind, title in ((str, "text"), (dict, "objects")):
        yield f"- of {title}: {', '.join(f'`{name}`' for name in METHODS[kind])}"
    yield ""


def main() -> None:
    """Write the reference into the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
