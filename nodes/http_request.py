"""Call a web service.

Private and local addresses are refused unless ``PULSEWIRE_ALLOW_HOSTS`` names them. Redirects are not followed.
A header ``Idempotency-Key`` that is the same in every attempt is sent unless the flow sets its own.
A credential is a login stored in the settings: it is added here, or signs what is sent, and no run shows it.

Out     ``{"status": int, "headers": {name in lower case: str}, "body": …}``; the body is parsed when its
        content type is JSON, text otherwise, null when it is empty
Units   ``timeout_s`` in seconds, for the whole call
Effect  send: one HTTP request
Errors  ``http.status_…`` for an answer from 400 on (408, 425, 429 and 5xx are tried again), ``http.address_blocked``,
        ``http.url_invalid``, ``http.header_invalid``, ``http.body_invalid``, ``http.redirect``, ``http.tls_failed``,
        ``http.answer_…``, ``credential.…``, and, tried again, ``http.timeout``, ``http.unreachable``,
        ``http.answer_incomplete``
Source  RFC 9110: methods and status codes; RFC 6839: content types ending in +json; Standard Webhooks: signatures
"""

from email.message import Message
from typing import Literal

import orjson
from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationInfo, field_validator

from nodes.spec import (
    Context,
    Example,
    HttpResponse,
    Json,
    NodeError,
    Output,
    Params,
    Plan,
    TemporaryError,
    action,
    ui,
)

MAX_TIMEOUT_S = 120  # NOTE: runtime/limits.py HTTP_TIMEOUT_S
TEMPORARY = frozenset({408, 425, 429})


class HttpRequestParams(Params):
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = Field(
        "GET", title="Method", description="What to do with the address.", json_schema_extra=ui("select")
    )
    url: str = Field(
        title="URL",
        description="Address of the service, beginning with http:// or https://.",
        min_length=1,
        max_length=8000,
        json_schema_extra=ui("text", placeholder="https://api.example.com/orders"),
    )
    query: dict[str, StrictStr | StrictInt | StrictFloat | StrictBool] = Field(
        {},
        title="Query",
        description="Added to the address after “?”.",
        json_schema_extra=ui("pairs", is_advanced=True),
    )
    headers: dict[str, str] = Field(
        {},
        title="Headers",
        description="Sent with the request.",
        json_schema_extra=ui("pairs", placeholder="Accept", is_advanced=True),
    )
    json_: Json = Field(
        None,
        alias="json",
        title="JSON",
        description="Sent as the request's body in JSON.",
        json_schema_extra=ui("json", placeholder='{"id": "{{ $param.id }}"}'),
    )
    body: str = Field(
        "",
        title="Body",
        description="Sent as the request's body as it is; not together with JSON.",
        json_schema_extra=ui("multiline", is_advanced=True),
    )
    credential: str = Field(
        "",
        title="Credential",
        description="A stored login that is added to the request; it goes to its own hosts only.",
        max_length=100,
        json_schema_extra=ui("credential", placeholder="No login", is_literal=True),
    )
    timeout_s: float = Field(
        30,
        title="Timeout",
        description="Seconds until the call is given up.",
        strict=True,
        ge=0.1,
        le=MAX_TIMEOUT_S,
        json_schema_extra=ui("number", is_advanced=True),
    )

    @field_validator("body")
    @classmethod
    def _is_the_only_body(cls, body: str, info: ValidationInfo) -> str:
        if body and info.data.get("json_") is not None:
            raise ValueError("fill in JSON or Body, not both")
        return body


class HttpRequestOutput(Output):
    status: int = Field(description="The status code, below 300.")
    headers: dict[str, str] = Field(description="The answer's headers, names in lower case.")
    body: Json = Field(description="The answer's body: parsed JSON, text, or null when empty.")


def plan(params: HttpRequestParams, ctx: Context) -> Plan:
    ctx.http.check(params.url, params.headers)
    effect: dict[str, Json] = {"kind": "http", "method": params.method, "url": params.url}
    effect |= {name: value for name in ("query", "headers", "body") if (value := getattr(params, name))}
    if params.json_ is not None:
        effect["json"] = params.json_
    if params.credential:
        effect["credential"] = params.credential
    return Plan(effect, HttpRequestOutput(status=200, headers={}, body=None))


@action(
    title="HTTP request",
    category="Communication",
    icon="language",
    effect="send",
    plan=plan,
    summary="{method} {url}",
    examples=[
        Example(
            "posts JSON",
            params={"method": "POST", "url": "https://api.example.com/orders", "json": {"id": 1001}},
            output={"status": 200, "headers": {}, "body": None},
        ),
        Example("an object is no address", params={"url": {"href": "file:///etc/passwd"}}, error="param.invalid"),
        Example(
            "a header is text", params={"url": "https://example.com", "headers": {"X-Id": 7}}, error="param.invalid"
        ),
        Example("two bodies", params={"url": "https://example.com", "json": {}, "body": "x"}, error="param.invalid"),
    ],
)
async def http_request(params: HttpRequestParams, ctx: Context) -> HttpRequestOutput:
    headers = dict(params.headers)
    names = {name.lower() for name in headers}
    if "idempotency-key" not in names:
        headers["Idempotency-Key"] = ctx.idempotency_key
    body, content_type = _body(params)
    if body is not None and "content-type" not in names:
        headers["Content-Type"] = content_type
    response = await ctx.http.request(
        params.method,
        params.url,
        query={name: _text(value) for name, value in params.query.items()},
        headers=headers,
        body=body,
        timeout_s=params.timeout_s,
        credential=params.credential or None,
    )
    _refuse_failure(response.status)
    return HttpRequestOutput(status=response.status, headers=dict(response.headers), body=_parsed(response))


def _body(params: HttpRequestParams) -> tuple[bytes | None, str]:
    if params.json_ is not None:
        return _encoded(params.json_), "application/json"
    return params.body.encode() or None, "text/plain; charset=utf-8"


def _text(value: str | int | float | bool) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _encoded(value: Json) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise NodeError(
            "“JSON” holds a value that JSON cannot carry.", code="http.body_invalid", param="json"
        ) from error


def _refuse_failure(status: int) -> None:
    if status < 400:
        return
    code = f"http.status_{status}"
    if status in TEMPORARY or status >= 500:
        raise TemporaryError(f"The service answered {status}, which may pass.", code=code)
    raise NodeError(f"The service answered {status}. Check the address, the headers and what is sent.", code=code)


def _parsed(response: HttpResponse) -> Json:
    if not response.body:
        return None
    content_type = response.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return _from_json(response.body)
    header = Message()
    header["content-type"] = content_type
    try:
        return response.body.decode(header.get_content_charset("utf-8"), errors="replace")
    except LookupError:  # a charset that Python does not know
        return response.body.decode("utf-8", errors="replace")


def _from_json(body: bytes) -> Json:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = "The service said that it answers in JSON, but the body is not JSON."
        raise NodeError(message, code="http.answer_invalid") from error
