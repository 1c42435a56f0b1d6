"""Sub-flows that wait for places which their own callers keep: without help, none of them would ever begin.

A flow that is limited calls another one, and that one calls it back: each has its only place taken by a run that waits
for the other. What is found here begins without a place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping


def deadlocked(
    callees: Collection[int],
    waits_for: Mapping[int, Collection[int]],
    holders_before: Callable[[int], Iterable[int] | None],
) -> set[int]:
    """Return those of *callees*, runs that are called and have not begun, that nothing will ever let begin.

    *waits_for* names the runs that a run has called and waits for. *holders_before* gives the runs whose places a
    callee needs, None where it needs none of them.
    """
    stuck = set(callees)
    while True:
        freed = {each for each in stuck if not _is_stuck(holders_before(each), waits_for, stuck)}
        if not freed:
            return stuck
        stuck -= freed


def _is_stuck(holders: Iterable[int] | None, waits_for: Mapping[int, Collection[int]], stuck: set[int]) -> bool:
    return holders is not None and all(_leads_to(holder, waits_for, stuck) for holder in holders)


def _leads_to(run_id: int, waits_for: Mapping[int, Collection[int]], stuck: set[int]) -> bool:
    """Return whether a run cannot end before one of those that are stuck."""
    seen, left = {run_id}, [run_id]
    while left:
        for callee in waits_for.get(left.pop(), ()):
            if callee in stuck:
                return True
            if callee not in seen:
                seen.add(callee)
                left.append(callee)
    return False
