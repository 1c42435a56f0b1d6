"""``pulsewire flow …``"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.commands.flow_check import check_flows
from runtime.commands.installation import ask_engine, opened, settings_from_environment
from runtime.commands.terminal import JsonOption, fail, print_json, print_problems, print_table, read_text, told

if TYPE_CHECKING:
    from runtime.document import Document
    from runtime.errors import Problem
    from runtime.run_views import RunView
    from runtime.trials import Extent

app = typer.Typer(no_args_is_help=True, help="Flows: list, read, check, test, publish, and move them as files.")
app.command("check")(check_flows)


class QueueChoice(StrEnum):
    run = "run"
    discard = "discard"


FlowId = Annotated[str, typer.Argument(metavar="ID", help="The flow's id.")]


@app.command("list")
def list_flows(search: str | None = None, as_json: JsonOption = False) -> None:
    """List the flows, the one changed last first."""
    with opened() as service:
        flows = service.flows.list(search=search)
    if as_json:
        print_json([flow.as_json() for flow in flows])
    else:
        print_table(
            ("ID", "NAME", "STATE", "NODES", "PROBLEMS", "QUEUED"),
            [(flow.id, flow.name, flow.state, flow.node_count, flow.problem_count, flow.queued) for flow in flows],
        )


@app.command("show")
def show_flow(flow_id: FlowId, as_json: JsonOption = False) -> None:
    """Show one flow and the problems of its draft."""
    with opened() as service:
        flow = service.flows.get(flow_id)
    if as_json:
        print_json(flow.as_json())
        return
    live = "not published" if flow.published_version is None else f"version {flow.published_version} is live"
    changes = ", the draft has changes" if flow.has_unpublished_changes else ""
    waits = f", {flow.queued} run{'s wait' if flow.queued > 1 else ' waits'}" if flow.queued else ""
    typer.echo(f"{flow.name} ({flow.id}): {flow.state}, {live}{changes}{waits}")
    if flow.notice:
        typer.echo(flow.notice["message"])
    print_table(("NODE", "TYPE", "NAME"), [(node["id"], node["type"], node["name"]) for node in flow.draft["nodes"]])
    if flow.schedules:
        print_table(
            ("SCHEDULE", "NEXT", "LAST"),
            [tuple(value or "-" for value in each.as_json().values()) for each in flow.schedules],
        )
    print_problems(flow.problems)


@app.command("export")
def export_flow(
    flow_id: FlowId, output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.")] = None
) -> None:
    """Print the draft as a file that can be imported, or write it to one."""
    with opened() as service:
        text = service.flows.export(flow_id)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


@app.command("import")
def import_flow(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Exported flows; “-” is standard input.")],
    as_json: JsonOption = False,
) -> None:
    """Make a flow of each file and print its id. An id that is taken gets a number."""
    with opened() as service:
        for file in files:
            flow = service.flows.import_(read_text(file))
            print_json(flow.as_json()) if as_json else typer.echo(flow.id)


@app.command("test")
def run_test(
    flow: Annotated[str, typer.Argument(metavar="FILE|ID", help="A flow file, or the id of a flow.")],
    payload: Annotated[str | None, typer.Option(help="File with the payload as JSON; “-” is standard input.")] = None,
    sample: Annotated[str | None, typer.Option(help="Name of a sample of the flow.")] = None,
    trigger: Annotated[str | None, typer.Option(help="Node to start at, when there are several triggers.")] = None,
    until: Annotated[str | None, typer.Option(help="Only this node and what leads to it.")] = None,
    only: Annotated[str | None, typer.Option(help="Only this node, with outputs of an earlier test.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="This node and what follows it.")] = None,
    run_id: Annotated[int | None, typer.Option("--run", help="With --only, --from: the run that has them.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a flow without effects and show its steps; status 1 when the run fails.

    A file is run on an empty database that is thrown away. A flow of the installation is run by its server.
    """
    from runtime.payloads import check_payload
    from runtime.trials import Extent

    extent = Extent(until, only, from_, run_id)
    with told():
        given = None if payload is None else check_payload(read_text(payload))
        if Path(flow).is_file() or flow == "-":
            run = _test_file(flow, trigger, given, sample, extent)
        else:
            with opened() as service:
                run = ask_engine(service, lambda: service.runs.test(flow, trigger, given, sample, extent=extent))
    print_json(run.as_json()) if as_json else print_run(run)
    if run.status != "succeeded":
        raise typer.Exit(1)


@app.command("run")
def start_run(
    flow_id: FlowId,
    payload: Annotated[str | None, typer.Option(help="File with the payload as JSON; “-” is standard input.")] = None,
    trigger: Annotated[str | None, typer.Option(help="Node to start at, when there are several manual starts.")] = None,
) -> None:
    """Start the live version by hand, for real, and print the run's number."""
    from runtime.payloads import check_payload

    with told(), opened() as service:
        given = None if payload is None else check_payload(read_text(payload))
        typer.echo(ask_engine(service, lambda: service.runs.start(flow_id, trigger, given)).id)


@app.command("rename-node")
def rename_node(
    flow_id: FlowId,
    node_id: Annotated[str, typer.Argument(metavar="NODE", help="The node's id.")],
    new_id: Annotated[str, typer.Argument(metavar="NEW", help="The id that it gets.")],
) -> None:
    """Give a node of the draft another id, in every expression that names it too."""
    with opened() as service:
        flow = service.flows.rename_node(flow_id, node_id, new_id)
    typer.echo(f"{flow.name}: the node is “{new_id}” now")


@app.command("publish")
def publish_flow(flow_id: FlowId, as_json: JsonOption = False) -> None:
    """Make the draft the live version."""
    with opened() as service:
        flow = service.flows.publish(flow_id)
    if as_json:
        print_json(flow.as_json())
        return
    print_problems(flow.problems)
    typer.echo(f"{flow.name}: version {flow.published_version} is live")


@app.command("unpublish")
def unpublish_flow(flow_id: FlowId) -> None:
    """Take the live version away."""
    with opened() as service:
        typer.echo(f"{service.flows.unpublish(flow_id).name}: not published any more")


@app.command("pause")
def pause_flow(flow_id: FlowId) -> None:
    """Keep runs from beginning; events are heard, and their runs wait for the flow to be resumed."""
    with opened() as service:
        typer.echo(f"{service.flows.pause(flow_id).name}: paused")


@app.command("resume")
def resume_flow(
    flow_id: FlowId,
    queue: Annotated[QueueChoice, typer.Option(help="What becomes of the runs that wait.")] = QueueChoice.run,
) -> None:
    """Let runs begin again. Those that wait run; with --queue discard they are cancelled."""
    with opened() as service:
        typer.echo(f"{service.flows.resume(flow_id, queue.value).name}: live")


@app.command("delete")
def delete_flow(flow_id: FlowId, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Delete a flow; its runs stay."""
    with opened() as service:
        flow = service.flows.get(flow_id)
        if not yes and not typer.confirm(f"Delete “{flow.name}”?"):
            fail("Nothing was deleted.")
        service.flows.delete(flow_id)


def print_run(run: RunView) -> None:
    """Print a run and its steps."""
    typer.echo(f"Run {run.id} of {run.flow}: {run.status}")
    rows: list[tuple[Any, ...]] = []
    for step in run.steps:
        took = (step.ended_at - step.started_at).total_seconds() if step.started_at and step.ended_at else None
        rows.append(
            (
                f"{step.node}[{step.iteration}]" if step.iteration else step.node,
                step.status,
                "" if took is None else f"{took * 1000:.1f} ms",
                (step.error or {}).get("message"),
            )
        )
    print_table(("STEP", "STATUS", "TOOK", "ERROR"), rows)
    if run.left_out:
        typer.echo(f"… and {run.left_out:,} more steps inside loops")


def _read(file: str) -> tuple[Document | None, list[Problem]]:
    from nodes.spec import load
    from runtime.document import parse_text
    from runtime.validation import check

    document, problems = parse_text(read_text(file))
    return document, problems if document is None else [*problems, *check(document, load())]


def _test_file(
    file: str, trigger: str | None, payload: dict[str, Any] | None, sample: str | None, extent: Extent
) -> RunView:
    import asyncio
    from tempfile import TemporaryDirectory

    from nodes.spec import load
    from runtime.app import build_service, open_database
    from runtime.engine import Engine
    from runtime.errors import Invalid
    from runtime.trials import prepare

    document, problems = _read(file)
    if document is None:
        raise Invalid(*problems)
    request = prepare(
        document, problems, load(), trigger, None if payload is None else dict(payload), sample, "simulate", extent
    )

    async def run(folder: str) -> RunView:
        settings = settings_from_environment().model_copy(update={"data_dir": Path(folder), "database_url": None})
        database = open_database(settings)
        engine = Engine(database, settings)
        await engine.start()
        try:
            run_id = await engine.start_test(request)
            await engine.wait(run_id, 60)
            return build_service(settings, database, engine).runs.get(run_id)
        finally:
            await engine.stop()
            database.dispose()

    with TemporaryDirectory(prefix="pulsewire-test-") as folder:
        return asyncio.run(run(folder))
