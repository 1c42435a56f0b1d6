"""A disk that loses what was not synchronised when the power fails, as a VFS of SQLite.

What a file holds after a cut is what it held at its last synchronisation, with a random part of the sectors written
since: any of them, in any order.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import apsw

SECTOR_BYTES = 512


class PowerCut(Exception):
    """The machine is off."""


class DiskFile:
    """One file: what is safe, and what was written since."""

    def __init__(self, content: bytes) -> None:
        self._safe = bytearray(content)
        self._since: list[tuple[int, bytes] | int] = []  # offset and data, or a size to cut at

    def write(self, offset: int, data: bytes) -> None:
        self._since.append((offset, data))

    def truncate(self, size: int) -> None:
        self._since.append(size)

    def sync(self) -> None:
        for change in self._since:
            _apply(self._safe, change)
        self._since.clear()

    def after_cut(self, chance: Random) -> bytes:
        found = bytearray(self._safe)
        keeps = chance.random()  # at times nearly all of it, at times nearly nothing
        for change in self._since:
            for piece in [change] if isinstance(change, int) else _sectors(*change):
                if chance.random() < keeps:
                    _apply(found, piece)
        return bytes(found)


class Disk:
    """Its power fails at the *cut_at*-th write or synchronisation."""

    def __init__(self, cut_at: int) -> None:
        self.files: dict[str, DiskFile] = {}
        self.is_off = False
        self._left = cut_at

    def tick(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.is_off = True
            raise PowerCut

    def open(self, path: str) -> DiskFile:
        if path not in self.files:
            self.files[path] = DiskFile(Path(path).read_bytes() if Path(path).exists() else b"")
        return self.files[path]

    def leave_in(self, directory: Path, chance: Random) -> None:
        """Write what is on the disk after the cut."""
        for path, file in self.files.items():
            (directory / Path(path).name).write_bytes(file.after_cut(chance))


class DiskVFS(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.name = f"disk-{id(disk)}"
        super().__init__(self.name, "unix")

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:
        if name is None:
            return apsw.VFSFile("unix", None, flags)
        path = name if isinstance(name, str) else name.filename()
        return _OpenFile(self._disk, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        if not self._disk.is_off:
            self._disk.tick()
            self._disk.files.pop(filename, None)
        super().xDelete(filename, syncdir)


class _OpenFile(apsw.VFSFile):
    def __init__(self, disk: Disk, path: str, name: apsw.URIFilename | str, flags: list[int]) -> None:
        self._disk = disk
        self._file = disk.open(path)
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if not self._disk.is_off:
            self._file.write(offset, bytes(data))
            self._disk.tick()
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        if not self._disk.is_off:
            self._file.truncate(newsize)
            self._disk.tick()
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        if not self._disk.is_off:
            self._disk.tick()
            self._file.sync()


def _apply(content: bytearray, change: tuple[int, bytes] | int) -> None:
    if isinstance(change, int):
        del content[change:]
        return
    offset, data = change
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _sectors(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    pieces, at = [], 0
    while at < len(data):
        end = at + SECTOR_BYTES - (offset + at) % SECTOR_BYTES
        pieces.append((offset + at, data[at:end]))
        at = end
    return pieces
