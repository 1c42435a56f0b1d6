"""Files that are damaged or missing: Pulsewire refuses to start, says why in plain words, and changes nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.bare import ROOT, Bare, Senders

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
REFUSED = 3
PAGE_BYTES = 4096


@pytest.fixture
async def killed(bare: Bare) -> Bare:
    """Return an installation that has accepted events 0 to 9 and was killed: its log and the log's index are there."""
    async with Senders(bare.directory, 0) as senders:
        pid = await asyncio.to_thread(bare.start)
        await asyncio.gather(*(senders.send(number) for number in range(10)))
        await asyncio.to_thread(bare.kill, pid)
    return bare


def overwrite_page(bare: Bare) -> None:
    ((page,),) = bare.select_only("SELECT rootpage FROM sqlite_master WHERE name = 'account'")
    with (bare.directory / "pulsewire.db").open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(os.urandom(PAGE_BYTES))


def overwrite_head(bare: Bare) -> None:
    for end in ("-wal", "-shm"):
        (bare.directory / f"pulsewire.db{end}").unlink()
    with (bare.directory / "pulsewire.db").open("r+b") as file:
        file.write(os.urandom(100))


def cut_log(bare: Bare) -> None:
    log = bare.directory / "pulsewire.db-wal"
    os.truncate(log, log.stat().st_size - 3 * PAGE_BYTES)


def remove_log(bare: Bare) -> None:
    (bare.directory / "pulsewire.db-wal").unlink()


def remove_key(bare: Bare) -> None:
    (bare.directory / "secret.key").unlink()


def files(directory: Path) -> dict[str, bytes]:
    """Return what must not change; the index of the log and locks hold nothing."""
    kept = [path for path in directory.rglob("*") if path.is_file() and path.suffix not in (".log", ".engine", ".lock")]
    return {path.name: path.read_bytes() for path in kept if not path.name.endswith("-shm")}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (overwrite_page, "The database pulsewire.db is damaged."),
        (overwrite_head, "The database pulsewire.db is damaged."),
        (cut_log, "12,288 bytes shorter than it was: the last changes are missing."),
        (remove_log, "bytes shorter than it was: the last changes are missing."),
        (remove_key, "secret.key is missing. Put it back from your copy."),
    ],
    ids=["page", "head", "log cut", "log gone", "key gone"],
)
def test_a_damaged_installation_is_refused_and_left_as_it_is(killed: Bare, damage, words: str) -> None:
    damage(killed)
    before = files(killed.directory)

    status = killed.wait(killed.start())
    environment = {**os.environ, "PULSEWIRE_DATA_DIR": str(killed.directory)}
    command = [sys.executable, "-m", "runtime.cli", "serve"]
    served = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert (status, served.returncode) == (REFUSED, REFUSED)
    assert words in killed.log()
    assert words in served.stderr
    assert "Traceback" not in killed.log() + served.stderr
    assert files(killed.directory) == before


def test_what_is_left_of_a_log_is_used_when_a_person_says_so(killed: Bare) -> None:
    cut_log(killed)
    refused = killed.wait(killed.start())
    assert "or remove pulsewire.db-shm to go on without those changes" in killed.log()

    (killed.directory / "pulsewire.db-shm").unlink()
    pid = killed.start()
    killed.has_ended_all()

    assert refused == REFUSED
    assert killed.is_up(pid)
    assert killed.select("PRAGMA integrity_check") == [("ok",)]
