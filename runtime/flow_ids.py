"""Reading flow files from outside, and the ids that flows get."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from sqlmodel import Session, col, select

from runtime import strictjson
from runtime.drafts import flow_too_large
from runtime.errors import BadRequest, Invalid, Problem, TooLarge
from runtime.limits import DOCUMENT_BYTES
from storage.tables import Flow

SLUG_CHARS = 60


def decode(text: str | bytes) -> Any:
    """Return the JSON value in *text*. Raises TooLarge, BadRequest (not JSON, saying where) or Invalid."""
    raw = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    value, fault = strictjson.read(raw, size=DOCUMENT_BYTES)
    if fault is None:
        return value
    if fault.code == "too_large":
        raise TooLarge(flow_too_large())
    if fault.code == "json_invalid":
        raise BadRequest(Problem("json.invalid", f"The file {fault.message}."))
    raise Invalid(Problem(f"document.{fault.code}", f"The file {fault.message}."))


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
    graph = document.get("graph") if isinstance(document, dict) else None
    return isinstance(graph, dict) and graph.get("id", "") != ""


def with_id(document: object, flow_id: str) -> object:
    """Return *document* with an id if it had none."""
    if isinstance(document, dict) and isinstance(document.get("graph"), dict) and not has_id(document):
        return document | {"graph": document["graph"] | {"id": flow_id}}
    return document


def renamed(document: dict[str, Any], flow_id: str) -> dict[str, Any]:
    """Return *document* as the flow *flow_id*."""
    return document | {"graph": document["graph"] | {"id": flow_id}}


def free_id(session: Session, wanted: str) -> str:
    """Return *wanted*, with a number behind it when a flow has that id."""
    stem = wanted[:SLUG_CHARS]
    taken = set(session.exec(select(Flow.id).where(col(Flow.id).startswith(stem, autoescape=True))))
    if wanted not in taken:
        return wanted
    number = 2
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"
