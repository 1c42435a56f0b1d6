"""The filters and tests as the browser needs them for completion and help."""

from __future__ import annotations

from typing import Any, TypeAlias

from runtime.filter_help import HELP, Help

Json: TypeAlias = Any
MOST_EXAMPLES = 3


def words() -> list[dict[str, Json]]:
    """Return every filter and test, those of one group together."""
    return [_word(each) for each in sorted(HELP.values(), key=lambda each: (each.kind, each.group, each.name))]


def _word(word: Help) -> dict[str, Json]:
    return {
        "name": word.name,
        "kind": word.kind,
        "group": word.group,
        "signature": word.signature,
        "summary": word.summary,
        "examples": [{"text": example.text, "value": example.value} for example in word.examples[:MOST_EXAMPLES]],
        "takes": sorted(word.takes),
        "gives": word.gives,
        "needs": any(argument.is_required for argument in word.arguments),
        "same_as": word.same_as,
    }
