"""``pulsewire credentials …``"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from runtime.commands.installation import opened
from runtime.commands.terminal import JsonOption, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Stored logins that flows and webhooks name: list, create, delete.")

Hosts = Annotated[list[str] | None, typer.Option("--host", help="Where flows may send it; may be given several times.")]


@app.command("list")
def list_credentials(as_json: JsonOption = False) -> None:
    """List the logins; nobody is told their secrets."""
    with opened() as service:
        found = service.credentials.list()
    if as_json:
        print_json([each.as_json() for each in found])
    else:
        rows = [(each.name, each.kind, ", ".join(each.hosts or ()) or "webhooks only") for each in found]
        print_table(("NAME", "KIND", "GOES TO"), rows)


@app.command("create")
def create_credential(
    name: Annotated[str, typer.Argument(help="What flows call it; it stays.")],
    kind: Annotated[str, typer.Option(help="basic, bearer, header, hmac or standard_webhooks.")],
    user: Annotated[str | None, typer.Option(help="The user name of a basic login.")] = None,
    header: Annotated[str | None, typer.Option(help="The header of a header or hmac login.")] = None,
    algorithm: Annotated[str | None, typer.Option(help="Of hmac: sha256, sha1 or sha512.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of hmac: hex or base64.")] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Of hmac: what stands before the signature, such as sha256=.")
    ] = None,
    host: Hosts = None,
) -> None:
    """Store a login. Its secret is read from standard input, or asked for; it is never an argument."""
    given = {"user": user, "header": header, "algorithm": algorithm, "encoding": encoding, "prefix": prefix}
    settings = {key: value for key, value in given.items() if value is not None}
    secret = typer.prompt("Secret", hide_input=True) if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    with opened() as service:
        service.credentials.create(name, kind, secret, settings, host or [])


@app.command("delete")
def delete_credential(name: Annotated[str, typer.Argument(help="Name or id.")]) -> None:
    """Forget a login; what needs it is refused from then on."""
    with opened() as service:
        service.credentials.delete(name)
