"""What the three row triggers share: the payload of ``api.dataTable_row…`` events."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from nodes.spec import Json, Output, row_of

TABLE = {"ID": "f76c7770-79c3-45a2-96ad-e4e4321ad66b", "Name": "orders"}
ROW = {
    "id": "0b6f3f9e-54a1-4f5a-9d0c-6a3f2f8f2a11",
    "customer": "Ada Lovelace",
    "total": 120.5,
    "status": "paid",
    "created_at": "2026-01-05T09:00:00Z",
    "updated_at": "2026-01-05T09:30:00Z",
}


class RowEventPayload(Output):
    # NOTE: published names, the same as in backend/events.py; tests/test_nodes.py compares them
    ID: UUID = Field(title="ID", description="The table's id.")
    Name: str = Field(title="Name", description="The table's name.")
    row: dict[str, Json] = Field(
        title="Row",
        description="The row with its columns, id and times; of a deleted one, as it was.",
        json_schema_extra=row_of("table"),
    )


class NewRowPayload(RowEventPayload):
    before: None = Field(title="Before", description="Null, because there was no row before.")


class OldRowPayload(RowEventPayload):
    before: dict[str, Json] = Field(
        title="Before", description="The row as it was before the change.", json_schema_extra=row_of("table")
    )
