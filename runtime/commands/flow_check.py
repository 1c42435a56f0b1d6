"""``pulsewire flow check``: what is wrong with flow files, where in the file, for people, programs and GitHub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.commands.installation import opened_database
from runtime.commands.terminal import JsonOption, print_json, print_problems, read_or_why

if TYPE_CHECKING:
    from nodes.spec import NodeType
    from runtime.errors import Problem
    from runtime.json_places import Place
    from runtime.neighbourhood import Neighbourhood

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
    findings, is_complete = _findings(files, has_installation=has_installation)
    _print(findings, Format.json if as_json else format_)
    if not is_complete:
        raise typer.Exit(UNREADABLE)
    if any(is_strict or finding.problem.severity == "error" for finding in findings):
        raise typer.Exit(ERRORS_FOUND)


def _findings(files: Sequence[str], *, has_installation: bool) -> tuple[list[Finding], bool]:
    """Return what was found, in the order of the files, and whether all of them could be read."""
    from nodes.spec import load
    from runtime.document import dump, parse_text
    from runtime.errors import Problem
    from runtime.flow_links import links_of
    from runtime.validation import check

    types = load()
    around, near = _around(types) if has_installation else _nothing()
    found: dict[str, list[Problem]] = {}
    texts, links = {}, {}
    for file in dict.fromkeys(files):
        raw, why = read_or_why(file)
        if raw is None:
            found[file] = [Problem("file.unreadable", f"The file cannot be read: {why}.")]
            continue
        texts[file] = raw.decode("utf-8-sig", "replace")
        document, found[file] = parse_text(raw)
        if document is not None:
            found[file] += check(document, types, **around)
            of_file = links_of(dump(document), types, is_live=True)
            links[file] = of_file if of_file.id else replace(of_file, id=file)
    near = near.including(links.values())
    for file, of_file in links.items():
        found[file] += near.problems_of(of_file)
    findings = [each for file in found for each in _placed(file, texts.get(file), found[file])]
    return findings, len(texts) == len(found)


def _nothing() -> tuple[dict[str, Any], Neighbourhood]:
    from runtime.neighbourhood import Neighbourhood

    return {}, Neighbourhood((), is_complete=False)


def _around(types: Mapping[str, NodeType]) -> tuple[dict[str, Any], Neighbourhood]:
    from runtime.neighbours import Neighbours
    from runtime.surroundings import surroundings

    with opened_database() as database, database.read() as session:
        return surroundings(session)._asdict(), Neighbours(types).at(session)


def _placed(file: str, text: str | None, problems: Sequence[Problem]) -> list[Finding]:
    """Return the problems of one file in the order in which they stand there."""
    import json

    from runtime.json_places import Places, place_of_fault

    if text is None or not problems:
        return [Finding(file, problem) for problem in problems]
    if (broken := place_of_fault(text)) is not None:
        return [Finding(file, problem, broken) for problem in problems]
    data, places = json.loads(text, parse_int=str), Places(text)
    placed = [(places.of(_path(problem, data), problem.position), problem) for problem in problems]
    return [Finding(file, problem, place) for place, problem in sorted(placed, key=lambda pair: pair[0])]


def _path(problem: Problem, data: Any) -> tuple[str | int, ...]:
    """Return the way to what *problem* is about in the document that was read."""
    if problem.node is None:
        return ("graph",) if problem.param is None else ("graph", "settings", problem.param, *problem.path)
    nodes = data.get("nodes") or []
    at = next((at for at, node in enumerate(nodes) if isinstance(node, dict) and node.get("id") == problem.node), None)
    if at is None:
        return ("nodes",)
    if problem.param is None:
        return ("nodes", at, "id")
    return ("nodes", at, "params", problem.param, *problem.path)


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
