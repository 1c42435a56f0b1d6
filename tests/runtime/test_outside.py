"""Places for steps that wait: bounded, shared between flows, never lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.outside import Outside


class Steps:
    """Steps that hold a place until they are told to end."""

    def __init__(self, places: int) -> None:
        self.outside = Outside(places)
        self.inside: list[tuple[str, asyncio.Event]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self, flow_id: str, count: int = 1) -> None:
        self.tasks += [asyncio.create_task(self._step(flow_id)) for _ in range(count)]
        await settle()

    async def end_first(self, flow_id: str) -> None:
        found = next(each for each in self.inside if each[0] == flow_id)
        found[1].set()
        await settle()

    def counts(self) -> dict[str, int]:
        return dict(Counter(flow_id for flow_id, _ in self.inside))

    async def _step(self, flow_id: str) -> None:
        async with self.outside.slot(flow_id):
            here = (flow_id, asyncio.Event())
            self.inside.append(here)
            try:
                await here[1].wait()
            finally:
                self.inside.remove(here)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def steps():
    made: list[Steps] = []

    def make(places: int) -> Steps:
        made.append(Steps(places))
        return made[-1]

    yield make
    for each in made:
        for task in each.tasks:
            task.cancel()
        await asyncio.gather(*each.tasks, return_exceptions=True)


async def test_one_flow_alone_gets_nearly_all_places(steps) -> None:
    world = steps(64)

    await world.begin("slow", 200)

    assert world.counts() == {"slow": 56}


async def test_a_flow_that_comes_later_finds_a_place_at_once(steps) -> None:
    world = steps(64)
    await world.begin("slow", 200)

    await world.begin("other", 3)

    assert world.counts()["other"] == 3


async def test_flows_that_all_want_more_share_what_comes_free(steps) -> None:
    world = steps(64)
    await world.begin("a", 200)
    await world.begin("b", 200)

    for _ in range(60):
        await world.end_first(max(world.counts(), key=lambda flow_id: world.counts()[flow_id]))

    assert abs(world.counts()["a"] - world.counts()["b"]) <= 2
    assert sum(world.counts().values()) >= 56


async def test_places_go_to_waiting_flows_in_turn(steps) -> None:
    world = steps(1)
    await world.begin("a", 4)
    await world.begin("b", 1)
    await world.begin("c", 1)

    order = []
    while world.inside:
        order.append(world.inside[0][0])
        await world.end_first(order[-1])

    assert order[:4] == ["a", "a", "b", "c"]
    assert order == ["a", "a", "b", "c", "a", "a"]


async def test_a_step_that_is_stopped_while_it_waits_takes_no_place_along(steps) -> None:
    world = steps(1)
    await world.begin("a", 3)

    world.tasks[1].cancel()
    await settle()
    await world.end_first("a")

    assert world.counts() == {"a": 1}
    assert world.outside.taken("a") == 1


async def test_a_place_given_to_a_step_that_is_stopped_at_that_moment_is_passed_on(steps) -> None:
    world = steps(1)
    await world.begin("a", 3)

    world.inside[0][1].set()
    while not world.tasks[0].done():  # noqa: ASYNC110 - one tick of the loop at a time
        await asyncio.sleep(0)
    world.tasks[1].cancel()
    await settle()

    assert world.counts() == {"a": 1}
    assert [task.done() for task in world.tasks] == [True, True, False]


async def test_a_step_that_fails_gives_its_place_back() -> None:
    outside = Outside(1)

    with pytest.raises(ValueError, match="no"):
        async with outside.slot("a"):
            raise ValueError("no")
    async with asyncio.timeout(1), outside.slot("b"):
        pass

    assert outside.taken("a") == outside.taken("b") == 0


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.sampled_from(["begin", "end", "stop"]), st.integers(0, 3), st.integers(0, 30)), max_size=60),
)
def test_places_are_never_exceeded_and_none_is_lost(places: int, moves: list[tuple[str, int, int]]) -> None:
    async def live() -> None:
        world = Steps(places)
        for move, flow, which in moves:
            if move == "begin":
                await world.begin(f"f{flow}")
            elif move == "end" and world.inside:
                world.inside[which % len(world.inside)][1].set()
            elif move == "stop" and world.tasks:
                world.tasks[which % len(world.tasks)].cancel()
            await settle()
            assert len(world.inside) <= places
            is_anyone_waiting = sum(not task.done() for task in world.tasks) > len(world.inside)
            assert not is_anyone_waiting or world.inside, "somebody waits although every place is free"
        while world.inside:
            world.inside[0][1].set()
            await settle()
        assert all(task.done() for task in world.tasks)

    asyncio.run(live())
