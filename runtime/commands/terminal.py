"""How commands talk: answers on standard output, problems one per line on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from runtime.errors import Problem

MOST_BYTES = 200_000_000  # of a file; no command takes more
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def print_json(value: Any) -> None:
    """Print *value* as indented JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print *rows* in columns as wide as they need to be."""
    lines = [tuple(titles), *(tuple("" if cell is None else str(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def fail(message: str, status: int = 1) -> NoReturn:
    """Print *message* on standard error and end the command."""
    typer.echo(message, err=True)
    raise typer.Exit(status)


def print_problems(problems: Iterable[Problem], source: str = "") -> None:
    """Print each problem on its own line of standard error: where, what, and its code."""
    for problem in problems:
        place = ".".join(part for part in (problem.node, problem.param) if part)
        start = "".join(
            f"{part}: " for part in (source, "warning" if problem.severity == "warning" else "", place) if part
        )
        typer.echo(f"{start}{' '.join(problem.message.split())} [{problem.code}]", err=True)


@contextmanager
def told() -> Iterator[None]:
    """End the command with status 1 and the problems, in place of what the service raised."""
    from backend.errors import BackendError
    from runtime.errors import Problem, RuntimeFault
    from storage.errors import StorageError

    try:
        yield
    except RuntimeFault as refused:
        print_problems(refused.problems)
    except BackendError as refused:
        print_problems(Problem(fault.code, fault.message, param=fault.field) for fault in refused.faults)
    except StorageError as refused:
        typer.echo(str(refused), err=True)
    except OSError as refused:
        fail(f"{refused.filename}: {refused.strerror}.")
    else:
        return
    raise typer.Exit(1)


def read_text(path: str) -> bytes:
    """Return what is in a file, or on standard input for “-”."""
    raw, why = read_or_why(path)
    if raw is None:
        fail(f"{path}: {why}.")
    return raw


def read_or_why(path: str) -> tuple[bytes | None, str]:
    """Return what is in a file, or on standard input for “-”; None and why it cannot be read."""
    try:
        with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        return None, error.strerror or "it cannot be opened"
    return (raw, "") if len(raw) <= MOST_BYTES else (None, f"it has more than {MOST_BYTES:,} bytes")
