"""A kill while a step has a live token in its hands: the mail still has the link, and no file has a trace."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.canary import leaks, stored

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


def flow(sink_url: str) -> dict[str, object]:
    post = {"method": "POST", "url": sink_url, "headers": {"X-Token": "{{ $param.token }}"}, "json": {"n": 1}}
    mail = {"to": "{{ $param.email }}", "subject": "Verify", "text": "{{ $action.text.text }}"}
    nodes = [
        ("asked", "auth.email_verificationRequested", {}),
        ("text", "set_fields", {"fields": {"text": "Click {{ $param.link }}", "back": "{{ $param.token | reverse }}"}}),
        ("post", "http_request", post),
        ("mail", "send_email", mail),
    ]
    names = [name for name, _type, _params in nodes]
    return {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": "verify", "name": "Verify", "description": ""},
        "nodes": [{"id": name, "type": kind, "name": name, "params": params} for name, kind, params in nodes],
        "edges": [{"source": one, "target": other, "key": "out"} for one, other in pairwise(names)],
        "samples": [],
        "layout": {},
    }


@pytest.mark.parametrize("sink", [2], indirect=True)
def test_kill_in_mid_step_loses_no_link_and_leaves_none_behind(pulsewire, sink, wait_until) -> None:
    pulsewire.call("POST", "/api/flows", flow(sink.url))
    pulsewire.call("POST", "/api/flows/verify/publish")
    ada = pulsewire.call("POST", "/api/users", {"email": "ada@example.com"})
    pulsewire.call("POST", f"/api/users/{ada['id']}/send-verification")
    wait_until(lambda: len(sink.seen()) == 1)

    pulsewire.server.kill()
    under_way = [*stored(pulsewire.directory)]
    pulsewire.server.start()
    wait_until(lambda: {status for (status,) in pulsewire.select("SELECT status FROM run")} == {"succeeded"})
    ended = [*stored(pulsewire.directory)]

    mails = pulsewire.call("GET", "/api/mailbox")["items"]
    (mail,) = [mail for mail in mails if mail["subject"] == "Verify"]
    text = pulsewire.call("GET", f"/api/mailbox/{mail['id']}")["text"]
    token = text.partition("token=")[2].strip()
    assert len(sink.seen()) == 2
    assert len(token) == 43
    assert leaks(token, *under_way) == []
    assert leaks(token, *ended) == []
    assert leaks(token, str([pulsewire.call("GET", f"/api/runs/{run['id']}") for run in runs(pulsewire)])) == []


def runs(pulsewire) -> list[dict[str, object]]:
    return list(pulsewire.call("GET", "/api/runs")["items"])
