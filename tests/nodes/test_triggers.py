from __future__ import annotations

import pytest

from nodes.event import EventParams, event
from nodes.manual import ManualParams, manual
from nodes.on_password_reset import on_password_reset
from nodes.on_row_updated import on_row_updated
from nodes.on_table_emptied import on_table_emptied
from nodes.spec import Listen


def test_table_trigger_listens_to_every_table():
    assert on_table_emptied.listen(on_table_emptied.params()) == Listen("api.dataTable_emptied")


def test_table_trigger_listens_to_one_table_by_name():
    params = on_table_emptied.params.model_validate({"table": "orders"})

    assert on_table_emptied.listen(params) == Listen("api.dataTable_emptied", match={"Name": "orders"})


@pytest.mark.parametrize(
    ("written", "where"),
    [
        ("", None),
        ("  ", None),
        ("{{ $param.total > 100 }}", "{{ $param.total > 100 }}"),
        (" $param.total > 100 ", "$param.total > 100"),
    ],
)
def test_filter_is_handed_on_as_it_is_written(written, where):
    params = EventParams.model_validate({"event": "shop.paid", "filter": written})

    assert event.listen(params) == Listen("shop.paid", where=where)


def test_row_trigger_listens_to_one_table_by_name():
    params = on_row_updated.params.model_validate({"table": "orders"})

    assert on_row_updated.listen(params) == Listen("api.dataTable_rowUpdated", match={"Name": "orders"})


@pytest.mark.parametrize("preset", on_password_reset.presets, ids=lambda preset: preset.title)
def test_each_entry_of_the_palette_listens_to_its_own_phase(preset):
    params = on_password_reset.params.model_validate(preset.params)

    assert on_password_reset.listen(params) == Listen("auth.password_reset", match=dict(preset.params))


def test_password_reset_means_the_request_unless_said_otherwise():
    assert on_password_reset.listen(on_password_reset.params()).match == {"phase": "requested"}


def test_manual_start_listens_to_nothing():
    assert manual.listen(ManualParams()).event is None
