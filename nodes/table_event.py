"""What the four data table triggers share: the payload of ``api.dataTable_…`` events and how one table is picked."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from nodes.spec import Listen, Output, Params, ui

SAMPLE = {"ID": "f76c7770-79c3-45a2-96ad-e4e4321ad66b", "Name": "orders", "Description": "Orders of the web shop"}


class TableEventParams(Params):
    table: str = Field(
        "",
        title="Table",
        description="Listen to the table of this name only; empty listens to every table.",
        max_length=100,
        json_schema_extra=ui("table", placeholder="Every table", is_literal=True),
    )


class TableEventPayload(Output):
    # NOTE: published names, the same as in backend/events.py; tests/test_nodes.py compares them
    ID: UUID = Field(title="ID", description="The table's id.")
    Name: str = Field(title="Name", description="The table's name; after a change, the new one.")
    Description: str = Field(title="Description", description="The table's description, empty when it has none.")


def listen_to(event: str, table: str) -> Listen:
    """Return what to wait for: *event* of the table called exactly *table*, or of every table when it is empty."""
    return Listen(event, match={"Name": table} if table else {})
