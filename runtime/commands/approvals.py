"""``pulsewire approvals …``"""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.commands.installation import ask_engine, opened
from runtime.commands.terminal import JsonOption, print_json, print_table, told

app = typer.Typer(no_args_is_help=True, help="Approvals that runs wait for: list, approve, reject.")

RunId = Annotated[int, typer.Argument(metavar="RUN", help="The number of the run that waits.")]
Node = Annotated[str, typer.Argument(metavar="NODE", help="The step's node.")]
Item = Annotated[str, typer.Option(help="The item of a loop, such as 3.")]
Comment = Annotated[str, typer.Option(help="What the flow and the run's page are told.")]


@app.command("list")
def list_approvals(
    flow: Annotated[str | None, typer.Option(help="Only of this flow.")] = None, as_json: JsonOption = False
) -> None:
    """List what runs wait for, the oldest first."""
    with opened() as service:
        found = service.runs.approvals(flow)
        links = {run_id: service.runs.approval_links(run_id) for run_id in {each.run_id for each in found}}
    if as_json:
        print_json([each.as_json() | {"link": links[each.run_id].get((each.node, each.iteration))} for each in found])
        return
    rows = [
        (each.run_id, each.flow_id, each.node, each.iteration, each.title, f"{each.asked_at:%Y-%m-%d %H:%M:%S}")
        for each in found
    ]
    print_table(("RUN", "FLOW", "NODE", "ITEM", "TITLE", "SINCE (UTC)"), rows)


@app.command("approve")
def approve(run_id: RunId, node: Node, comment: Comment = "", item: Item = "") -> None:
    """Approve what a run waits for."""
    _decide(run_id, node, comment, item, approved=True)


@app.command("reject")
def reject(run_id: RunId, node: Node, comment: Comment = "", item: Item = "") -> None:
    """Reject what a run waits for."""
    _decide(run_id, node, comment, item, approved=False)


def _decide(run_id: int, node: str, comment: str, item: str, *, approved: bool) -> None:
    with told(), opened() as service:
        ask_engine(service, lambda: service.runs.decide(run_id, node, approved, comment, iteration=item))
