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


@pytest.mark.parametrize("sink", [1.5], indirect=True)
def test_after_kill_9_of_everything_each_accepted_event_finishes_and_no_row_is_doubled(
    pulsewire, sink, wait_until
) -> None:
    accepted = pulsewire.emit_many(range(250))
    wait_until(lambda: len(sink.seen()) >= 20)

    pulsewire.server.kill()
    under_way = Counter(pulsewire.runs().values())["running"]
    pulsewire.server.start()
    wait_until(lambda: set(pulsewire.runs().values()) == {"succeeded"})

    assert len(accepted) == 250
    assert under_way >= 100
    assert set(accepted.values()) == set(pulsewire.runs())
    assert pulsewire.orders() == list(range(250))
    keys = {key for _number, key in sink.seen()}
    assert {number for number, _key in sink.seen()} == set(range(250))
    assert len(keys) == 250, "a repeated request came with another Idempotency-Key"


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
    names = sorted(pulsewire.server.name_of(pid) for pid in pids)

    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), 15)

    assert names == ["engine", "supervisor", "web"]
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


def test_an_engine_that_was_paused_goes_on_and_does_nothing_twice(pulsewire, sink, wait_until) -> None:
    engine = pid_of(pulsewire, "engine")
    assert engine is not None
    readiness: list[list[str]] = []

    def pause() -> None:
        wait_until(lambda: len(sink.seen()) >= 10)
        os.kill(engine, signal.SIGSTOP)
        readiness.append(pulsewire.problems("GET", "/readyz"))  # takes its 2 s
        os.kill(engine, signal.SIGCONT)

    accepted = pulsewire.emit_many(range(150), pause)
    wait_until(lambda: set(pulsewire.runs().values()) == {"succeeded"})

    assert readiness == [["engine.down"]]
    assert pid_of(pulsewire, "engine") == engine
    assert len(accepted) == 150
    assert set(accepted.values()) == set(pulsewire.runs())
    assert pulsewire.orders() == list(range(150))
    assert sorted(number for number, _key in sink.seen()) == list(range(150))


@pytest.mark.skipif("PULSEWIRE_FAULT_PAUSES" not in os.environ, reason="it takes longer than a lease: make faults")
def test_an_engine_that_stays_stopped_is_killed_and_started_again(pulsewire, sink, wait_until) -> None:
    engine = pid_of(pulsewire, "engine")
    assert engine is not None
    accepted = pulsewire.emit_many(range(40))

    os.kill(engine, signal.SIGSTOP)
    wait_until(lambda: pid_of(pulsewire, "engine") not in (None, engine))
    wait_until(lambda: pulsewire.problems("GET", "/readyz") == [])
    later = pulsewire.emit_many(range(40, 60))
    wait_until(lambda: set(pulsewire.runs().values()) == {"succeeded"})

    assert set((accepted | later).values()) == set(pulsewire.runs())
    assert pulsewire.orders() == list(range(60))


def test_a_full_disk_is_told_and_work_goes_on_when_there_is_room(small_disk, pulsewire, sink, wait_until) -> None:
    accepted = pulsewire.emit_many(range(40))
    small_disk.fill()

    event = {"name": "other", "payload": {"text": "x" * 500_000}}
    wait_until(lambda: pulsewire.problems("POST", "/api/events", event) == ["storage.full"])
    readiness = pulsewire.problems("GET", "/readyz")
    alarm, doctor = pulsewire.metric("pulsewire_storage_full"), pulsewire.doctor("engine")
    engine = pid_of(pulsewire, "engine")
    small_disk.clear()
    wait_until(lambda: pulsewire.problems("GET", "/readyz") == [])  # without any further write of ours
    later = pulsewire.emit_many(range(40, 60))
    wait_until(lambda: set(pulsewire.runs().values()) == {"succeeded"})

    assert readiness == ["storage.full"]
    assert (alarm, pulsewire.metric("pulsewire_storage_full")) == ("1", "0")
    assert doctor["level"] == "fault"
    assert "waits for room on the disk" in doctor["words"]
    assert pid_of(pulsewire, "engine") == engine
    assert set((accepted | later).values()) == set(pulsewire.runs())
    assert pulsewire.orders() == list(range(60))
    assert sorted(number for number, _key in sink.seen()) == list(range(60))
