"""A Pulsewire of its own for measuring: started in a directory, watched through /proc, stopped again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_S = 60


def free_port() -> int:
    """Return a port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """``pulsewire serve`` on *directory*; ``start_s`` is the time until it said that it is ready."""

    def __init__(self, directory: Path, *, allow_hosts: str = "", port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.directory = directory
        self.environment = {
            **os.environ,
            "PULSEWIRE_DATA_DIR": str(directory),
            "PULSEWIRE_PORT": str(self.port),
            "PULSEWIRE_ALLOW_HOSTS": allow_hosts,
        }
        self.start_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until ``/readyz`` says yes."""
        begun = time.monotonic()
        with (self.directory / "server.log").open("ab") as log:
            command = [sys.executable, "-m", "runtime.cli", "serve"]
            self._process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        while not self._is_ready():
            if time.monotonic() - begun > START_S or self._process.poll() is not None:
                raise RuntimeError((self.directory / "server.log").read_text()[-2000:])
            time.sleep(0.02)
        self.start_s = time.monotonic() - begun

    def stop(self) -> None:
        """Stop in peace."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)

    def kill(self) -> None:
        """Kill every process of it at once."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)

    def command(self, *arguments: str) -> str:
        """Return what the command ``pulsewire`` prints."""
        command = [sys.executable, "-m", "runtime.cli", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def pids(self) -> list[int]:
        """Return the processes of the tree, the supervisor first."""
        assert self._process is not None
        found, at = [self._process.pid], 0
        while at < len(found):
            for children in Path(f"/proc/{found[at]}/task").glob("*/children"):  # of each thread
                with contextlib.suppress(OSError):  # it has just ended
                    found += [int(pid) for pid in children.read_text().split()]
            at += 1
        return found

    def name_of(self, pid: int) -> str:
        """Return ``supervisor``, ``engine``, ``web`` or ``evaluator``."""
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if "runtime.evaluator_process" in words:
            return "evaluator"
        return words[words.index("--child") + 1] if "--child" in words else "supervisor"

    def cpu_s(self) -> float:
        """Return the CPU seconds that the tree has used."""
        total = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS_PER_S

    def memory_mb(self) -> dict[str, float]:
        """Return each process's proportional share of memory, in MB; evaluators together."""
        sizes: dict[str, float] = {}
        for pid in self.pids():
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            name = self.name_of(pid)
            sizes[name] = round(sizes.get(name, 0.0) + kilobytes / 1024, 1)
        return sizes

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
