"""A page's copy of a draft."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from editor.draft import Draft
from runtime.service import Service


async def test_a_person_is_ahead_from_the_moment_an_edit_is_begun(
    service: Service, document: Callable[..., dict[str, Any]]
) -> None:
    service.flows.create(document())
    draft = Draft(service, service.flows.get("greet"), (False, False))

    edit = draft.edit([{"op": "patch_node", "id": "large", "set": {"name": "Large order?"}}])

    assert draft.in_flight == 1, "a reading that is answered now would put the old value back"
    await edit
    assert draft.in_flight == 0
    assert (draft.node("large") or {})["name"] == "Large order?"
