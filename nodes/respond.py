"""Answer the caller of the webhook that started the run.

The caller waits for it when the webhook's answer is *by respond*, at most a minute; the first answer of a run counts,
and the flow goes on after it. Elsewhere nobody waits, and nothing is sent.

Out     ``{"status": int, "headers": {name: str}, "body": …, "kind": "json" | "text" | "empty"}``
Units   none
Effect  none
Errors  ``param.invalid`` for a header that a response may not set, or a body where the status allows none
Source  RFC 9110: status codes and headers
"""

import re
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from nodes.spec import Context, Example, Json, Output, Params, action, ui

HEADERS = 50
HEADER_CHARS = 4_000
OPEN = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-language",
        "content-type",
        "deprecation",
        "etag",
        "expires",
        "last-modified",
        "link",
        "location",
        "retry-after",
        "sunset",
        "vary",
    }
)
OWN = re.compile(r"x-[a-z0-9!#$%&'*+.^_`|~-]{1,100}", re.IGNORECASE)
CLOSED = (  # how names begin that tell a browser or a proxy what to do
    *("x-accel", "x-sendfile", "x-lighttpd", "x-litespeed", "x-forwarded", "x-frame", "x-content", "x-xss", "x-dns"),
    *("x-permitted", "x-ua", "x-robots", "x-original", "x-rewrite", "x-http-method"),
)
VALUE = re.compile(r"[\x20-\x7e\t]*")
EMPTY = (204, 205, 304)


class RespondParams(Params):
    status: int = Field(
        200,
        title="Status",
        description="The status code of the answer.",
        strict=True,
        ge=200,
        le=599,
        json_schema_extra=ui("number"),
    )
    json_: Json = Field(
        None,
        alias="json",
        title="JSON",
        description="Sent as the answer's body in JSON.",
        json_schema_extra=ui("json", placeholder='{"id": "{{ $param.body.id }}"}'),
    )
    body: str = Field(
        "",
        title="Body",
        description="Sent as the answer's body as it is; not together with JSON.",
        json_schema_extra=ui("multiline", is_advanced=True),
    )
    headers: dict[str, str] = Field(
        {},
        title="Headers",
        description="Sent with the answer: content type, caching, location and the like, and names that begin with X-.",
        max_length=HEADERS,
        json_schema_extra=ui("pairs", placeholder="Content-Type", is_advanced=True),
    )

    @field_validator("json_", "body")
    @classmethod
    def _is_the_only_body(cls, value: Json, info: ValidationInfo) -> Json:
        has_value = value is not None and (value != "" or info.field_name == "json_")
        if has_value and info.data.get("status") in EMPTY:
            raise ValueError(f"an answer with the status {info.data['status']} has no body; leave it empty")
        if has_value and info.field_name == "body" and info.data.get("json_") is not None:
            raise ValueError("fill in JSON or Body, not both")
        return value

    @field_validator("headers")
    @classmethod
    def _may_be_set(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            lower = name.lower()
            if lower not in OPEN and (OWN.fullmatch(name) is None or lower.startswith(CLOSED)):
                raise ValueError(f"“{name[:60]}” is no header that an answer may set; names of your own begin with X-")
            if VALUE.fullmatch(value) is None or len(value) > HEADER_CHARS:
                raise ValueError(f"the value of “{name[:60]}” has characters that a header cannot carry, or too many")
        return headers


class RespondOutput(Output):
    status: int = Field(description="The status code.")
    headers: dict[str, str] = Field(description="The headers, with the content type.")
    body: Json = Field(description="The body: a JSON value, or text.")
    kind: Literal["json", "text", "empty"] = Field(description="How the body is written.")


@action(
    title="Respond",
    category="Communication",
    icon="reply",
    summary="{status}",
    is_answer=True,
    examples=[
        Example(
            "answers in JSON",
            params={"json": {"id": 1001}},
            output={
                "status": 200,
                "headers": {"Content-Type": "application/json"},
                "body": {"id": 1001},
                "kind": "json",
            },
        ),
        Example(
            "answers with a page",
            params={"status": 404, "body": "<p>Gone</p>", "headers": {"content-type": "text/html"}},
            output={"status": 404, "headers": {"content-type": "text/html"}, "body": "<p>Gone</p>", "kind": "text"},
        ),
        Example(
            "answers with nothing",
            params={"status": 204},
            output={"status": 204, "headers": {}, "body": None, "kind": "empty"},
        ),
        Example("a cookie of the editor's", params={"headers": {"Set-Cookie": "a=b"}}, error="param.invalid"),
        Example("a second header inside of one", params={"headers": {"X-A": "b\r\nX-C: d"}}, error="param.invalid"),
        Example("two bodies", params={"json": {}, "body": "x"}, error="param.invalid"),
        Example("a body where none may be", params={"status": 204, "body": "x"}, error="param.invalid"),
    ],
)
async def respond(params: RespondParams, ctx: Context) -> RespondOutput:  # its caller waits until it is durable
    if params.json_ is not None:
        return _answer(params, params.json_, "json", "application/json")
    if params.body:
        return _answer(params, params.body, "text", "text/plain; charset=utf-8")
    return RespondOutput(status=params.status, headers=dict(params.headers), body=None, kind="empty")


def _answer(params: RespondParams, body: Json, kind: Literal["json", "text"], content_type: str) -> RespondOutput:
    is_given = any(name.lower() == "content-type" for name in params.headers)
    headers = dict(params.headers) if is_given else {"Content-Type": content_type, **params.headers}
    return RespondOutput(status=params.status, headers=headers, body=body, kind=kind)
