"""Pasting what was cut before the canvas had its records."""

from __future__ import annotations

from editor.cut_nodes import CutNodes

MAIL = {"id": "mail", "type": "send_email", "name": "Mail", "params": {"to": "a@example.com"}, "on_error": "port"}
COPY = {
    "op": "add_node",
    "node": {"id": "mail_2", "type": "send_email", "name": "Mail", "copy_of": "mail"},
    "at": [0, 0],
}


def test_a_node_that_was_deleted_is_pasted_with_its_settings() -> None:
    cut = CutNodes()
    cut.completed([{"op": "del_node", "id": "mail"}], {"nodes": [MAIL]})

    (filled,) = cut.completed([COPY], {"nodes": [MAIL]})  # what was read last still has it

    assert filled == {"op": "add_node", "node": {**MAIL, "id": "mail_2"}, "at": [0, 0]}


def test_what_was_not_deleted_or_is_of_another_type_is_left_to_the_edit() -> None:
    cut = CutNodes()
    cut.completed([{"op": "del_node", "id": "mail"}], {"nodes": [{**MAIL, "type": "set_fields"}]})

    assert cut.completed([COPY], {"nodes": []}) == [COPY]
    assert CutNodes().completed([COPY], {"nodes": [MAIL]}) == [COPY]
