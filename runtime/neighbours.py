"""The flows around a flow, as they are stored: what is published, else the draft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from sqlmodel import Session, select

from nodes.spec import NodeType
from runtime.flow_links import FlowLinks, links_of
from runtime.neighbourhood import Neighbourhood
from storage.tables import Flow, FlowVersion

Standing: TypeAlias = tuple[int | None, int | None]  # the published version, or else the draft's revision


class Neighbours:
    """Remembers the links of every flow until it changes. Safe to use from several threads."""

    def __init__(self, types: Mapping[str, NodeType]) -> None:
        self._types = types
        self._known: tuple[dict[str, tuple[Standing, FlowLinks]], Neighbourhood] = ({}, Neighbourhood(()))

    def at(self, session: Session) -> Neighbourhood:
        """Return the flows as they are at this moment."""
        links, whole = self._known
        now = {
            flow_id: (version, revision if version is None else None)
            for flow_id, version, revision in session.exec(select(Flow.id, Flow.published_version, Flow.revision))
        }
        if now == {flow_id: standing for flow_id, (standing, _) in links.items()}:
            return whole
        links = {
            flow_id: links[flow_id]
            if flow_id in links and links[flow_id][0] == standing
            else (standing, self._read(session, flow_id, standing))
            for flow_id, standing in now.items()
        }
        whole = Neighbourhood(found for _, found in links.values())
        self._known = (links, whole)
        return whole

    def _read(self, session: Session, flow_id: str, standing: Standing) -> FlowLinks:
        version, _ = standing
        document: dict[str, Any]
        if version is None:
            document = session.get_one(Flow, flow_id).draft
        else:
            document = session.get_one(FlowVersion, (flow_id, version)).document
        return links_of(document, self._types, is_live=version is not None)
