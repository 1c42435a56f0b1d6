"""When a failed step is tried again."""

from __future__ import annotations

import random

from nodes.spec import NodeError, TemporaryError
from runtime import limits
from runtime.graph import PlanNode

JITTER = 0.1  # of a delay, so that runs that failed together do not come back together
STORAGE_CODES = ("storage.full", "storage.busy")
STORAGE_DELAY_S = 2.0


def delay_s(node: PlanNode, attempt: int, error: NodeError) -> float | None:
    """Return after how long a failed step is tried again, or None when it is not."""
    if not isinstance(error, TemporaryError):
        return None
    if error.code in STORAGE_CODES:  # not the step's fault: the run waits until there is room
        delay = STORAGE_DELAY_S
    elif node.retry is not None and attempt < node.retry.attempts:
        delay = min(node.retry.delay_s * node.retry.backoff ** (attempt - 1), limits.RETRY_DELAY_S)
    else:
        return None
    return float(delay) * (1 + random.uniform(0, JITTER))  # noqa: S311 - no secret
