from __future__ import annotations

import pytest

from nodes.delete_rows import DeleteRowsParams, delete_rows
from nodes.rows import picks_all
from nodes.spec import NodeError
from nodes.update_rows import UpdateRowsParams, update_rows


@pytest.mark.parametrize(
    ("where", "is_all"),
    [
        ({}, True),
        ({"and": []}, True),
        ({"and": [{}, {"and": [{}]}]}, True),
        ({"or": [{"status": "open"}, {}]}, True),
        ({"status": {}}, True),
        ({"or": []}, False),
        ({"status": "open"}, False),
        ({"status": None}, False),
        ({"status": {"eq": "open"}}, False),
        ({"and": [{}, {"status": "open"}]}, False),
        ({"or": [{"status": "open"}, {"status": "paid"}]}, False),
        ({"or": "text"}, False),
    ],
)
def test_filter_that_compares_nothing_picks_all(where, is_all):
    assert picks_all(where) is is_all


@pytest.mark.parametrize("where", [{}, {"and": [{}]}])
def test_emptied_filter_changes_and_deletes_nothing(ctx, where):
    update = UpdateRowsParams.model_validate({"table": "orders", "where": where, "values": {"status": "done"}})
    delete = DeleteRowsParams.model_validate({"table": "orders", "where": where})

    for node, params in ((update_rows, update), (delete_rows, delete)):
        with pytest.raises(NodeError, match="All rows") as caught:
            node.run(params, ctx)
        assert (caught.value.code, caught.value.param) == ("rows.where_empty", "where")

    assert ctx.calls == []


def test_all_rows_on_purpose(ctx):
    params = DeleteRowsParams.model_validate({"table": "orders", "all_rows": True})

    output = delete_rows.run(params, ctx)

    assert output.count == 2
    assert ctx.calls == [("orders", {})]


def test_rows_that_fit_are_changed(ctx):
    params = UpdateRowsParams.model_validate({"table": "orders", "where": {"a": 1}, "values": {"b": 2}})

    output = update_rows.run(params, ctx)

    assert output.count == 3
    assert ctx.calls == [("orders", {"a": 1}, {"b": 2})]
