"""Reading flow files from outside, and the ids that flows get."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import orjson
from sqlmodel import Session, col, select

from runtime.drafts import flow_too_large
from runtime.errors import Invalid, Problem, TooLarge
from runtime.limits import DOCUMENT_BYTES
from storage.tables import Flow

SLUG_CHARS = 60


def decode(text: str | bytes) -> Any:
    """Return the JSON value in *text*; Invalid says at which line and column it is broken."""
    size = len(text) if isinstance(text, bytes) else len(text.encode(errors="surrogatepass"))
    if size > DOCUMENT_BYTES:
        raise TooLarge(flow_too_large())
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid(
            Problem("json.invalid", f"This is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.")
        ) from error


def slug(name: str) -> str:
    """Return an id made of the letters and digits of *name*, safe in addresses and file names."""
    plain = unicodedata.normalize("NFKD", name[:1000]).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_CHARS].strip("-") or "flow"


def name_in(document: object) -> str:
    """Return the name a document gives itself, or a plain one."""
    graph = document.get("graph") if isinstance(document, dict) else None
    name = graph.get("name") if isinstance(graph, dict) else None
    return name if isinstance(name, str) else "flow"


def has_id(document: object) -> bool:
    """Return whether a document says which flow it is."""
    return isinstance(document, dict) and isinstance(document.get("graph"), dict) and "id" in document["graph"]


def with_id(document: object, flow_id: str) -> object:
    """Return *document* with an id if it had none."""
    if isinstance(document, dict) and isinstance(document.get("graph"), dict) and not has_id(document):
        return document | {"graph": {"id": flow_id} | document["graph"]}
    return document


def renamed(document: dict[str, Any], flow_id: str) -> dict[str, Any]:
    """Return *document* as the flow *flow_id*."""
    return document | {"graph": document["graph"] | {"id": flow_id}}


def free_id(session: Session, wanted: str) -> str:
    """Return *wanted*, with a number behind it when a flow has that id."""
    taken = set(session.exec(select(Flow.id).where(col(Flow.id).startswith(wanted, autoescape=True))))
    if wanted not in taken:
        return wanted
    number = 2
    while f"{wanted}-{number}" in taken:
        number += 1
    return f"{wanted}-{number}"
