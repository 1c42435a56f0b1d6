"""Flows that an installation begins with: those that send users the mails by which they verify and reset.

Each is installed and published once. From then on it is a flow like any other, to be changed, unpublished or deleted;
what was deleted does not come back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session

from nodes.spec import NodeType
from runtime.document import dump, parse_text
from runtime.errors import Invalid
from runtime.publishing import freeze, subscribe
from storage.database import Database
from storage.tables import Flow, Setting

FOLDER = Path(__file__).resolve().parent.parent / "examples"
STARTERS = ("send_verification_email", "send_password_reset_email")  # files in examples/; a name is never used again
KEY = "starter_flows"


def install(
    database: Database, types: Mapping[str, NodeType], *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> list[str]:
    """Install and publish the starter flows that never were, and return their ids.

    A flow that has the id of one already is left as it is.
    """
    with database.write() as session:
        marker = session.get(Setting, KEY) or Setting(key=KEY, value={"installed": []})
        missing = [name for name in STARTERS if name not in marker.value["installed"]]
        if not missing:
            return []
        documents = [_document(name) for name in missing]
        added = [one for one in documents if _add(session, one, types, clock())]
        marker.value, marker.updated_at = {"installed": [*marker.value["installed"], *missing]}, clock()
        session.add(marker)
    return [document["graph"]["id"] for document in added]


def _document(name: str) -> dict[str, Any]:
    parsed, problems = parse_text((FOLDER / f"{name}.json").read_bytes())
    if parsed is None:
        raise Invalid(*problems)
    return dump(parsed)


def _add(session: Session, document: dict[str, Any], types: Mapping[str, NodeType], now: datetime) -> bool:
    graph = document["graph"]
    if session.get(Flow, graph["id"]) is not None:
        return False
    flow = Flow(id=graph["id"], name=graph["name"], state="published", draft=document, created_at=now, updated_at=now)
    session.add(flow)
    session.flush()
    flow.published_version, flow.published_revision = freeze(session, flow, now), flow.revision
    subscribe(session, flow, types, now)
    return True
