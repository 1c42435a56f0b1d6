"""What the reference of the API says of webhooks."""

from __future__ import annotations

from typing import Any

from runtime import limits
from runtime.http.examples import PROBLEMS

PATH = "/hooks/{path}"
ACCEPTED = {"id": "hooks/orders/new#order-1001", "duplicate": False, "runs": [17]}
FAILED = {
    "run": 17,
    "problems": [{"code": "webhook.run_failed", "message": "The flow did not answer. Its run says why."}],
}
WORDS = {
    400: "The body is not what its content type says, or came too slowly.",
    401: "The webhook asks for a login, and this is not it.",
    403: "A page of another site, which the webhook does not invite.",
    404: "No webhook of a published flow stands here.",
    405: "Not with this method; `Allow` says with which.",
    413: f"The body is larger than {limits.WEBHOOK_BYTES:,} bytes.",
    415: "A content type or encoding that is not read here.",
    422: "JSON that two readers could understand differently, or an id that came with other content.",
    431: f"The headers are larger than {limits.WEBHOOK_HEADER_BYTES:,} bytes.",
    500: "The flow ended without an answer because its run failed; the answer names the run alone.",
    503: "Not possible right now; send it again with the same id.",
    504: f"The flow did not answer within {limits.RESPONSE_WAIT_S} seconds; its run goes on.",
}


def hook_operation() -> dict[str, Any]:
    """Return the OpenAPI operation of a webhook, which stands for every method."""
    refusals = {
        str(status): _said(words, FAILED if status in (500, 504) else PROBLEMS) for status, words in WORDS.items()
    }
    return {
        "tags": ["Webhooks"],
        "summary": "Call a webhook",
        "description": "Any method that the flow's trigger takes. A login, if the webhook asks for one, is the "
        "trigger's own: no API key. Bodies: JSON, forms with files, text. `Idempotency-Key` or `webhook-id` make a "
        "request safe to send again. Answers once the event and its run are stored, or, where the webhook says so, "
        "with what the flow responds: then status, headers and body are the flow's.",
        "parameters": [
            {
                "name": "path",
                "in": "path",
                "required": True,
                "description": "The path of the webhook; it may have slashes.",
                "schema": {"type": "string"},
            },
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "The same key twice is one event.",
                "schema": {"type": "string", "maxLength": 255},
            },
        ],
        "requestBody": {
            "required": False,
            "content": {
                "application/json": {"example": {"id": 1001, "total": 120}},
                "application/x-www-form-urlencoded": {"example": "id=1001&total=120"},
                "multipart/form-data": {"example": "--…"},
                "text/plain": {"example": "1001"},
            },
        },
        "responses": {"202": _said("Accepted: committed to the database.", ACCEPTED), **refusals},
    }


def _said(words: str, example: object) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"example": example}}}
