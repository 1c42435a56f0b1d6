"""``pulsewire run …``"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import typer

from runtime.commands.flows import print_run
from runtime.commands.installation import ask_engine, opened
from runtime.commands.terminal import JsonOption, fail, print_json, print_problems, print_table, read_text, told

app = typer.Typer(no_args_is_help=True, help="Runs: list, read, cancel, run again, settle.")

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
RunId = Annotated[int, typer.Argument(metavar="ID", help="The run's number.")]


@app.command("list")
def list_runs(
    flow: Annotated[str | None, typer.Option(help="Only of this flow.")] = None,
    status: Annotated[str | None, typer.Option(help="Only with this status.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only those that stopped one engine after another.")] = False,
    limit: int = 50,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest first."""
    with opened() as service:
        page = service.runs.list(flow, status, limit=limit, is_dead=True if dead else None)
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
def cancel_run(
    run_id: Annotated[int | None, typer.Argument(metavar="ID", help="The run's number.")] = None,
    flow: Annotated[str | None, typer.Option(help="Every run of this flow that has not ended.")] = None,
) -> None:
    """Stop a run that has not ended, or all of a flow."""
    if (run_id is None) == (flow is None):
        fail("Give the number of a run, or --flow.", 2)
    with told(), opened() as service:
        if run_id is not None:
            ask_engine(service, lambda: service.runs.cancel(run_id))
        elif flow is not None:
            done = ask_engine(service, lambda: service.runs.cancel_many(flow))
            typer.echo(f"Cancelled {done.said}.")
            if done.left:
                typer.echo(f"{done.left:,} more are left. Run the command again.", err=True)


@app.command("retry")
def retry_runs(
    run_ids: Annotated[list[int] | None, typer.Argument(metavar="ID…", help="The runs' numbers.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Keep what was done before this node.")] = None,
    payload: Annotated[str | None, typer.Option(help="File with another payload; “-” is standard input.")] = None,
    from_failed: Annotated[bool, typer.Option("--from-failed", help="Keep what was done before the failure.")] = False,
    now: Annotated[bool, typer.Option("--now", help="On the version that is live now.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Every failed run that was not retried yet.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="With --failed: those that stopped the engine.")] = False,
    flow: Annotated[str | None, typer.Option(help="With --failed: only of this flow.")] = None,
    code: Annotated[str | None, typer.Option(help="With --failed: only with this error code.")] = None,
    since: Annotated[str | None, typer.Option(help="With --failed: accepted since; a time, or 30m, 12h, 7d.")] = None,
    until: Annotated[str | None, typer.Option(help="With --failed: accepted before.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run again, on the same version, and print the new runs' numbers; status 1 when one was refused."""
    ids = list(run_ids or ())
    if bool(ids) == failed or (not failed and any((dead, flow, code, since, until))):
        fail("Give the numbers of runs, or --failed with --flow, --code, --since and --until.", 2)
    if (from_ or payload) and len(ids) != 1:
        fail("--from and --payload are for one run.", 2)
    version: Literal["then", "now"] = "now" if now else "then"
    from runtime.bulk_retries import Failed, Retried

    if len(ids) == 1 and (from_ or payload or not as_json):
        new = _retry_one(ids[0], from_, payload, from_failed=from_failed, version=version)
        if as_json:
            print_json(Retried(((ids[0], new),)).as_json())
        else:
            typer.echo(new)
        return
    meant = Failed(flow, code, _moment(since), _moment(until), dead) if failed else None
    with told(), opened() as service:
        done = ask_engine(
            service, lambda: service.runs.retry_many(ids or None, meant, from_failed=from_failed, version=version)
        )
    if as_json:
        print_json(done.as_json())
    else:
        for _old, new in done.started:
            typer.echo(new)
        for old, problems in done.refused:
            print_problems(problems, f"run {old}")
        if done.left:
            typer.echo(f"{done.left:,} more are left. Run the command again.", err=True)
    if done.refused:
        raise typer.Exit(1)


def _retry_one(
    run_id: int, from_: str | None, payload: str | None, *, from_failed: bool, version: Literal["then", "now"]
) -> int:
    """Return the number of the new run."""
    from runtime.payloads import check_payload

    with told(), opened() as service:
        given = None if payload is None else check_payload(read_text(payload))
        run = ask_engine(
            service,
            lambda: service.runs.retry(run_id, from_, given, from_failed=from_failed, version=version),
        )
        return run.id


@app.command("resolve")
def resolve_step(
    run_id: RunId,
    node: Annotated[str, typer.Argument(metavar="NODE", help="The step's node.")],
    send_again: Annotated[bool, typer.Option("--send-again", help="It did not take place: call it again.")] = False,
    mark_done: Annotated[bool, typer.Option("--mark-done", help="It took place: go on behind it.")] = False,
    output: Annotated[str | None, typer.Option(help="With --mark-done: file with its output as JSON.")] = None,
    item: Annotated[str, typer.Option(help="The item of a loop, such as 3.")] = "",
) -> None:
    """Say how a step goes on of which nobody knows whether it took place."""
    if send_again == mark_done:
        fail("Say --send-again or --mark-done.", 2)
    from runtime.payloads import check_payload

    with told(), opened() as service:
        given = None if output is None else check_payload(read_text(output))
        action: Literal["send_again", "mark_done"] = "send_again" if send_again else "mark_done"
        ask_engine(service, lambda: service.runs.resolve(run_id, node, action, output=given, iteration=item))


def _moment(text: str | None) -> datetime | None:
    """Return the time that is meant: in ISO 8601, here where it names no zone, or so long ago."""
    if text is None:
        return None
    if ago := re.fullmatch(r"([0-9]{1,6})([mhd])", text.strip()):
        return datetime.now(UTC) - int(ago[1]) * UNITS[ago[2]]
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except ValueError:
        fail(f"“{text}” is no time. Write 2026-01-31, 2026-01-31T09:30, or 12h for twelve hours ago.", 2)
