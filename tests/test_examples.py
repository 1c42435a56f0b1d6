"""Every flow in ``examples/`` can be imported, published and tested with each of its samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.service import Service
from runtime.starters import STARTERS

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.json"))}
BRANCHES = [("hosted pages on", "send_link", "link"), ("hosted pages off", "send_code", "token")]


def test_there_are_examples():
    assert EXAMPLES.keys() >= {*STARTERS, "warn-on-emptied-table"}


@pytest.mark.parametrize("name", EXAMPLES)
async def test_example_can_be_imported_and_published(service: Service, name: str):
    flow = service.flows.import_(EXAMPLES[name])

    published = service.flows.publish(flow.id)

    assert (published.state, published.problems) == ("published", ())
    assert json.loads(service.flows.export(flow.id)) == json.loads(EXAMPLES[name]), "nothing is lost or added"


@pytest.mark.parametrize("name", EXAMPLES)
async def test_example_runs_with_each_of_its_samples(service: Service, name: str):
    flow = service.flows.import_(EXAMPLES[name])
    samples = [sample["name"] for sample in flow.draft["samples"]]

    runs = [await service.runs.test(flow.id, sample=sample, effects="simulate") for sample in samples]

    assert samples, "an example has a sample to test it with"
    assert [(run.status, run.error) for run in runs] == [("succeeded", None)] * len(samples)


@pytest.mark.parametrize("name", STARTERS)
@pytest.mark.parametrize(("sample", "node", "secret"), BRANCHES, ids=["with a link", "without one"])
async def test_starter_mails_what_the_payload_brings(service: Service, name: str, sample: str, node: str, secret: str):
    flow = service.flows.import_(EXAMPLES[name])
    payload = next(one["payload"] for one in flow.draft["samples"] if one["name"] == sample)

    mail = await mail_of(service, flow.id, node, payload)

    assert mail["to"] == [payload["email"]]
    for body in (mail["text"], mail["html"]):
        assert payload[secret] in body
        assert payload["email"] in body
        assert "{{" not in body
    assert "None" not in mail["text"] + mail["html"]


@pytest.mark.parametrize("name", STARTERS)
async def test_starter_shows_an_odd_address_as_text(service: Service, name: str):
    flow = service.flows.import_(EXAMPLES[name])
    payload = flow.draft["samples"][0]["payload"] | {"email": "a&lt'x@example.com"}

    mail = await mail_of(service, flow.id, "send_link", payload)

    assert "a&amp;lt&#39;x@example.com" in mail["html"]
    assert "a&lt'x@example.com" in mail["text"]


async def mail_of(service: Service, flow: str, node: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return the mail that a simulated run would have sent, and no other node."""
    run = await service.runs.test(flow, payload=payload, effects="simulate")
    steps = {step.node: step for step in run.steps if step.status != "skipped"}
    assert run.status == "succeeded"
    assert {"send_link", "send_code"} & steps.keys() == {node}
    effect = steps[node].effect
    assert effect is not None
    return dict(effect)
