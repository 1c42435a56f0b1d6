"""``pulsewire flow check``: what is wrong with flow files, where in the file, for people, programs and GitHub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.commands.installation import opened_database
from runtime.commands.terminal import JsonOption, print_json, print_problems, read_or_why

if TYPE_CHECKING:
    from runtime.errors import Problem
    from runtime.json_places import Place
    from runtime.surroundings import Surroundings

ERRORS_FOUND, UNREADABLE = 1, 2


class Format(StrEnum):
    text = "text"
    github = "github"
    json = "json"


@dataclass(frozen=True)
class Finding:
    """One problem of one file; the place is None where the file cannot be read."""

    file: str
    problem: Problem
    place: Place | None = None

    def as_json(self) -> dict[str, Any]:
        place = {} if self.place is None else {"line": self.place.line, "column": self.place.column}
        return {"file": self.file, **place, **self.problem.as_json()}


def check_flows(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Flow files; “-” is standard input.")],
    format_: Annotated[Format, typer.Option("--format", help="How to print what is found.")] = Format.text,
    is_strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    has_installation: Annotated[
        bool,
        typer.Option("--installation", help="Also look up tables, credentials and flows of this installation."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check flow files, each by itself and all together; no installation is needed.

    Status 1 when a flow has an error, 2 when a file cannot be read; the others are still checked.
    """
    findings, is_complete = _findings(files, _around() if has_installation else None)
    _print(findings, Format.json if as_json else format_)
    if not is_complete:
        raise typer.Exit(UNREADABLE)
    if any(is_strict or finding.problem.severity == "error" for finding in findings):
        raise typer.Exit(ERRORS_FOUND)


def _around() -> Surroundings:
    from runtime.surroundings import surroundings

    with opened_database() as database, database.read() as session:
        return surroundings(session)


def _findings(files: Sequence[str], around: Surroundings | None) -> tuple[list[Finding], bool]:
    """Return what was found, in the order of the files, and whether all of them could be read."""
    from runtime.errors import Problem

    findings: list[Finding] = []
    is_complete = True
    for file in files:
        raw, why = read_or_why(file)
        if raw is None:
            is_complete = False
            findings.append(Finding(file, Problem("file.unreadable", f"The file cannot be read: {why}.")))
        else:
            findings += _findings_in(file, raw, around)
    return findings, is_complete


def _findings_in(file: str, raw: bytes, around: Surroundings | None) -> list[Finding]:
    from nodes.spec import load
    from runtime.document import parse_text
    from runtime.validation import check

    document, problems = parse_text(raw)
    if document is not None:
        problems += check(document, load(), **(around._asdict() if around else {}))
    return sorted(_placed(file, raw.decode("utf-8-sig", "replace"), problems), key=lambda found: found.place or ())


def _placed(file: str, text: str, problems: Iterable[Problem]) -> Iterator[Finding]:
    import json

    from runtime.json_places import Places, place_of_fault

    problems = list(problems)
    if not problems:
        return
    if (broken := place_of_fault(text)) is not None:
        yield from (Finding(file, problem, broken) for problem in problems)
        return
    data, places = json.loads(text), Places(text)
    for problem in problems:
        yield Finding(file, problem, places.of(_path(problem, data)))


def _path(problem: Problem, data: Any) -> tuple[str | int, ...]:
    """Return the way to what *problem* is about in the document that was read."""
    if problem.node is None:
        return ("graph",) if problem.param is None else ("graph", "settings", problem.param)
    nodes = data.get("nodes") or []
    at = next((at for at, node in enumerate(nodes) if isinstance(node, dict) and node.get("id") == problem.node), None)
    if at is None:
        return ("nodes",)
    if problem.param is None:
        return ("nodes", at, "id")
    return ("nodes", at, "params", problem.param)


def _print(findings: Sequence[Finding], format_: Format) -> None:
    if format_ is Format.json:
        print_json({"problems": [finding.as_json() for finding in findings]})
    elif format_ is Format.github:
        for finding in findings:
            typer.echo(_github(finding))
    else:
        for finding in findings:
            where = (
                finding.file if finding.place is None else f"{finding.file}:{finding.place.line}:{finding.place.column}"
            )
            print_problems([finding.problem], where)


def _github(finding: Finding) -> str:
    """One workflow command; what stands behind “::” and between commas is escaped as GitHub's own toolkit does."""
    problem = finding.problem
    properties = {} if finding.file == "-" else {"file": finding.file}
    if finding.place is not None:
        properties |= {"line": str(finding.place.line), "col": str(finding.place.column)}
    properties["title"] = problem.code
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{problem.severity} {told}::{_data(' '.join(problem.message.split()))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
