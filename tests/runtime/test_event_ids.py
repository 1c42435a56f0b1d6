"""Ids of events: in the order of time, and never twice, also in a process that was forked."""

from __future__ import annotations

import multiprocessing
import time
from uuid import RFC_4122, UUID

from runtime.event_ids import FETCHED, new_id


def test_they_are_uuids_of_version_7_that_begin_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    found = UUID(new_id())
    after = time.time_ns() // 1_000_000

    assert (found.version, found.variant) == (7, RFC_4122)
    assert before <= found.int >> 80 <= after


def test_none_comes_twice() -> None:
    ids = [new_id() for _ in range(3 * FETCHED)]

    assert len({UUID(each).int & ((1 << 62) - 1) for each in ids}) == len(ids)


def test_a_forked_process_has_a_chance_of_its_own() -> None:
    new_id()  # so that some chance is left over
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=lambda: queue.put([new_id() for _ in range(FETCHED)]))
    child.start()
    theirs = queue.get(timeout=10)
    child.join(10)

    ours = [new_id() for _ in range(FETCHED)]

    assert not {each[24:] for each in ours} & {each[24:] for each in theirs}
