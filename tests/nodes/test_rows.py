"""Reading and adding rows, and reporting an event: what really runs, because examples only plan it."""

from __future__ import annotations

from nodes.emit_event import EmitEventParams, emit_event
from nodes.find_rows import FindRowsParams, find_rows
from nodes.insert_row import InsertRowParams, insert_row


def test_rows_are_found_and_counted(ctx):
    params = FindRowsParams.model_validate({"table": "orders", "where": {"a": 1}, "order_by": "-a", "limit": 5})

    output = find_rows.run(params, ctx)

    assert output.model_dump() == {"rows": [{"id": "1"}, {"id": "2"}], "count": 2}
    assert ctx.calls == [("orders", {"a": 1}, {"order_by": "-a", "limit": 5})]


def test_row_is_added_once(ctx):
    output = insert_row.run(InsertRowParams.model_validate({"table": "orders", "values": {"a": 1}}), ctx)

    assert output.row == {"id": "1", "a": 1}
    assert ctx.calls == [("orders", {"a": 1})]


def test_event_is_reported_once(ctx):
    output = emit_event.run(EmitEventParams.model_validate({"name": "shop.paid", "payload": {"id": 7}}), ctx)

    assert output.event_id == "8f0d"
    assert ctx.calls == [("shop.paid", {"id": 7})]
