"""``pulsewire backup`` and ``pulsewire restore``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.commands.installation import opened, settings_from_environment
from runtime.commands.terminal import fail, told

if TYPE_CHECKING:
    from runtime.settings import Settings
    from storage.backup import Progress
    from storage.restore import Restored

Force = Annotated[bool, typer.Option("--force", help="Replace FILE where it exists.")]
WithKey = Annotated[bool, typer.Option("--with-key", help="Write the secret key, too, to FILE.key.")]
TakeKey = Annotated[bool, typer.Option("--with-key", help="Use FILE.key as this installation's secret key.")]


def backup(
    file: Annotated[Path, typer.Argument(help="File to write.")],
    force: Force = False,
    with_key: WithKey = False,
) -> None:
    """Copy the database while the server runs, and check the copy."""
    from backend.secrets import read_key, write_key

    _require_name(file)
    key_file = _key_of(file)
    if with_key and key_file.exists() and not force:
        fail(f"{key_file} exists. Choose another name, or replace it with --force.")
    with opened() as service, _progress() as progress:
        size = service.backups.write(file, replaces=force, progress=progress)
    settings = settings_from_environment()
    typer.echo(f"{file}: {size:,} bytes, checked")
    if not with_key:
        place = "in PULSEWIRE_SECRET_KEY" if settings.secret_key else str(settings.data_dir.resolve() / "secret.key")
        words = f"The secret key is not in it: it is {place}. Keep a copy of it apart from the backup."
        typer.echo(words, err=True)
        return
    configured = settings.secret_key.get_secret_value() if settings.secret_key else None
    with told():
        if (key := read_key(settings.data_dir, configured)) is not None:
            write_key(key_file, key)
            typer.echo(f"{key_file}: the secret key. With both files anybody can read everything; keep them apart.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `pulsewire backup` wrote.")],
    with_key: TakeKey = False,
) -> None:
    """Put a backup in place of the database. The server must be stopped; the present database is kept."""
    from runtime.open_lock import alone
    from storage.database import Database
    from storage.errors import StorageError
    from storage.restore import restore as put_in_place

    _require_name(file)
    settings = settings_from_environment()
    with told():
        path = Database(settings.url).path
        if not file.is_file():
            raise StorageError(f"There is no file {file}.")
        if path.exists() and file.samefile(path):
            raise StorageError(f"{file} is the database itself.")
        if with_key and not _key_of(file).is_file():
            raise StorageError(f"There is no file {_key_of(file)}.")
        if (lock := alone(path)) is None:
            raise StorageError(f"Pulsewire works on {path}. Stop it first; nothing was changed.")
        try:
            now = datetime.now(UTC)
            done = put_in_place(file, path, now)
            _tell(file, path, done)
            _take_key(settings, _key_of(file), now, is_wanted=with_key)
            _tell_unreadable(settings, path)
        finally:
            os.close(lock)


def _take_key(settings: Settings, file: Path, now: datetime, *, is_wanted: bool) -> None:
    """Put the key beside a backup in place where there is none, or in place of the present one where asked for."""
    from backend.secrets import KEY_FILE, key_in, write_key

    present = settings.data_dir / KEY_FILE
    if not file.is_file() or not (is_wanted or (settings.secret_key is None and not present.exists())):
        return
    key = key_in(file)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if present.exists():
        kept = present.with_name(f"{KEY_FILE}.before-restore-{now:%Y%m%dT%H%M%SZ}")
        present.rename(kept)
        typer.echo(f"The secret key that was there is kept as {kept}.")
    write_key(present, key)
    typer.echo(f"The secret key is the one in {file}.")
    if settings.secret_key is not None:
        typer.echo("PULSEWIRE_SECRET_KEY comes before it. Unset it, or set it to that key.")


def _tell(file: Path, path: Path, done: Restored) -> None:
    typer.echo(f"{path} is what was in {file}: {done.runs:,} runs, {done.open_runs:,} of them open.")
    if done.open_runs:
        typer.echo("The open ones go on at the next start, with the idempotency keys that they had.")
    if done.is_old:
        typer.echo(f"Its schema is {done.version}; the next start brings it up to this version's.")
    typer.echo(f"The next run is number {done.next_run:,}: numbers that may have been used since are left out.")
    if done.kept is not None:
        typer.echo(f"The database that was there is kept as {done.kept}. Remove it when all is well.")
    typer.echo("Keys, passwords and sign-ins are those of the backup: revoke again what you have revoked since.")


def _tell_unreadable(settings: Settings, path: Path) -> None:
    from backend.secrets import read_key
    from runtime.locked_values import unreadable

    configured = settings.secret_key.get_secret_value() if settings.secret_key else None
    key = read_key(settings.data_dir, configured)
    if not (locked := unreadable(path, key)):
        return
    what = ", ".join(locked)
    if key is None:
        place = settings.data_dir.resolve() / "secret.key"
        typer.echo(f"There is no secret key: put your copy of it to {place}. Without it these stay locked: {what}.")
    else:
        typer.echo(
            f"The secret key is another one than when the backup was made. These cannot be opened: {what}. "
            "Put the right key in its place, or enter them again."
        )


def _require_name(file: Path) -> None:
    if str(file) == "-":
        fail("A backup is a file, as it is checked before it is kept. Name one.")
    if not file.parent.is_dir():
        fail(f"There is no folder {file.parent}. Make it first.")


def _key_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.key")


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """Give what shows on a terminal how far a copy is, and clear the line after it."""
    if not sys.stderr.isatty():
        yield None
        return

    def show(done: int, pages: int) -> None:
        sys.stderr.write(f"\r{done * 100 // max(pages, 1)} %")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
