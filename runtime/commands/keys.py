"""``pulsewire keys …``"""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.commands.installation import opened_database
from runtime.commands.terminal import JsonOption, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="API keys: create, list, delete.")


@app.command("create")
def create_key(name: Annotated[str, typer.Argument(help="What the key is for.")]) -> None:
    """Make an API key and print it. It cannot be shown again."""
    from backend.keys import Keys

    with opened_database() as database:
        _, key = Keys(database).create(name)
    typer.echo(key)


@app.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List the keys by how they begin."""
    from backend.keys import Keys

    with opened_database() as database:
        keys = Keys(database).list()
    if as_json:
        print_json([key.as_json() for key in keys])
    else:
        rows = [
            (
                key.id,
                key.name,
                f"{key.prefix}…",
                f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used",
            )
            for key in keys
        ]
        print_table(("ID", "NAME", "KEY", "LAST USED (UTC)"), rows)


@app.command("delete")
def delete_key(key_id: Annotated[int, typer.Argument(metavar="ID", help="The number that `list` shows.")]) -> None:
    """Delete a key; whoever uses it is refused from then on."""
    from backend.keys import Keys

    with opened_database() as database:
        Keys(database).delete(key_id)
