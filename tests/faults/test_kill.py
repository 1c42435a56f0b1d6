from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


def pid_of(pulsewire, name: str) -> int | None:
    server = pulsewire.server
    return next((pid for pid in server.pids() if server.name_of(pid) == name), None)


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_after_kill_9_of_everything_each_accepted_event_finishes_and_no_row_is_doubled(
    pulsewire, sink, wait_until
) -> None:
    accepted = pulsewire.emit_many(range(150))
    wait_until(lambda: len(sink.seen()) >= 20)
    in_flight = Counter(pulsewire.runs().values())

    pulsewire.server.kill()
    pulsewire.server.start()
    wait_until(lambda: set(pulsewire.runs().values()) == {"succeeded"})

    assert len(accepted) == 150
    assert in_flight["running"] + in_flight["queued"] >= 50
    assert set(accepted.values()) == set(pulsewire.runs())
    assert pulsewire.orders() == list(range(150))
    keys = {key for _number, key in sink.seen()}
    assert {number for number, _key in sink.seen()} == set(range(150))
    assert len(keys) == 150, "a repeated request came with another Idempotency-Key"


def test_an_acknowledged_event_survives_a_kill_while_events_are_accepted(pulsewire, wait_until) -> None:
    def kill_when_some_are_accepted() -> None:
        wait_until(lambda: len(pulsewire.events()) >= 60)
        pulsewire.server.kill()

    accepted = pulsewire.emit_many(range(600), kill_when_some_are_accepted)
    pulsewire.server.start()
    wait_until(lambda: set(pulsewire.runs().values()) == {"succeeded"}, 90)

    assert 40 <= len(accepted) < 600
    assert set(accepted.values()) <= pulsewire.events()
    assert set(accepted.values()) <= set(pulsewire.runs())
    rows = pulsewire.orders()
    assert len(rows) == len(set(rows)) == len(pulsewire.runs())


def test_a_killed_engine_is_started_again_and_work_goes_on(pulsewire, sink, wait_until) -> None:
    before = pid_of(pulsewire, "engine")
    assert before is not None

    accepted = pulsewire.emit_many(range(100))
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pid_of(pulsewire, "engine") not in (None, before))
    wait_until(lambda: pulsewire.emit(1000) is not None)
    wait_until(lambda: set(pulsewire.runs().values()) == {"succeeded"})

    assert set(accepted.values()) <= set(pulsewire.runs())
    assert pulsewire.orders()[:100] == list(range(100))


def test_children_end_when_the_supervisor_is_killed_and_a_second_engine_is_refused(pulsewire, wait_until) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "runtime.worker"],
        cwd=Path(__file__).resolve().parents[2],
        env=pulsewire.server.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    pids = pulsewire.server.pids()

    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 15)

    assert second.returncode == 3
    assert "another Pulsewire engine works on" in second.stderr


def test_a_signal_to_stop_lets_steps_under_way_end(pulsewire, sink, wait_until) -> None:
    accepted = pulsewire.emit_many(range(30))
    wait_until(lambda: len(sink.seen()) >= 1)

    begun = time.monotonic()
    pulsewire.server.stop()

    assert time.monotonic() - begun < 30
    statuses = pulsewire.runs()
    assert set(accepted.values()) == set(statuses)
    assert "running" not in {
        row[0] for row in pulsewire.select("SELECT status FROM step WHERE node = 'post' AND status = 'running'")
    }
