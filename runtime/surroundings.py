"""What exists around a flow that its nodes may name."""

from __future__ import annotations

from typing import NamedTuple

from sqlmodel import Session, select

from storage.tables import Credential, DataTable


class Surroundings(NamedTuple):
    """Names and ids of data tables, and the folded names of credentials."""

    tables: frozenset[str]
    credentials: frozenset[str]


def surroundings(session: Session) -> Surroundings:
    """Return what there is at this moment."""
    tables = frozenset(word for row in session.exec(select(DataTable.id, DataTable.name)) for word in row)
    return Surroundings(tables, frozenset(session.exec(select(Credential.folded_name))))
