"""``pulsewire table …``"""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.commands.installation import opened
from runtime.commands.terminal import JsonOption, fail, print_json, print_table, read_text

app = typer.Typer(no_args_is_help=True, help="Data tables: list, read, clear, CSV in and out.")

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
TableName = Annotated[str, typer.Argument(metavar="TABLE", help="The table's name or id.")]


@app.command("list")
def list_tables(as_json: JsonOption = False) -> None:
    """List the tables."""
    with opened() as service:
        tables = service.tables.list()
    if as_json:
        print_json([table.as_json() for table in tables])
    else:
        print_table(("ID", "NAME", "ROWS"), [(table.id, table.name, table.row_count) for table in tables])


@app.command("show")
def show_table(table: TableName, as_json: JsonOption = False) -> None:
    """Show the columns of a table."""
    with opened() as service:
        found = service.tables.get(table)
    if as_json:
        print_json(found.as_json())
        return
    typer.echo(f"{found.name} ({found.id}): {found.row_count} rows")
    rows = [(each.name, each.type, each.required or "", each.unique or "") for each in found.columns]
    print_table(("COLUMN", "TYPE", "REQUIRED", "UNIQUE"), rows)


@app.command("clear")
def clear_table(table: TableName, yes: Yes = False) -> None:
    """Delete every row; flows hear of it."""
    with opened() as service:
        name = service.tables.get(table).name
        if not yes and not typer.confirm(f"Delete every row of “{name}”?"):
            fail("Nothing was deleted.")
        typer.echo(f"{service.tables.clear(table)} rows deleted")


@app.command("export")
def export_table(table: TableName) -> None:
    """Print the rows as CSV."""
    with opened() as service:
        for piece in service.tables.export_csv(table):
            typer.echo(piece, nl=False)


@app.command("import")
def import_table(table: TableName, file: Annotated[str, typer.Argument(help="CSV; “-” is standard input.")]) -> None:
    """Add the rows of a CSV file, all or none."""
    try:
        text = read_text(file).decode("utf-8-sig")
    except UnicodeDecodeError:
        fail(f"{file}: this is not UTF-8 text.")
    with opened() as service:
        typer.echo(f"{service.tables.import_csv(table, [text])} rows added")
