"""The command ``pulsewire``."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from runtime import engine_lock, preflight
from runtime.commands import approvals, backup, credentials, events, flows, keys, operators, runs, tables, users
from runtime.commands.installation import settings_from_environment
from runtime.commands.terminal import JsonOption, fail, print_json, print_table, told
from runtime.supervisor import REFUSED

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.settings import Settings

PORT_WAIT_S = 1  # the web process of a server that was killed may still be ending

app = typer.Typer(
    name="pulsewire",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A visual workflow editor for backend events, self-hosted, with a durable runtime.",
)
app.add_typer(flows.app, name="flow")
app.add_typer(runs.app, name="run")
app.add_typer(approvals.app, name="approvals")
app.add_typer(tables.app, name="table")
app.add_typer(events.app, name="event")
app.add_typer(keys.app, name="keys")
app.add_typer(credentials.app, name="credentials")
app.add_typer(operators.app, name="operators")
app.add_typer(users.app, name="users")
app.command()(backup.backup)
app.command()(backup.restore)

HostOption = Annotated[str | None, typer.Option(help="Address to listen on; default PULSEWIRE_HOST or 127.0.0.1.")]
PortOption = Annotated[int | None, typer.Option(help="Port to listen on; default PULSEWIRE_PORT or 8080.")]


def main() -> None:
    """Run the command in ``sys.argv``."""
    app()


@app.callback(invoke_without_command=True)
def pulsewire(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Answer what belongs to no command."""
    if show_version:
        from runtime.version import version

        typer.echo(version())
        raise typer.Exit


@app.command()
def serve(host: HostOption = None, port: PortOption = None) -> None:
    """Serve the editor and the API, and run flows, until stopped."""
    for name, value in (("PULSEWIRE_HOST", host), ("PULSEWIRE_PORT", port)):
        if value is not None:
            os.environ[name] = str(value)
    settings = settings_from_environment()
    if settings.database_file and engine_lock.is_held(settings.database_file) and _is_served(settings):
        fail(f"Another Pulsewire serves {settings.data_dir}. Stop it, or set another PULSEWIRE_DATA_DIR.", REFUSED)
    if fault := preflight.fault(settings):
        fail(fault, REFUSED)
    listen(settings.host, settings.port).close()
    command = [sys.executable, "-m", "runtime.supervisor"]
    os.execv(sys.executable, command)  # noqa: S606 - our own module, in place of this process: it is smaller


@app.command()
def worker() -> None:
    """Run the engine alone; `serve` does this and restarts it."""
    from runtime.worker import main as work

    raise typer.Exit(work())


@app.command(hidden=True)
def web() -> None:
    """Serve the editor and the API alone; `serve` does this and restarts it."""
    settings = settings_from_environment()
    listener = listen(settings.host, settings.port)
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(settings.data_dir.resolve() / "pages"))
    from runtime.web import serve_app

    raise typer.Exit(serve_app(settings, listener, _add_pages()))


@app.command("config")
def show_config(as_json: JsonOption = False) -> None:
    """Show every setting, secrets masked."""
    shown = settings_from_environment().model_dump(mode="json")
    values = {f"PULSEWIRE_{name.upper()}": value for name, value in shown.items()}
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        text = ",".join(sorted(value)) if isinstance(value, list) else "" if value is None else value
        typer.echo(f"{name}={text}")


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Look at the installation and say what to do; status 1 when something is wrong."""
    from runtime.commands.checkup import findings

    found = list(findings(settings_from_environment()))
    if as_json:
        print_json([vars(each) for each in found])
    else:
        print_table(("", "", ""), [(each.level, each.what, each.words) for each in found])
    if any(each.level == "fault" for each in found):
        raise typer.Exit(1)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address, or end the command saying why not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    until = time.monotonic() + PORT_WAIT_S
    while True:
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < until:
                time.sleep(0.05)
                continue
            listener.close()
            why = error.strerror or "that is no address of this machine"
            fail(f"pulsewire cannot listen on {host}:{port}: {why}. Stop what does, or choose another --port.", REFUSED)
        return listener


def _is_served(settings: Settings) -> bool:
    """Return whether the engine that holds the lock is at work, and neither ending nor stopped."""
    from runtime.engine_turn import is_taken  # here because the lock is rarely held
    from storage.database import Database

    with told():
        database = Database(settings.url)
        try:
            return is_taken(database)
        finally:
            database.dispose()


def _add_pages() -> Callable[[App], None]:
    from editor.app import add_pages

    return add_pages


if __name__ == "__main__":
    main()
