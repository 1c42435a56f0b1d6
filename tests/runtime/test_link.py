from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime import frames as frames_module
from runtime import link as link_module
from runtime import link_server
from runtime.engine import NewEvent, TestRequest
from runtime.errors import Invalid, Unavailable
from runtime.frames import socket_path
from runtime.link import EngineLink
from runtime.link_server import LinkServer

ECHO = [{"id": "one", "type": "echo", "params": {"text": "x"}}]


@pytest.fixture
async def server(rig) -> AsyncIterator[LinkServer]:
    server = LinkServer(rig.engine, rig.settings.data_dir)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def link(rig, server: LinkServer) -> AsyncIterator[EngineLink]:
    link = EngineLink(rig.settings.data_dir)
    yield link
    await link.close()


async def test_calls_give_what_the_engine_gives(rig, link: EngineLink) -> None:
    rig.flow(ECHO, ["start>one"])

    (accepted,) = await link.accept([NewEvent("go", {"n": 1}, path=("x",))])
    test = await link.start_test(TestRequest("f", rig.document(ECHO, ["start>one"]), "start", {}))

    assert await link.wait(accepted.runs[0], 5)
    assert await link.wait(test, 5)
    assert rig.read(test).status == "succeeded"
    assert not await link.cancel(test)
    assert await link.status() == await rig.engine.status()
    await link.wake()


async def test_calls_of_one_moment_travel_together_and_fail_apart(rig, link: EngineLink) -> None:
    rig.flow(ECHO, ["start>one"])
    answers = await asyncio.gather(
        link.accept([NewEvent("go", {"n": 1}, "a")]),
        link.accept([NewEvent("go", {"n": 2}, "a")]),
        link.accept([NewEvent("go", {"n": 3}, "b")]),
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers] == [list, Invalid, list]
    assert answers[1].problems[0].code == "event.id_reused"  # type: ignore[union-attr]


async def test_without_an_engine_calls_are_unavailable_and_work_again_when_it_is_back(rig, server, link) -> None:
    await link.status()
    await server.stop()

    with pytest.raises(Unavailable):
        await link.accept([NewEvent("go", {})])
    await server.start()

    assert (await link.status()).ready
    assert len(await link.accept([NewEvent("go", {})])) == 1


async def test_a_payload_that_is_no_json_is_refused_before_it_travels(link: EngineLink) -> None:
    with pytest.raises(Invalid):
        await link.accept([NewEvent("go", {"n": object()})])


async def test_the_socket_is_this_users_alone(rig, server: LinkServer) -> None:
    assert stat.S_IMODE(socket_path(rig.settings.data_dir).stat().st_mode) == 0o600


def test_a_long_data_directory_has_a_short_socket_in_a_private_place(tmp_path: Path) -> None:
    path = socket_path(tmp_path / ("x" * 150))

    assert len(str(path)) < 100
    assert path == socket_path(tmp_path / ("x" * 150))


async def test_calls_of_one_moment_that_are_too_large_together_travel_apart(
    rig, link: EngineLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames_module, "FRAME_BYTES", 100_000)
    monkeypatch.setattr(link_module, "BATCH_BYTES", 50_000)

    events = [NewEvent("go", {"text": "x" * 20_000}) for _ in range(20)]
    answers = await asyncio.gather(*(link.accept([event]) for event in events), return_exceptions=True)

    assert [type(answer) for answer in answers] == [list] * 20


class ClosedAtOnce(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def test_a_connection_that_was_lost_as_it_opened_is_not_kept(rig, server: LinkServer, link: EngineLink) -> None:
    await server.stop()
    path = socket_path(rig.settings.data_dir)
    other = await asyncio.get_running_loop().create_unix_server(ClosedAtOnce, str(path))
    async with asyncio.timeout(5):
        for _ in range(20):
            with pytest.raises(Unavailable):
                await link.status()
    other.close()
    await other.wait_closed()
    await server.start()

    async with asyncio.timeout(5):
        assert (await link.status()).ready


async def test_a_socket_that_someone_removed_is_there_again(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_server, "WATCH_S", 0.02)
    server = LinkServer(rig.engine, rig.settings.data_dir)
    await server.start()
    path = socket_path(rig.settings.data_dir)
    link, late = EngineLink(rig.settings.data_dir), EngineLink(rig.settings.data_dir)
    await link.status()

    path.unlink()
    async with asyncio.timeout(5):
        while not path.exists():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    both = await link.status(), await late.status()
    for each in (link, late):
        await each.close()
    await server.stop()

    assert all(status.ready for status in both)
    assert not path.exists()


async def test_a_server_that_was_replaced_leaves_the_socket_of_the_one_after_it(rig, link: EngineLink) -> None:
    before, after = (LinkServer(rig.engine, rig.settings.data_dir) for _ in range(2))
    await before.start()
    await after.start()

    await before.stop()

    assert (await link.status()).ready
    await after.stop()


class Silent(asyncio.Protocol):
    """An engine that is stopped: it can be reached and never says a word."""


async def test_an_engine_that_says_nothing_is_looked_for_anew(
    rig, link: EngineLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "CALL_S", 0.2)
    path = socket_path(rig.settings.data_dir)
    stopped = await asyncio.get_running_loop().create_unix_server(Silent, str(path))
    waiting = asyncio.create_task(link.wait(1, 60))
    with pytest.raises(Unavailable):
        await link.status()
    path.unlink()
    server = LinkServer(rig.engine, rig.settings.data_dir)
    await server.start()

    assert (await link.status()).ready
    with pytest.raises(Unavailable):
        await asyncio.wait_for(waiting, 5)
    stopped.close()
    await server.stop()


async def test_a_call_that_takes_long_does_not_cut_the_others_off(
    rig, server: LinkServer, link: EngineLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.flow([{"id": "one", "type": "call", "params": {"text": "x"}}], ["start>one"])
    rig.calls.hold("x")
    run_id = await rig.emit()
    waiting = asyncio.create_task(link.wait(run_id, 5))
    await asyncio.sleep(0)
    monkeypatch.setattr(link_module, "CALL_S", -4.8)  # beside the 5 s that the engine is given
    late = asyncio.create_task(link.wait(run_id, 5))
    await asyncio.sleep(0.1)
    monkeypatch.undo()
    await link.status()

    with pytest.raises(Unavailable):
        await late
    rig.calls.release("x")

    assert await waiting
