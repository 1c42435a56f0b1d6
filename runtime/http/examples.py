"""What the reference of the API shows: one flow, one run, one table, and the problems that any call may answer."""

from __future__ import annotations

from typing import Any

FLOW_ID = "warn-on-emptied-table"
TABLE_ID = "f76c1f3e-6f0f-4b7f-9a5c-0d4f6a9b2c11"
MOMENT = "2026-01-31T09:30:00Z"

DOCUMENT: dict[str, Any] = {
    "format": "pulsewire.flow/1",
    "directed": True,
    "multigraph": True,
    "graph": {"id": FLOW_ID, "name": "Warn on emptied table", "description": ""},
    "nodes": [
        {"id": "table_emptied", "type": "api.dataTable_emptied", "name": "Table emptied", "params": {}},
        {
            "id": "warn",
            "type": "send_email",
            "name": "Warn",
            "params": {"to": "ops@example.com", "subject": "{{ $param.Name }} was emptied", "text": "Please look."},
        },
    ],
    "edges": [{"source": "table_emptied", "target": "warn", "key": "out"}],
    "samples": [],
    "layout": {"table_emptied": [0, 0], "warn": [280, 0]},
}
FLOW = {
    "id": FLOW_ID,
    "name": "Warn on emptied table",
    "state": "published",
    "draft": DOCUMENT,
    "published_version": 1,
    "problems": [],
    "revision": 4,
    "has_unpublished_changes": False,
    "updated_at": MOMENT,
    "schedules": [],
    "queued": 0,
    "notice": None,
}
FLOW_LINE = {
    "id": FLOW_ID,
    "name": "Warn on emptied table",
    "description": "",
    "state": "published",
    "node_count": 2,
    "trigger_types": ["api.dataTable_emptied"],
    "updated_at": MOMENT,
    "published_version": 1,
    "has_unpublished_changes": False,
    "problem_count": 0,
    "last_run": {"id": 17, "status": "succeeded", "created_at": MOMENT},
    "next_due_at": None,
    "queued": 0,
    "notice": None,
}
PAYLOAD = {"ID": TABLE_ID, "Name": "orders", "Description": ""}
EVALUATE = {"text": "{{ $param.Name | upper }} was emptied", "param": PAYLOAD}
EVALUATED = {"value": "ORDERS was emptied"}
RUN_LINE = {
    "id": 17,
    "flow": FLOW_ID,
    "version": 1,
    "status": "succeeded",
    "event": {"id": "0d9b6f4e-3f7c-4c39-9a38-3f6f0f1f6b52", "name": "api.dataTable_emptied"},
    "trigger": "table_emptied",
    "is_test": False,
    "is_simulated": False,
    "is_dead": False,
    "retry_of": None,
    "retried_by": [],
    "error": None,
    "created_at": MOMENT,
    "started_at": MOMENT,
    "ended_at": MOMENT,
}
RUN = RUN_LINE | {
    "payload": PAYLOAD,
    "output": None,
    "steps": [
        {
            "node": "warn",
            "status": "succeeded",
            "attempt": 1,
            "port": "out",
            "started_at": MOMENT,
            "ended_at": MOMENT,
            "input": {"to": "ops@example.com", "subject": "orders was emptied", "text": "Please look."},
            "output": {"message_id": "<17.warn@pulsewire>", "via": "mailbox"},
            "error": None,
        }
    ],
}
ITEM = {"iteration": "3", "status": "succeeded", "started_at": MOMENT, "ended_at": MOMENT, "error": None}
RETRIED = {
    "count": 1,
    "started": [{"run": 17, "retry": 21}],
    "refused": [{"run": 18, "problems": [{"code": "run.not_ended", "message": "Run 18 is still going."}]}],
    "left": 0,
}
CANCELLED = {"count": 2, "runs": [18, 17], "left": 0}
TABLE = {
    "id": TABLE_ID,
    "name": "orders",
    "description": "",
    "columns": [
        {"name": "number", "type": "integer", "required": True, "unique": True},
        {"name": "note", "type": "text"},
    ],
    "row_count": 1,
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
ROW = {
    "id": "8c7fbb6e-50a4-4a1c-8a3c-0a2f9f6a2b10",
    "number": 1001,
    "note": "paid",
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
MESSAGE = {
    "id": 3,
    "message_id": "<17.warn@pulsewire>",
    "sender": "pulsewire@localhost",
    "recipients": ["ops@example.com"],
    "subject": "orders was emptied",
    "run_id": 17,
    "is_read": False,
    "created_at": MOMENT,
}
MAIL = MESSAGE | {"text": "Please look.", "html": None, "source": "From: pulsewire@localhost…", "attachments": []}
SMTP_INPUT = {
    "host": "smtp.example.com",
    "port": 587,
    "tls": "starttls",
    "sender": "Pulsewire <pulsewire@example.com>",
    "username": "pulsewire",
    "password": "secret",
}
SMTP = {key: value for key, value in SMTP_INPUT.items() if key != "password"} | {
    "has_password": True,
    "source": "settings",
}
KEY = {"id": 1, "name": "ci", "prefix": "pw_3kX9", "role": "owner", "created_at": MOMENT, "last_used_at": None}
NEW_CREDENTIAL = {
    "name": "Shop",
    "kind": "basic",
    "settings": {"user": "pulsewire"},
    "secret": "correct horse 7",
    "hosts": ["api.shop.example.com"],
}
CREDENTIAL = {
    "id": "5f0c8c0e-3f1b-4a4e-9a55-0d9f1b1d8c11",
    "name": "Shop",
    "kind": "basic",
    "settings": {"user": "pulsewire"},
    "has_secret": True,
    "hosts": ["api.shop.example.com"],
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
USER = {
    "id": "3b6a1f60-2b0e-4c57-9d0f-5a4f3a1c7e21",
    "email": "anna@example.com",
    "first_name": "Anna",
    "last_name": "Berg",
    "roles": ["Customer"],
    "email_verified": True,
    "blocked": False,
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "last_login_at": None,
}
USERS = {"items": [USER], "total": 1, "next": None}
NEW_USER = {"email": "anna@example.com", "first_name": "Anna", "last_name": "Berg", "roles": ["Customer"]}
ROLE = {"id": "9d6d4b0e-8f1c-4f6e-b0c8-7a3c52b1d9a4", "name": "Customer", "description": "", "user_count": 1}
HOSTED_CHANGE = {"callback_url": "https://app.example.com/welcome", "web_origins": ["https://app.example.com"]}
HOSTED = {
    "is_on": True,
    "allow_sign_up": True,
    "callback_url": "",
    "name": "Example",
    "logo": "",
    "colour": "#6366f1",
    "web_origins": [],
} | HOSTED_CHANGE
PROBLEMS = {
    "problems": [
        {
            "code": "param.missing",
            "message": "Warn: “To” is empty. Fill it in, or connect a node that provides an address.",
            "node": "warn",
            "param": "to",
        }
    ]
}


def listed(item: dict[str, Any]) -> dict[str, Any]:
    """Return a list answer with one item."""
    return {"items": [item], "next": None}


def answers(example: object, status: int = 200, *, refusals: tuple[int, ...] = ()) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of an operation: what it answers, and the ways in which it refuses."""
    said: dict[int | str, dict[str, Any]] = {status: {"description": _WORDS[status]}}
    if example is not None:
        said[status]["content"] = {"application/json": {"example": example}}
    for refused in (401, 403, *refusals):
        said[refused] = {"description": _WORDS[refused], "content": {"application/json": {"example": PROBLEMS}}}
    said.setdefault(422, {"description": _WORDS[422], "content": {"application/json": {"example": PROBLEMS}}})
    return said


_WORDS = {
    200: "Done.",
    201: "Made.",
    202: "Accepted: committed to the database.",
    204: "Done; there is nothing to say.",
    400: "Not JSON.",
    401: "No API key, or one that does not exist.",
    403: "The key's role may not do this.",
    404: "There is no such thing.",
    409: "It clashes with what is there, or someone else was quicker.",
    413: "Too large; the message names the limit.",
    422: "Refused, with every problem found; nothing was changed.",
    503: "Not possible right now; nothing was confirmed. Try again.",
}
