from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import supervisor
from runtime.supervisor import Child

ROOT = Path(__file__).resolve().parents[2]
SUPERVISE = "import sys; sys.executable = {!r}; from runtime import supervisor; sys.exit(supervisor.main())"


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("runtime.supervisor", {"sqlalchemy", "pydantic", "asyncio"}),
        ("runtime.worker", {"nicegui", "fastapi", "starlette", "typer", "alembic"}),
        ("runtime.link", {"aiohttp", "jinja2", "networkx"}),
    ],
)
def test_a_process_imports_only_what_it_needs(module: str, heavy: set[str]) -> None:
    program = f"import sys, {module}; print(*sorted({heavy!r} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    reading, writing = os.pipe()
    child = Child("engine", [], reading)
    yield child
    os.close(reading)
    os.close(writing)


def test_a_child_that_keeps_dying_is_started_again_ever_later(child: Child) -> None:
    delays = []
    for _ in range(8):
        while child.has_died() is None:
            time.sleep(0.005)
        delays.append(round(child.start_at - time.monotonic(), 1))
        child.start()
    child.process.wait()

    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_a_refusal_of_a_child_ends_everything_with_its_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    interpreter = tmp_path / "refuses"
    interpreter.write_text(f"#!/bin/sh\nexit {supervisor.REFUSED}\n")
    interpreter.chmod(0o700)
    program = SUPERVISE.format(str(interpreter))

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=30, check=False)

    assert done.returncode == supervisor.REFUSED


def test_a_second_signal_does_not_wait_for_children(tmp_path: Path) -> None:
    interpreter = tmp_path / "stubborn"
    interpreter.write_text("#!/bin/sh\ntrap '' TERM\necho up\nwhile true; do sleep 0.1; done\n")
    interpreter.chmod(0o700)
    program = SUPERVISE.format(str(interpreter))

    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert [process.stdout.readline(), process.stdout.readline()] == [b"up\n", b"up\n"]
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        was_waiting = process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.wait(10)

    assert was_waiting


def test_a_child_that_is_stopped_is_killed_and_started_again(tmp_path: Path) -> None:
    interpreter, started = tmp_path / "beats", tmp_path / "started"
    beat = "import time; from runtime import supervisor; supervisor._hold_lifeline(); time.sleep(60)"
    interpreter.write_text(f"#!/bin/sh\necho $$ $4 >> {started}\nexec {sys.executable} -c '{beat}'\n")
    interpreter.chmod(0o700)
    program = SUPERVISE.format(str(interpreter)).replace("; sys.exit", "; supervisor.SILENCE_S = 2.0; sys.exit")

    def engines() -> list[int]:
        lines = started.read_text().split("\n") if started.exists() else []
        return [int(line.split()[0]) for line in lines if line.endswith("engine")]

    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: len(engines()) == 1)
        time.sleep(0.5)  # it has told that it is alive
        os.kill(engines()[0], signal.SIGSTOP)
        until(lambda: len(engines()) == 2)
        is_gone = not Path(f"/proc/{engines()[0]}").exists()
        process.terminate()
        said = process.communicate(timeout=20)[1]
    finally:
        process.kill()

    assert is_gone
    assert said.splitlines() == [
        "pulsewire: the engine process is stopped or frozen and is killed",
        "pulsewire: the engine process ended (-9) and is started again",
    ]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
def test_a_log_that_cannot_be_written_does_not_end_everything(tmp_path: Path) -> None:
    interpreter, calls = tmp_path / "dies", tmp_path / "calls"
    interpreter.write_text(f"#!/bin/sh\necho >> {calls}\nexit 1\n")
    interpreter.chmod(0o700)
    program = SUPERVISE.format(str(interpreter))

    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=full)
    until = time.monotonic() + 20
    while not calls.exists() or len(calls.read_bytes()) < 6:  # both children, three times
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    process.terminate()

    assert process.wait(10) == 0
