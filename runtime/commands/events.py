"""``pulsewire event …``"""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.commands.installation import ask_engine, opened
from runtime.commands.terminal import JsonOption, print_json, read_text, told

app = typer.Typer(no_args_is_help=True, help="Events: hand one in.")


@app.callback()
def events() -> None:
    """Keep ``emit`` a command of its own."""


@app.command("emit")
def emit_event(
    name: Annotated[str, typer.Argument(help="Name of the event, such as shop.order_paid.")],
    payload: Annotated[str | None, typer.Option(help="File with the payload as JSON; “-” is standard input.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="The same id twice is one event.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Hand an event to the server that runs, and print its id once it is committed."""
    from runtime.outbox import NewEvent
    from runtime.payloads import check_payload

    with told(), opened() as service:
        given = {} if payload is None else check_payload(read_text(payload))
        (accepted,) = ask_engine(service, lambda: service.emit([NewEvent(name, given, event_id)]))
    if as_json:
        print_json({"id": accepted.id, "duplicate": accepted.duplicate, "runs": accepted.runs})
    else:
        typer.echo(accepted.id)
