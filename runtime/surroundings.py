"""What exists around a flow that its nodes may name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlmodel import Session, select

from storage.tables import Credential, DataTable


class Surroundings(NamedTuple):
    """Names and ids of data tables, the folded names of credentials, and the columns of the tables by both.

    *environment* are the names of the variables that flows may read; None: not known here.
    """

    tables: frozenset[str]
    credentials: frozenset[str]
    columns: Mapping[str, Sequence[Mapping[str, Any]]]
    environment: frozenset[str] | None


def surroundings(session: Session, environment: frozenset[str] | None = None) -> Surroundings:
    """Return what there is at this moment."""
    rows = session.exec(select(DataTable.id, DataTable.name, DataTable.columns)).all()
    columns = {word: columns for *words, columns in rows for word in words}
    credentials = frozenset(session.exec(select(Credential.folded_name)))
    return Surroundings(frozenset(columns), credentials, columns, environment)
