"""Whether a database file is whole, found out without changing it, and with the standard library alone."""

from __future__ import annotations

import os
import sqlite3
import struct
import subprocess
import sys
import time
from array import array
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

LARGE_BYTES = 500_000_000  # of a file this large, whose pages take a second, the schema alone is looked at
INDEX_VERSION = 3_007_000
HEADER_BYTES = 48  # of the index; it is there twice, and the counters of the checkpoint follow
LOG_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
LOOKS, LOOK_S = 3, 0.05  # another process may be writing
RESTORE = "Stop Pulsewire, keep a copy of these files, and restore a backup"


def log_fault(path: Path) -> str | None:
    """Return what is wrong when the write-ahead log is shorter than its index says; SQLite would not mind.

    SQLite reads as much of a log as is there. The index beside it outlives a kill and tells how far it had come, and
    a commit with full synchronisation is in the log before it is in the index (sqlite.org/walformat.html).
    Another process looks: to close a file of SQLite's would drop the locks that this process holds on it.
    """
    if not path.with_name(f"{path.name}-shm").exists():
        return None
    command = [sys.executable, "-I", "-S", __file__, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this very file
    return done.stdout or None


def _log_fault(path: Path) -> str | None:
    for _ in range(LOOKS):
        if (found := _shortfall(path)) is None:
            return None
        missing, is_usable = found
        time.sleep(LOOK_S)
    log, index = f"{path.name}-wal", f"{path.name}-shm"
    return (
        f"The database's log {log} is {missing:,} bytes shorter than it was: the last changes are missing. "
        f"{RESTORE}; or remove {index if is_usable else f'{log} and {index}'} to go on without those changes."
    )


def page_fault(path: Path) -> str | None:
    """Return what is wrong with the file's pages; of a large file as far as its schema tells."""
    try:
        what = "1" if path.stat().st_size < LARGE_BYTES else "sqlite_schema"
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(f"PRAGMA quick_check({what})").fetchone()[0]
    except sqlite3.DatabaseError as error:
        code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
        if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return None  # nothing that a look at the pages is for: whoever opens it says what it is
        found = str(error)
    if found == "ok":
        return None
    return f"The database {path.name} is damaged. {RESTORE}; `pulsewire doctor` looks at every page."


class _Index(NamedTuple):
    """The parts of a write-ahead log's index that say how long the log is."""

    page_bytes: int
    frames: int
    salts: bytes
    copied: int  # frames that are in the database already


def _shortfall(path: Path) -> tuple[int, bool] | None:
    """Return how many bytes the log lacks, and whether what is left of it is of use; None where it is whole."""
    index = _index(path.with_name(f"{path.name}-shm"))
    if index is None or index.copied >= index.frames:
        return None
    header, size = b"", 0
    with suppress(FileNotFoundError), path.with_name(f"{path.name}-wal").open("rb") as log:
        header, size = log.read(LOG_HEADER_BYTES), os.fstat(log.fileno()).st_size
    if len(header) == LOG_HEADER_BYTES and header[16:24] != index.salts:
        return None  # an index of another log: the machine ended before it was written
    frame_bytes = index.page_bytes + FRAME_HEADER_BYTES
    left = max(0, size - LOG_HEADER_BYTES) // frame_bytes
    if left >= index.frames:
        return None
    # a log that is shorter than what was copied already would put older pages over newer ones
    return LOG_HEADER_BYTES + index.frames * frame_bytes - size, left >= index.copied


def _index(path: Path) -> _Index | None:
    try:
        with path.open("rb") as file:
            head = file.read(2 * HEADER_BYTES + 4)
    except OSError:
        return None
    first = head[:HEADER_BYTES]
    if len(head) < 2 * HEADER_BYTES + 4 or first != head[HEADER_BYTES : 2 * HEADER_BYTES]:
        return None
    version, is_made, page_bytes, frames = struct.unpack("=I8xBxHI", first[:20])
    if version != INDEX_VERSION or not is_made or _checksum(first[:40]) != struct.unpack("=II", first[40:]):
        return None
    (copied,) = struct.unpack("=I", head[2 * HEADER_BYTES :])
    return _Index(65_536 if page_bytes == 1 else page_bytes, frames, first[32:40], copied)


def _checksum(data: bytes) -> tuple[int, int]:
    """Return SQLite's checksum of the index, over words in this machine's order."""
    first = second = 0
    words = array("I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


if __name__ == "__main__":
    print(_log_fault(Path(sys.argv[1])) or "", end="")
