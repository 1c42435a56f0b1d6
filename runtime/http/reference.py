"""The reference of the API: its OpenAPI description, and a page made of it that needs no script and no internet."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, Response

from runtime.http import events, hook_examples
from runtime.http.answers import Json
from runtime.http.bodies import ApiRoute
from runtime.http.examples import answers

DESCRIPTION = """JSON in, JSON out.
Send an API key as “Authorization: Bearer pw_…”; `pulsewire keys create NAME` makes one.
A key has a role: a viewer's reads, an editor's changes flows and tables, an owner's does everything.
What is refused answers {"problems": [{"code", "message", "node"?, "param"?}]}: codes are stable."""
EVENT = {"name": "shop.order_paid", "payload": {"order": 1001, "total": 120}, "id": "order-1001-paid"}
CLOUD_EVENT = {
    "specversion": "1.0",
    "id": "1001",
    "source": "/shop",
    "type": "shop.order_paid",
    "data": {"order": 1001, "total": 120},
}
ACCEPTED = {"id": "order-1001-paid", "duplicate": False, "runs": [17]}
EVENTS_OPERATION: dict[str, Any] = {
    "tags": ["Events"],
    "summary": "Hand in an event",
    "description": "Answers once the event and the runs that it starts are committed; a run whose trigger then filters "
    "the event out is taken back. The same “id” twice is one event. After a 503 "
    "`engine.down`, or no answer, the event may be stored or not; one with an “id” is safe to send again. "
    "CloudEvents 1.0 are taken in structured, binary and batch mode; their “source” and “id” are the id.",
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"example": EVENT},
            "application/cloudevents+json": {"example": CLOUD_EVENT},
            "application/cloudevents-batch+json": {"example": [CLOUD_EVENT]},
        },
    },
    "responses": {str(status): said for status, said in answers(ACCEPTED, 202, refusals=(400, 413, 503)).items()},
}
SECURITY = {"apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "pw_…"}}


def reference_routes(app: FastAPI) -> APIRouter:
    """Return the routes of the reference, which anyone may read."""
    router = APIRouter()
    made: dict[str, Any] = {}

    def description() -> dict[str, Any]:
        if not made:
            made.update(openapi(app))
        return made

    @router.get("/api/openapi.json", include_in_schema=False)
    async def read_openapi() -> Response:
        return Json(description())

    @router.get("/api/docs", include_in_schema=False)
    async def read_page() -> Response:
        return HTMLResponse(page(description()))

    return router


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description, with the routes of events and webhooks that FastAPI does not know."""
    found = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    handed_in: dict[str, Any] = {"security": [{"apiKey": []}], "x-role": events.ROLE}
    found["paths"][events.PATH] = {"post": EVENTS_OPERATION | handed_in}
    found["paths"][hook_examples.PATH] = {"post": hook_examples.hook_operation()}
    found.setdefault("components", {})["securitySchemes"] = SECURITY
    for route in _api_routes(app):
        if isinstance(route, ApiRoute):
            for method in route.methods or ():
                operation = found["paths"][route.path_format][method.lower()]
                operation["security"] = [{"apiKey": []}]
                operation["x-role"] = route.role
                _add_refusals(operation)
    return found


def _add_refusals(operation: dict[str, Any]) -> None:
    """Add what every operation, and every one with a body, may answer."""
    statuses = (400, 413, 503) if "requestBody" in operation else (503,)
    every = answers(None, refusals=statuses)
    operation["responses"] = {str(status): every[status] for status in statuses} | operation["responses"]
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _api_routes(app: FastAPI) -> list[APIRoute]:
    return [route for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema]


def page(description: dict[str, Any]) -> str:
    """Return the OpenAPI *description* as one HTML page."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method.upper(), path, operation))
    links = " ".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in by_tag)
    parts = "".join(f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(found)}' for tag, found in by_tag.items())
    return _PAGE.format(
        version=escape(description["info"]["version"]),
        words=_prose(description["info"]["description"]),
        links=links,
        parts=parts,
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    inside = [f"<p>{_prose(operation['description'])}</p>" if "description" in operation else ""]
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code><td>{escape(each['in'])}"
        f"<td>{escape(_kind(each.get('schema', {})))}<td>{_prose(each.get('description', ''))}</tr>"
        for each in operation.get("parameters", [])
    )
    inside.append(f"<table>{rows}</table>" if rows else "")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        inside.append(_example(f"Body: {kind}", content))
    for status, said in operation["responses"].items():
        for kind, content in (said.get("content") or {"": {}}).items():
            if status[0] == "2":
                inside.append(_example(f"{status} {kind}: {said['description']}", content))
    refusals = ", ".join(
        f"{s} {r['description'].rstrip('.')}" for s, r in operation["responses"].items() if s[0] != "2"
    )
    inside.append(f"<p class=quiet>{escape(refusals)}</p>" if refusals else "")
    role = operation.get("x-role")
    mark = f" <span class=quiet>{f'role {role}' if role else 'no key needed'}</span>"
    return (
        f"<details><summary><b>{method}</b> <code>{escape(path)}</code> "
        f"{escape(operation.get('summary', ''))}{mark}</summary>{''.join(inside)}</details>"
    )


def _example(title: str, content: dict[str, Any]) -> str:
    shown = content.get("example", next(iter(content.get("schema", {}).get("examples", [])), None))
    if shown is None:
        return f"<p>{escape(title)}</p>"
    text = shown if isinstance(shown, str) else json.dumps(shown, indent=2, ensure_ascii=False)
    return f"<p>{escape(title)}</p><pre>{escape(text)}</pre>"


def _kind(schema: dict[str, Any]) -> str:
    kinds = [each.get("type", "") for each in schema.get("anyOf", [schema])]
    return " or ".join(kind for kind in kinds if kind and kind != "null")


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)).replace("\n", "<br>")


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pulsewire HTTP API</title>
<style>
:root {{ color-scheme: light dark; --line: light-dark(#e2e8f0, #2a3038); --quiet: light-dark(#64748b, #94a3b8);
  --accent: light-dark(#6366f1, #818cf8); --surface: light-dark(#f5f7fa, #161b21); }}
body {{ font: 14px/1.5 Inter, system-ui, sans-serif; max-width: 860px; margin: 2rem auto; padding: 0 1rem; }}
h2 {{ margin: 2rem 0 .5rem; font-size: 1.1rem; }} a {{ color: var(--accent); margin-right: .75rem; }}
details {{ border: 1px solid var(--line); border-radius: 8px; margin: .4rem 0; padding: .5rem .75rem; }}
summary {{ cursor: pointer; overflow-wrap: anywhere; }}
b {{ color: var(--accent); }}
pre {{ background: var(--surface); border-radius: 8px; padding: .75rem; overflow: auto; font-size: 12px; }}
td {{ padding: .15rem .75rem .15rem 0; vertical-align: top; }} .quiet {{ color: var(--quiet); font-size: 12px; }}
</style></head><body>
<h1>Pulsewire HTTP API <span class="quiet">{version}</span></h1>
<p>{words}</p>
<p>{links}<a href="/api/openapi.json">OpenAPI</a><a href="/api/schema/flow.json">Flow format</a></p>
{parts}
</body></html>
"""
