"""The page of what the checker tells, written from ``runtime.check_codes``: see ``runtime.reference``."""

from __future__ import annotations

from pathlib import Path

from runtime.check_codes import CODES

PAGE = Path(__file__).parent.parent / "docs" / "checker.md"
HEAD = """# The checker

A flow is checked while it is drawn, when it is saved, and by `pulsewire flow check FILE…`; nothing is run and no
expression is evaluated for it. An *error* stops publishing, a *warning* does not. A problem stands on its node and
field, and says where in the text it is; where what should be there is exact, it brings it along as a suggestion.

## What it knows

- `$param` is the payload of the triggers that lead to the node, as their events declare it. Where several do, a field
  that only some of them bring may be missing. Inputs of a *Manual start* are known by their kinds.
- `$action.<node id>` is what the node's type declares; *Set fields* gives what its fields come to, and rows have the
  columns of their table. Which outputs are there follows from the graph, exactly: a node runs when an edge to it is
  taken, so two branches that both run are both there where they join, and of two that a condition chooses each may be
  missing. Behind a port *Error* the output is what went wrong; a node that goes on when it fails may have none.
- `$item` is an entry of the list that the loop goes through, `$index` a number; neither is there outside of a loop.
- `$env` holds the variables that `PULSEWIRE_ENV_NAMES` lists and that are set where the server runs. Only the server
  knows them: `pulsewire flow check` tells nothing of them.
- What nobody declares is unknown and is never told as wrong: the body of a webhook or of an HTTP answer, the payload of
  an event of one's own, what another flow returns, a column with JSON. A sample or the last run gives hints for these.
- What an expression has asked before is certain after it: `$action.a is defined and $action.a.total`, `… if $param.x
  else …`, `| default(…)`; and so is what a *Condition* has asked on the way to the node. Conditions and switches that
  ask the same have the same answer, also where an expression asks it again, alone or together with something else.

A flow has at most a few hundred choices that depend on each other before the ways through it are no longer told apart;
then outputs on them are taken as there.

## What it tells

This table is written from `runtime/check_codes.py` by `python -m runtime.reference`.

| code | | what it means | how to mend it |
|---|---|---|---|
"""
BETWEEN = """
## What else a check tells

| code | what it means |
|---|---|
"""
OTHERS = {
    "expression.syntax expression.empty": "the text between the braces is no expression",
    "expression.name_unknown expression.filter_unknown expression.test_unknown": "a name, filter or test there is not",
    "expression.call": "what is called is no method, or one there is not",
    "expression.refused expression.too_… expression.number_range": "not allowed, or beyond a limit",
    "param.missing param.invalid param.unknown param.literal": "a field is empty, wrong, or takes no expression",
    "param.table_unknown param.credential_unknown": "a table or a login that does not exist",
    "node.type_unknown graph.no_trigger graph.unreachable graph.cycle": "what nothing starts or reaches, or never ends",
    "edge.into_trigger edge.port_unknown loop.empty loop.edge_out": "edges that cannot be",
}
REST = """
Ports that lead nowhere, and what is told between flows: [Flows](flows.md#checking-files).

In the API a problem is `{"code", "message", "node"?, "param"?, "severity"?, "path"?, "position"?, "length"?,
"suggestion"?}`: `path` leads to the text in the parameter, `position` and `length` count characters in it, and
`suggestion` is what to write in their place.
"""


def page() -> str:
    """Return the page as Markdown."""
    rows = [_row(f"`{code}`", told.severity, told.meaning, told.mend) for code, told in CODES.items()]
    others = [_row(", ".join(f"`{code}`" for code in codes.split()), meaning) for codes, meaning in OTHERS.items()]
    return "".join([HEAD, *rows, BETWEEN, *others, REST])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
