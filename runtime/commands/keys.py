"""``pulsewire keys …``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from runtime.commands.installation import opened
from runtime.commands.terminal import JsonOption, print_json, print_table

if TYPE_CHECKING:
    from backend.operator_values import Role

app = typer.Typer(no_args_is_help=True, help="API keys: create, list, delete.")


@app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    role: Annotated[str, typer.Option(help="What it may do: viewer, editor or owner.")] = "owner",
) -> None:
    """Make an API key and print it. It cannot be shown again."""
    with opened() as service:
        _, key = service.keys.create(name, cast("Role", role))  # another is refused in words
    typer.echo(key)


@app.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List the keys by how they begin."""
    with opened() as service:
        keys = service.keys.list()
    if as_json:
        print_json([key.as_json() for key in keys])
    else:
        rows = [
            (
                key.id,
                key.name,
                f"{key.prefix}…",
                key.role,
                f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used",
            )
            for key in keys
        ]
        print_table(("ID", "NAME", "KEY", "ROLE", "LAST USED (UTC)"), rows)


@app.command("delete")
def delete_key(key_id: Annotated[int, typer.Argument(metavar="ID", help="The number that `list` shows.")]) -> None:
    """Delete a key; whoever uses it is refused from then on."""
    with opened() as service:
        service.keys.delete(key_id)
