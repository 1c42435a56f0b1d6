from __future__ import annotations

import json

import httpx
import pytest

from backend.events import DataTableCreated, DataTableDeleted, DataTableEmptied, DataTableUpdated, Event

COLUMNS = [{"name": "number", "type": "integer", "required": True, "unique": True}, {"name": "note", "type": "text"}]


@pytest.fixture
async def orders(client: httpx.AsyncClient, fired: list[Event]) -> str:
    made = await client.post("/api/tables", json={"name": "orders", "columns": COLUMNS})
    fired.clear()
    return str(made.json()["id"])


def code(response: httpx.Response) -> str:
    return response.json()["problems"][0]["code"]


async def test_table_has_the_published_shape(client: httpx.AsyncClient, orders: str):
    table = (await client.get(f"/api/tables/{orders}")).json()

    assert {key: table[key] for key in ("id", "name", "description", "columns")} == {
        "id": orders,
        "name": "orders",
        "description": "",
        "columns": COLUMNS,
    }
    assert (await client.get("/api/tables")).json() == {"items": [table], "next": None}
    assert (await client.get("/api/tables/orders")).json() == table


async def test_settings_of_a_table_report_the_same_events_as_the_page(client: httpx.AsyncClient, fired: list[Event]):
    table = (await client.post("/api/tables", json={"name": "orders", "columns": COLUMNS})).json()
    await client.patch(f"/api/tables/{table['id']}", json={"description": "Paid ones"})
    await client.post(f"/api/tables/{table['id']}/rows", json={"number": 1})
    cleared = await client.post(f"/api/tables/{table['id']}/clear")
    deleted = await client.delete(f"/api/tables/{table['id']}")

    assert (cleared.json(), deleted.status_code) == ({"deleted": 1}, 204)
    assert [type(event) for event in fired] == [
        DataTableCreated,
        DataTableUpdated,
        DataTableEmptied,
        DataTableDeleted,
    ]


async def test_columns_are_changed_together(client: httpx.AsyncClient, orders: str):
    changed = await client.patch(
        f"/api/tables/{orders}",
        json={
            "columns": [
                {"name": "order_number", "was": "number", "type": "integer"},
                {"name": "paid", "type": "boolean"},
            ]
        },
    )

    assert changed.json()["columns"] == [
        {"name": "order_number", "type": "integer"},
        {"name": "paid", "type": "boolean"},
    ]


async def test_row_is_added_read_changed_and_deleted(client: httpx.AsyncClient, orders: str):
    rows = f"/api/tables/{orders}/rows"
    added = await client.post(rows, json={"number": 1, "note": "new"})
    row = f"{rows}/{added.json()['id']}"
    changed = await client.patch(row, json={"note": None})

    assert (added.status_code, added.json()["number"]) == (201, 1)
    assert (changed.json()["number"], changed.json()["note"]) == (1, None)
    assert (await client.get(row)).json() == changed.json()
    assert (await client.delete(row)).status_code == 204
    assert (await client.delete(row)).status_code == 404
    assert (await client.get(rows)).json() == {"rows": [], "total": 0}


@pytest.mark.parametrize(
    "body",
    [[{"number": 1}, {"number": 2}], {"rows": [{"number": 1}, {"number": 2}]}],
    ids=["list", "wrapped"],
)
async def test_rows_are_added_together(client: httpx.AsyncClient, orders: str, body: object):
    added = await client.post(f"/api/tables/{orders}/rows", json=body)

    assert [row["number"] for row in added.json()["rows"]] == [1, 2]


async def test_one_wrong_row_keeps_all_out(client: httpx.AsyncClient, orders: str):
    refused = await client.post(f"/api/tables/{orders}/rows", json=[{"number": 1}, {"number": "x"}, {"other": 1}])

    assert refused.status_code == 422
    assert len(refused.json()["problems"]) >= 2
    assert (await client.get(f"/api/tables/{orders}/rows")).json()["total"] == 0


async def test_rows_are_sorted_filtered_and_paged(client: httpx.AsyncClient, orders: str):
    rows = f"/api/tables/{orders}/rows"
    await client.post(rows, json=[{"number": number, "note": f"n{number % 2}"} for number in range(10)])
    asked = {"sort": "-number", "limit": 2, "offset": 1, "filter": json.dumps({"note": "n0", "number": {"gte": 2}})}

    page = (await client.get(rows, params=asked)).json()

    assert ([row["number"] for row in page["rows"]], page["total"]) == ([6, 4], 4)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"filter": "{"}, "filter.invalid"),
        ({"filter": '{"nope": 1}'}, "filter.invalid"),
        ({"filter": '{"number": {"like": 1}}'}, "filter.invalid"),
        ({"sort": "nope; DROP TABLE flow"}, "sort.invalid"),
        ({"limit": "1001"}, "query.invalid"),
        ({"offset": "-1"}, "query.invalid"),
    ],
    ids=str,
)
async def test_unknown_filters_are_refused(
    client: httpx.AsyncClient, orders: str, query: dict[str, str], expected: str
):
    response = await client.get(f"/api/tables/{orders}/rows", params=query)

    assert (response.status_code, code(response)) == (422, expected)


async def test_csv_comes_back_as_it_left(client: httpx.AsyncClient, orders: str):
    await client.post(
        f"/api/tables/{orders}/rows", json=[{"number": 1, "note": "=SUM(A1)"}, {"number": 2, "note": 'a "b",\nc'}]
    )
    exported = await client.get(f"/api/tables/{orders}/export.csv")
    await client.post(f"/api/tables/{orders}/clear")

    imported = await client.post(f"/api/tables/{orders}/import.csv", content=exported.content)
    notes = (await client.get(f"/api/tables/{orders}/rows", params={"sort": "number"})).json()["rows"]

    assert exported.headers["Content-Disposition"] == 'attachment; filename="orders.csv"'
    assert ",'=SUM(A1)," in exported.text
    assert imported.json() == {"added": 2}
    assert [row["note"] for row in notes] == ["=SUM(A1)", 'a "b",\nc']


async def test_csv_with_a_fault_adds_nothing(client: httpx.AsyncClient, orders: str):
    response = await client.post(f"/api/tables/{orders}/import.csv", content="number,note\n1,a\nx,b\n")

    assert (response.status_code, code(response)) == (422, "csv.invalid")
    assert (await client.get(f"/api/tables/{orders}/rows")).json()["total"] == 0


@pytest.mark.parametrize("name", ["", "x" * 10_000, "a\u0000b", 7])
async def test_impossible_table_name_is_refused(client: httpx.AsyncClient, name: object):
    assert (await client.post("/api/tables", json={"name": name})).status_code == 422


@pytest.mark.parametrize("name", ['"; DROP TABLE flow; --', "select", "🦊", "‮evil", "../../x", "__proto__"])
async def test_odd_table_name_is_only_text(client: httpx.AsyncClient, name: str):
    made = await client.post("/api/tables", json={"name": name, "columns": [{"name": "select", "type": "text"}]})
    row = await client.post(f"/api/tables/{made.json()['id']}/rows", json={"select": name})
    exported = await client.get(f"/api/tables/{made.json()['id']}/export.csv")

    assert (made.json()["name"], row.json()["select"]) == (name, name)
    assert exported.status_code == 200


async def test_name_in_use_is_a_conflict(client: httpx.AsyncClient, orders: str):
    response = await client.post("/api/tables", json={"name": "ORDERS"})

    assert (response.status_code, code(response)) == (409, "table.name_taken")


async def test_mail_server_and_keys_are_settable(client: httpx.AsyncClient):
    server = {"host": "smtp.example.com", "sender": "a@example.com", "username": "u", "password": "hidden-word"}
    shown = await client.put("/api/settings/smtp", json=server)
    key = (await client.post("/api/keys", json={"name": "ci"})).json()
    listed = await client.get("/api/keys")

    assert shown.json()["has_password"] is True
    assert "hidden-word" not in shown.text + (await client.get("/api/settings/smtp")).text
    assert key["key"].startswith("pw_")
    assert key["key"] not in listed.text
    assert (await client.delete(f"/api/keys/{key['id']}")).status_code == 204
    assert (await client.delete("/api/settings/smtp")).status_code == 204
    assert (await client.get("/api/mailbox")).json() == {"items": [], "next": None}
