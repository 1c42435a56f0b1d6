"""What a node's expressions can use, as the browser needs it for completion."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

from editor.references import Reference

Json: TypeAlias = Any
STEP = re.compile(r"\$?([^\W\d]\w*)|\['([^']*)'\]|\[\"([^\"]*)\"\]")


def scope_of_references(references: Iterable[Reference]) -> dict[str, Json]:
    """Return a tree of names: root without ``$`` -> ``{"k": kind, "f": fields, "v": sample, "d": where from}``."""
    scope: dict[str, Json] = {}
    for reference in references:
        names = ["".join(found) for found in STEP.findall(reference.path)]
        fields = scope
        for name in names[:-1]:
            fields = fields.setdefault(name, {"k": "object"}).setdefault("f", {})
        value = fields.setdefault(names[-1], {"k": "any"})
        value |= {"d": reference.group} | ({"v": reference.sample} if reference.sample else {})
    return scope
