"""``pulsewire users …``: the end users of the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from runtime.commands.installation import opened
from runtime.commands.terminal import JsonOption, fail, print_json, print_table

if TYPE_CHECKING:
    from backend.users import User

app = typer.Typer(no_args_is_help=True, help="End users of the backend: list, show, create, block, delete.")
UserArgument = Annotated[str, typer.Argument(metavar="USER", help="Their id or address.")]
RolesOption = Annotated[list[str] | None, typer.Option("--role", help="A role they have; may be given several times.")]


@app.command("list")
def list_users(
    search: Annotated[str | None, typer.Option(help="In address and names.")] = None,
    role: Annotated[str | None, typer.Option(help="Who have this role.")] = None,
    verified: Annotated[bool | None, typer.Option("--verified/--unverified", show_default=False)] = None,
    blocked: Annotated[bool | None, typer.Option("--blocked/--not-blocked", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="How many at most.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the users, newest first."""
    with opened() as service:
        page = service.users.list(search=search, role=role, verified=verified, blocked=blocked, limit=limit)
    if as_json:
        print_json([user.as_json() for user in page.users])
        return
    rows = [(user.email, _name(user), ", ".join(user.roles), _state(user), user.id) for user in page.users]
    print_table(("EMAIL", "NAME", "ROLES", "STATE", "ID"), rows)
    if page.total > len(page.users):
        typer.echo(f"{len(page.users):,} of {page.total:,}. --search and --limit show others.", err=True)


@app.command("show")
def show_user(user: UserArgument) -> None:
    """Print one user as JSON."""
    with opened() as service:
        print_json(service.users.get(user).as_json())


@app.command("create")
def create_user(
    email: Annotated[str, typer.Argument(help="Their address.")],
    first_name: Annotated[str, typer.Option()] = "",
    last_name: Annotated[str, typer.Option()] = "",
    roles: RolesOption = None,
    is_verified: Annotated[bool, typer.Option("--verified", help="The address is known to be theirs.")] = False,
    with_password: Annotated[bool, typer.Option("--password", help="Ask for a password.")] = False,
) -> None:
    """Make a user and print the id. No flow starts: it is no sign-up."""
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True) if with_password else None
    with opened() as service:
        made = service.users.create(
            email,
            password=password,
            first_name=first_name,
            last_name=last_name,
            roles=roles or (),
            is_verified=is_verified,
        )
    typer.echo(made.id)


@app.command("block")
def block_user(user: UserArgument) -> None:
    """Keep a user from signing in and end every session."""
    with opened() as service:
        typer.echo(f"{service.users.block(user).email} is blocked")


@app.command("unblock")
def unblock_user(user: UserArgument) -> None:
    """Let a user sign in again."""
    with opened() as service:
        typer.echo(f"{service.users.unblock(user).email} may sign in again")


@app.command("delete")
def delete_user(
    user: UserArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Delete a user with everything that is theirs."""
    with opened() as service:
        email = service.users.get(user).email
        if not yes and not typer.confirm(f"Delete {email}?"):
            fail("Nothing was deleted.")
        service.users.delete(user)
    typer.echo(f"{email} is deleted")


def _name(user: User) -> str:
    return f"{user.first_name} {user.last_name}".strip()


def _state(user: User) -> str:
    return "blocked" if user.is_blocked else "verified" if user.is_verified else "unverified"
