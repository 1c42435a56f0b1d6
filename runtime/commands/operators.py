"""``pulsewire operators …``: who may use the editor; also for those who are locked out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.commands.installation import opened
from runtime.commands.terminal import JsonOption, fail, print_json, print_table

if TYPE_CHECKING:
    from backend.operators import Invitation, Operators
    from runtime.service import Service

app = typer.Typer(no_args_is_help=True, help="People who use the editor: invite, link, list, role, disable.")
EmailArgument = Annotated[str, typer.Argument(help="Their email address.")]
RoleOption = Annotated[str, typer.Option("--role", help="owner, editor or viewer.")]


@app.command("link")
def make_link(
    email: Annotated[str, typer.Argument(help="Whose; leave it out to set up the first owner.")] = "",
) -> None:
    """Print a link that works once: to set up the first owner, or to choose a new password."""
    with opened() as service:
        if email:
            _print_link(service, service.operators.link_for(email))
            return
        token = None if service.operators.has_owner() else service.operators.set_up_link()
        if token is None:
            fail("There is an owner already. `pulsewire operators link EMAIL` lets them choose a new password.")
        typer.echo(f"{service.settings.public_url}/set-up?token={token}")


@app.command("invite")
def invite(email: EmailArgument, role: RoleOption = "editor", name: Annotated[str, typer.Option()] = "") -> None:
    """Add an operator and print the link that lets them in."""
    with opened() as service:
        _print_link(service, service.operators.invite(email, role, name))


@app.command("list")
def list_operators(as_json: JsonOption = False) -> None:
    """List everyone who may use the editor."""
    with opened() as service:
        found = service.operators.list()
    if as_json:
        print_json([each.as_json() for each in found])
        return
    rows = [
        (
            each.email,
            each.role,
            "disabled" if each.is_disabled else "invited" if each.is_invited else "active",
            f"{each.last_seen_at:%Y-%m-%d %H:%M}" if each.last_seen_at else "never",
        )
        for each in found
    ]
    print_table(("EMAIL", "ROLE", "STATE", "LAST SEEN (UTC)"), rows)


@app.command("role")
def set_role(email: EmailArgument, role: Annotated[str, typer.Argument(help="owner, editor or viewer.")]) -> None:
    """Give an operator another role; it counts within a second."""
    with _one(email) as (operators, operator_id):
        operators.set_role(operator_id, role)


@app.command("disable")
def disable(email: EmailArgument) -> None:
    """Sign an operator out and let them in no more."""
    with _one(email) as (operators, operator_id):
        operators.disable(operator_id)


@app.command("enable")
def enable(email: EmailArgument) -> None:
    """Let a disabled operator in again."""
    with _one(email) as (operators, operator_id):
        operators.enable(operator_id)


@contextmanager
def _one(email: str) -> Iterator[tuple[Operators, str]]:
    with opened() as service:
        yield service.operators, service.operators.get(email).id


def _print_link(service: Service, invitation: Invitation) -> None:
    typer.echo(f"{service.settings.public_url}/invitation?token={invitation.token}")
