"""The flows that an installation begins with: installed once, published, and a person's own from then on."""

from __future__ import annotations

import pytest

from runtime import starters
from runtime.service import Service
from storage.tables import Setting

IDS = ["send-verification-email", "send-password-reset-email"]


def install(service: Service) -> list[str]:
    return starters.install(service.database, service.types)


def flows(service: Service) -> dict[str, str]:
    return {flow.id: flow.state for flow in service.flows.list()}


async def test_starters_are_installed_and_published(service: Service):
    assert install(service) == IDS

    assert flows(service) == dict.fromkeys(IDS, "published")
    for flow in IDS:
        found = service.flows.get(flow)
        assert (found.published_version, found.has_unpublished_changes, found.problems) == (1, False, ())


async def test_event_starts_its_starter(service: Service):
    install(service)
    user = service.users.create("anna@example.com")

    service.users.request_reset(user.id)
    service.users.request_verification(user.id)

    assert [run.flow for run in service.runs.list().items][::-1] == ["send-password-reset-email", IDS[0]]


async def test_starters_are_not_installed_again(service: Service):
    install(service)
    service.flows.delete(IDS[0])
    service.flows.unpublish(IDS[1])

    assert install(service) == []

    assert flows(service) == {IDS[1]: "draft"}


async def test_starter_that_came_with_a_later_version_is_added(service: Service):
    with service.database.write() as session:
        session.add(Setting(key=starters.KEY, value={"installed": ["send_verification_email"]}))

    assert install(service) == [IDS[1]]

    assert list(flows(service)) == [IDS[1]]
    assert install(service) == []


async def test_flow_of_ones_own_with_the_same_id_is_left_alone(service: Service):
    service.flows.create({"format": "pulsewire.flow/1", "graph": {"id": IDS[0], "name": "Mine"}})

    assert install(service) == [IDS[1]]

    mine = service.flows.get(IDS[0])
    assert (mine.name, mine.state) == ("Mine", "draft")


async def test_nothing_is_kept_when_installing_fails(service: Service):
    types = {name: declared for name, declared in service.types.items() if name != "auth.password_reset"}

    with pytest.raises(KeyError):
        starters.install(service.database, types)

    assert flows(service) == {}
    assert install(service) == IDS
