"""``pulsewire run …``"""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.commands.flows import print_run
from runtime.commands.installation import ask_engine, opened
from runtime.commands.terminal import JsonOption, print_json, print_table, read_text, told

app = typer.Typer(no_args_is_help=True, help="Runs: list, read, cancel, run again.")

RunId = Annotated[int, typer.Argument(metavar="ID", help="The run's number.")]


@app.command("list")
def list_runs(
    flow: Annotated[str | None, typer.Option(help="Only of this flow.")] = None,
    status: Annotated[str | None, typer.Option(help="Only with this status.")] = None,
    limit: int = 50,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest first."""
    with opened() as service:
        page = service.runs.list(flow, status, limit=limit)
    if as_json:
        print_json([run.as_json() for run in page.items])
        return
    rows = [(run.id, run.flow, run.status, run.event_name, f"{run.created_at:%Y-%m-%d %H:%M:%S}") for run in page.items]
    print_table(("ID", "FLOW", "STATUS", "EVENT", "SINCE (UTC)"), rows)


@app.command("show")
def show_run(run_id: RunId, as_json: JsonOption = False) -> None:
    """Show one run with its steps."""
    with opened() as service:
        run = service.runs.get(run_id)
    print_json(run.as_json()) if as_json else print_run(run)


@app.command("cancel")
def cancel_run(run_id: RunId) -> None:
    """Stop a run that has not ended."""
    with opened() as service:
        ask_engine(service, lambda: service.runs.cancel(run_id))


@app.command("retry")
def retry_run(
    run_id: RunId,
    from_: Annotated[str | None, typer.Option("--from", help="Keep what was done before this node.")] = None,
    payload: Annotated[str | None, typer.Option(help="File with another payload; “-” is standard input.")] = None,
) -> None:
    """Run it again, on the same version, and print the new run's number."""
    from runtime.payloads import check_payload

    with told(), opened() as service:
        given = None if payload is None else check_payload(read_text(payload))
        typer.echo(ask_engine(service, lambda: service.runs.retry(run_id, from_, given)).id)
