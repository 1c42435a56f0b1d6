"""Who gets in: keys, hosts, origins; and what every answer has in common."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from runtime.app import App, build_app
from runtime.http.access import REMEMBERED_S, Access
from runtime.http.gate import is_open
from runtime.http.guard import Guard
from runtime.service import Service
from runtime.settings import Settings

PUBLIC = {"/healthz", "/readyz", "/api/docs", "/api/openapi.json", "/api/schema/flow.json"}


def code(response: httpx.Response) -> str:
    return response.json()["problems"][0]["code"]


async def test_only_the_listed_routes_answer_strangers(app: App, anonymous: httpx.AsyncClient):
    walked = set()
    for route in app.http.routes:
        assert isinstance(route, APIRoute | Route)
        if is_open(route.path) and not route.path.startswith(("/api", "/metrics")) and route.path not in PUBLIC:
            continue  # where people sign in: operators, and end users at /auth and its pages
        for method in route.methods or ():
            path = re.sub(r"{[^}]+}", "1", route.path)
            response = await anonymous.request(method, path)
            expected = (200,) if route.path in PUBLIC else (401,)
            assert response.status_code in expected, (method, path)
            walked.add(route.path)

    assert walked > PUBLIC | {"/metrics", "/api/events", "/api/flows", "/api/{rest:path}"}


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer pw_nope", "Basic pw_x", "Bearer " + "x" * 100_000, "Bearer \xff"]
)
async def test_wrong_key_is_refused(anonymous: httpx.AsyncClient, header: str):
    response = await anonymous.get("/api/flows", headers={"Authorization": header.encode("latin-1")})

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_deleted_key_stops_working_within_a_second(service: Service):
    now = 0.0
    access = Access(service.keys, now=lambda: now)
    info, text = service.keys.create("short-lived")
    await access.require(f"Bearer {text}")
    service.keys.delete(info.id)

    now += REMEMBERED_S

    with pytest.raises(Exception, match="does not exist"):
        await access.require(f"Bearer {text}")
    assert REMEMBERED_S < 1, "looking up takes its time as well"


async def test_stranger_sends_no_body(anonymous: httpx.AsyncClient):
    response = await anonymous.post("/api/flows", content=b"{" * 10_000_000)

    assert response.status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        ("LOCALHOST:80", 200),
        ("evil.example:8080", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("evil.example#@localhost", 403),
        ("", 403),
    ],
)
async def test_foreign_host_is_refused(anonymous: httpx.AsyncClient, host: str, status: int):
    response = await anonymous.get("/healthz", headers={"Host": host})

    assert response.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "http://127.0.0.1:8080"}, 201),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 201),
        ({"Origin": "null", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
    ],
    ids=str,
)
async def test_foreign_origin_changes_nothing(
    client: httpx.AsyncClient, service: Service, headers: dict[str, str], status: int
):
    response = await client.post("/api/tables", json={"name": "orders"}, headers=headers)

    assert response.status_code == status
    assert len(service.tables.list()) == (status == 201)


class Behind:
    """An application behind the guard that notes what reached it."""

    def __init__(self) -> None:
        self.reached: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached.append(scope)


async def passed(settings: Settings, scope: dict[str, Any], headers: dict[str, str]) -> list[dict[str, Any]]:
    behind, sent = Behind(), []

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await Guard(behind, settings)({"path": "/", **scope, "headers": pairs}, None, send)  # type: ignore[arg-type]
    return behind.reached


SOCKET = {"type": "websocket", "path": "/_nicegui_ws/socket.io/"}
POLLING = {"type": "http", "method": "GET", "path": "/_nicegui_ws/socket.io/"}
OTHER_SOCKET = {"type": "websocket", "path": "/live"}


@pytest.mark.parametrize("scope", [SOCKET, POLLING, OTHER_SOCKET], ids=["socket", "polling", "another socket"])
@pytest.mark.parametrize(("origin", "is_let_in"), [("http://localhost:8080", True), ("http://evil.example", False)])
async def test_pages_of_other_sites_do_not_reach_the_editor(scope: dict[str, Any], origin: str, is_let_in: bool):
    reached = await passed(Settings(), scope, {"host": "localhost:8080", "origin": origin})

    assert bool(reached) == is_let_in


async def test_own_address_behind_a_proxy_is_let_in():
    settings = Settings(base_url="https://flows.example.com")

    assert await passed(settings, SOCKET, {"host": "127.0.0.1:8080", "origin": "https://flows.example.com"})
    assert await passed(settings, SOCKET, {"host": "flows.example.com", "origin": "https://flows.example.com"})
    assert not await passed(settings, SOCKET, {"host": "flows.example.com", "origin": "https://example.com"})


async def test_bound_to_every_address_any_host_is_let_in():
    settings = Settings(host="0.0.0.0")

    assert await passed(settings, SOCKET, {"host": "box.lan:8080", "origin": "http://box.lan:8080"})
    assert not await passed(settings, SOCKET, {"host": "box.lan:8080", "origin": "http://evil.example"})


async def test_prefix_of_a_proxy_is_not_believed():
    scope = {"type": "http", "method": "GET"}

    (seen,) = await passed(Settings(), scope, {"host": "localhost", "x-forwarded-prefix": "//evil.example"})

    assert seen["headers"] == [(b"host", b"localhost")]


async def test_browsers_are_told_to_be_careful(client: httpx.AsyncClient):
    for path in ("/healthz", "/api/flows", "/api/nowhere", "/api/docs"):
        headers = (await client.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/api/nowhere", 404, "route.not_found"),
        ("GET", "/api", 404, "route.not_found"),
        ("GET", "/api/flows/nowhere", 404, "flow.not_found"),
        ("GET", "/api/flows/../../etc/passwd", 401, "session.missing"),
        ("GET", "/api/runs/1", 404, "run.not_found"),
        ("GET", "/api/runs/99999999999999999999", 404, "run.not_found"),
        ("GET", "/api/runs/abc", 422, "path.invalid"),
        ("GET", "/api/runs?status=odd", 422, "filter.invalid"),
        ("GET", "/api/runs?limit=0", 422, "query.invalid"),
        ("GET", "/api/runs?after=99999999999999999999", 422, "query.invalid"),
        ("GET", "/api/mailbox?after=99999999999999999999", 422, "query.invalid"),
        ("GET", "/api/tables/nowhere/rows", 404, "table.not_found"),
        ("PATCH", "/api/flows", 405, "method.not_allowed"),
        ("GET", "/api/events", 405, "method.not_allowed"),
        ("DELETE", "/api/keys/7", 404, "key.not_found"),
        ("GET", "/api/mailbox/7", 404, "message.not_found"),
    ],
)
async def test_every_refusal_has_its_problem(
    client: httpx.AsyncClient, method: str, path: str, status: int, expected: str
):
    response = await client.request(method, path)

    assert (response.status_code, code(response)) == (status, expected)


@pytest.mark.parametrize(
    ("content", "kind", "status", "expected"),
    [
        (b'{"name": ', "application/json", 400, "json.invalid"),
        (b"\xff\xfe", "application/json", 400, "json.invalid"),
        (b"", "application/json", 422, "body.missing"),
        (b'{"name": "a", "name": "b"}', "application/json", 422, "json.key_duplicate"),
        (b'{"name": NaN}', "application/json", 422, "json.number_range"),
        (b'{"name": "a"}', "text/plain", 400, "body.not_json"),
        (b'{"name": 7}', "application/json", 422, "body.invalid"),
        (b" " * 6_000_000, "application/json", 413, "body.too_large"),
    ],
    ids=["cut", "bytes", "empty", "twice", "nan", "text", "type", "large"],
)
async def test_bad_bodies_are_told(client: httpx.AsyncClient, content: bytes, kind: str, status: int, expected: str):
    response = await client.post("/api/tables", content=content, headers={"Content-Type": kind})

    assert (response.status_code, code(response)) == (status, expected)


@pytest.mark.parametrize("path", ["/api/tables", "/api/events"])
async def test_body_of_untold_size_is_read_no_further_than_its_limit(client: httpx.AsyncClient, path: str):
    handed_over = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal handed_over
        for _ in range(100):
            handed_over += 1
            yield b" " * 1_000_000

    response = await client.post(path, content=pieces(), headers={"Content-Type": "application/json"})

    assert (response.status_code, code(response)) == (413, "body.too_large")
    assert handed_over < 10


async def test_bad_json_is_told_with_its_place(client: httpx.AsyncClient):
    response = await client.post("/api/tables", content=b'{\n"name": }', headers={"Content-Type": "application/json"})

    assert "line 2, column 9" in response.json()["problems"][0]["message"]


async def test_broken_database_is_told_without_its_words(app: App, client: httpx.AsyncClient):
    with app.service.database.write() as session:
        session.connection().exec_driver_sql("DROP TABLE flow")

    ready = await client.get("/readyz")
    flows = await client.get("/api/flows")

    assert (ready.status_code, code(ready)) == (503, "database.down")
    assert (flows.status_code, code(flows)) == (500, "internal")
    assert "sql" not in flows.text.lower()


async def test_web_process_is_not_ready_without_its_engine(settings: Settings):
    app = build_app(settings)
    await app.start()
    transport = httpx.ASGITransport(app.http)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        key = app.service.keys.create("tests")[1]
        ready, alive = [await client.get(path) for path in ("/readyz", "/healthz")]
        heads = [await client.head(path) for path in ("/readyz", "/healthz")]
        metrics = await client.get("/metrics", headers={"Authorization": f"Bearer {key}"})
        event = await client.post("/api/events", json={"name": "a"}, headers={"Authorization": f"Bearer {key}"})
    await app.stop()

    assert (ready.status_code, code(ready), ready.headers["Retry-After"]) == (503, "engine.down", "1")
    assert [each.status_code for each in heads] == [503, 200]
    assert alive.status_code == 200
    assert "pulsewire_engine_up 0" in metrics.text
    assert (event.status_code, code(event)) == (503, "engine.down")


async def test_reference_describes_every_operation_with_an_example(client: httpx.AsyncClient):
    description = (await client.get("/api/openapi.json")).json()
    page = (await client.get("/api/docs")).text

    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            is_public = path in PUBLIC or path.startswith(("/auth/", "/hooks/"))
            assert ("security" in operation) != is_public, where
            assert operation["summary"], where
            assert f"<code>{path}</code>" in page
            for body in operation.get("requestBody", {}).get("content", {}).values():
                assert "example" in body or "examples" in body["schema"], where
            answered = [said for status, said in operation["responses"].items() if status in ("200", "201", "202")]
            assert all("example" in content for said in answered for content in said["content"].values()), where
            refused = {"503"} | ({"400", "413", "422"} if "requestBody" in operation else set())
            assert is_public or operation["responses"].keys() >= refused | {"401"}, where
    assert "503" in description["paths"]["/readyz"]["get"]["responses"]
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)
    assert "<script" not in page


async def test_schema_of_the_flow_format_is_published(anonymous: httpx.AsyncClient):
    schema = (await anonymous.get("/api/schema/flow.json")).json()

    assert schema["properties"]["format"]["const"] == "pulsewire.flow/1"
