"""What exists beside the open flow that its nodes may name: tables, logins, other flows."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from runtime.service import Service

Json: TypeAlias = Any
MANUAL = "manual"  # the trigger at which a flow can be called


class Surroundings:
    """As it was read last; empty before. *sees_credentials*: whoever looks may choose among the stored logins."""

    def __init__(self, service: Service, flow_id: str, *, sees_credentials: bool) -> None:
        self._service = service
        self._flow_id = flow_id
        self._sees_credentials = sees_credentials
        self._flows: dict[str, str] = {}  # the other flows: id -> name
        self._callable: dict[str, str] = {}
        self.credentials: Mapping[str, str] = {}  # name of a stored login -> its kind
        self.columns: Mapping[str, list[dict[str, Json]]] = {}  # of the tables, by name

    async def read(self) -> None:
        """Look what there is now."""
        service = self._service
        if self._sees_credentials:
            self.credentials = {each.name: each.kind for each in await to_thread(service.credentials.list)}
        flows = [flow for flow in await to_thread(service.flows.list) if flow.id != self._flow_id]
        self._flows = {flow.id: flow.name for flow in sorted(flows, key=lambda flow: flow.name)}
        self._callable = {
            flow.id: self._flows[flow.id] for flow in flows if MANUAL in flow.trigger_types and flow.published_version
        }
        tables = await to_thread(service.tables.list)
        columns = {table.name: [column.as_json() for column in table.columns] for table in tables}
        if columns != self.columns:
            self.columns = columns

    @property
    def tables(self) -> Mapping[str, Mapping[str, str]]:
        """Return name -> column -> type."""
        return {name: {each["name"]: each["type"] for each in columns} for name, columns in self.columns.items()}

    def flows(self, is_any: bool) -> Mapping[str, str]:
        """Return id -> name of all other flows, or of those that can be called."""
        return self._flows if is_any else self._callable
