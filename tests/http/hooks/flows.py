"""Flows that start at a webhook."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

Json = dict[str, Any]
Step = tuple[str, str, Json]  # id, type, params


def webhook_flow(flow_id: str, *steps: Step, on_error: str = "stop", **params: Any) -> Json:
    """Return a flow that starts at a webhook with *params* and does one step after the other."""
    nodes: list[Json] = [{"id": "start", "type": "on_webhook", "name": "Start", "params": {"path": flow_id} | params}]
    nodes += [
        {"id": name, "type": kind, "name": name, "params": given, "on_error": on_error} for name, kind, given in steps
    ]
    return {
        "format": "pulsewire.flow/1",
        "graph": {"id": flow_id, "name": f"Flow {flow_id}"},
        "nodes": nodes,
        "edges": [{"source": a["id"], "target": b["id"], "key": "out"} for a, b in pairwise(nodes)],
    }


def respond(**params: Any) -> Step:
    return ("answer", "respond", params)


def put(**fields: Any) -> Step:
    return ("put", "set_fields", {"fields": fields})
