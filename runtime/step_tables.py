"""Datahub rows as a running step reads and changes them, in the step's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlmodel import Session

from backend.datahub import Datahub
from nodes.spec import Json
from runtime.node_errors import as_node_errors, undeclared


class StepTables:
    """*refuse* raises for values that must not be kept in clear."""

    def __init__(self, hub: Datahub, session: Session, is_read_only: bool, refuse: Callable[[Json], None]) -> None:
        self._hub = hub
        self._session = session
        self._is_read_only = is_read_only
        self._refuse = refuse

    def find(
        self, table: str, where: Json = None, *, order_by: str | None = None, limit: int = 100
    ) -> list[dict[str, Json]]:
        with as_node_errors():
            page = self._hub.rows_in(self._session, table, limit=limit, sort=order_by, filter=where or None)
        return page.rows

    def count(self, table: str, where: Json = None) -> int:
        with as_node_errors():
            return self._hub.count_in(self._session, table, where or None)

    def check(self, table: str, values: Mapping[str, Json], *, partial: bool = False) -> dict[str, Json]:
        self._refuse(dict(values))
        with as_node_errors():
            return self._hub.check_in(self._session, table, values, partial=partial)

    def insert(self, table: str, values: Mapping[str, Json]) -> dict[str, Json]:
        self._needs_writing()
        self._refuse(dict(values))
        with as_node_errors():
            return self._hub.insert_in(self._session, table, [values])[0]

    def update(self, table: str, where: Json, values: Mapping[str, Json]) -> int:
        self._needs_writing()
        self._refuse(dict(values))
        with as_node_errors():
            return self._hub.update_where_in(self._session, table, where, values)

    def delete(self, table: str, where: Json) -> int:
        self._needs_writing()
        with as_node_errors():
            return self._hub.delete_where_in(self._session, table, where)

    def _needs_writing(self) -> None:
        if self._is_read_only:
            raise undeclared("write")
