"""What a node type is for, from its declaration: shown at the end of a node's form."""

from __future__ import annotations

import re

from nicegui import ui

from editor.elements import box
from nodes.spec import NodeType

DOC_LINE = re.compile(r"^(Out|Units|Effect|Errors|Source)\s{2,}(.*)$")
EXAMPLES = 2


def draw_help(node_type: NodeType) -> None:
    """Draw text, facts and examples in the current place."""
    text, facts = _documentation(node_type.doc)
    ui.label(text).classes("fe-doc")
    with box("fs-facts"):
        for title, words in facts:
            ui.label(title).classes("fs-fact")
            ui.label(words).classes("fs-value")
    for example in node_type.examples[:EXAMPLES]:
        ui.label(f"Example: {example.title}").classes("fe-label")
        ui.label("\n".join(f"{key}: {value}" for key, value in example.params.items())).classes("fs-pre")


def _documentation(doc: str) -> tuple[str, list[tuple[str, str]]]:
    """Return a node's documentation as text and the facts below it, without those that say nothing."""
    text: list[str] = []
    facts: list[list[str]] = []
    for line in doc.strip().splitlines():
        if found := DOC_LINE.match(line):
            facts.append([found[1], found[2]])
        elif facts and line.strip():
            facts[-1][1] += f" {line.strip()}"
        elif not facts:
            text.append(line)
    said = [(name, words.replace("``", "")) for name, words in facts if words not in ("none", "none of its own")]
    return " ".join(" ".join(text).split()).replace("``", ""), said
