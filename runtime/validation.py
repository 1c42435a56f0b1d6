"""Everything that is wrong with a flow, at once: on the node and the parameter, in words, with what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from nodes.spec import ERROR, NodeType
from runtime import limits, wording
from runtime.checker import check_expressions
from runtime.column_checks import check_columns
from runtime.declared import Columns
from runtime.document import Document, Node, reference_problems
from runtime.errors import Problem
from runtime.expressions import count_of, tokens_in
from runtime.graph import closing_edges, loops_in, ports_of, reachable_from
from runtime.knowledge import Knowledge
from runtime.param_checks import check_params, fields_of
from runtime.parts import bodies
from runtime.port_checks import check_ports
from runtime.settings_checks import check_settings
from runtime.webhook_checks import check_webhooks

Types = Mapping[str, NodeType]
STRUCTURE = frozenset(  # codes of what no draft may hold: such a document is refused on save
    {"node.id_duplicate", "node.id_invalid", "edge.dangling", "edge.duplicate", "graph.cycle", "sample.duplicate"}
)


def check(
    document: Document,
    types: Types,
    *,
    tables: Collection[str] | None = None,
    credentials: Collection[str] | None = None,
    columns: Columns | None = None,
    environment: Collection[str] | None = None,
) -> list[Problem]:
    """Return every problem of a flow; those of severity ``error`` stop it from being published.

    *tables* are the names and ids of the data tables that exist, *columns* their columns by these, *credentials* the
    folded names of the stored logins, *environment* the variables that flows may read; None leaves them out of the
    check.
    """
    problems = reference_problems(document)
    problems += _cycles(document, types)
    problems += _triggers(document, types)
    problems += _edges(document, types)
    problems += _loops(document, types)
    problems += check_ports(document, types)
    problems += check_webhooks(document, types)
    problems += check_settings(document.graph.settings)
    if (too_much := _too_much(document, types)) is not None:
        return [*problems, too_much]
    for node in document.nodes:
        if (node_type := types.get(node.type)) is None:
            problems.append(_unknown_type(node))
        elif not node.disabled:  # it is passed over, however unfinished it is
            problems += check_params(node, node_type, tables, credentials)
            problems += check_columns(node, node_type, columns or {})
    problems += check_expressions(Knowledge(document, types, columns=columns, environment=environment))
    return problems


def refused(problems: Collection[Problem]) -> list[Problem]:
    """Return those problems for which even a draft is not saved."""
    return [problem for problem in problems if problem.code in STRUCTURE]


def _unknown_type(node: Node) -> Problem:
    message = (
        f"{wording.shown(node.name)}: there is no node type “{wording.shown(node.type)}” in this installation."
        " Replace the node, or update Pulsewire."
    )
    return Problem("node.type_unknown", message, node.id)


def _too_much(document: Document, types: Types) -> Problem | None:
    """Return that reading all expressions would take too long."""
    if sum(count_of(node.params) for node in document.nodes) > limits.EXPRESSIONS_IN_FLOW:
        message = f"The flow has more than {limits.EXPRESSIONS_IN_FLOW:,} expressions. Split it into several flows."
        return Problem("expression.too_many", message)
    left = limits.EXPRESSION_TOKENS_IN_FLOW
    for node in document.nodes:
        node_type = types.get(node.type)
        fields = {} if node_type is None else fields_of(node_type.params)
        for name, value in node.params.items():
            is_bare = name in fields and (fields[name].is_late or _kind(node, types) == "trigger")
            left -= tokens_in(value, is_bare=is_bare)
        if left < 0:
            message = (
                f"The flow's expressions have more than {limits.EXPRESSION_TOKENS_IN_FLOW:,} names, signs and values"
                " together. Shorten them, or split the flow into several."
            )
            return Problem("expression.too_many_tokens", message)
    return None


def _cycles(document: Document, types: Types) -> Iterator[Problem]:
    nodes = {node.id: node for node in document.nodes}
    starts = [node.id for node in document.nodes if _kind(node, types) == "trigger"]
    ids = dict.fromkeys([*starts, *nodes])
    pairs = [(edge.source, edge.target) for edge in document.edges if edge.source in nodes and edge.target in nodes]
    for source, target in dict.fromkeys(closing_edges(ids, pairs)):
        names = wording.shown(nodes[source].name), wording.shown(nodes[target].name)
        rest = f"the flow would run in a circle from “{names[0]}” back to “{names[1]}”. Remove that edge."
        if source == target:
            yield Problem("graph.cycle", f"{names[0]}: the node is connected to itself. Remove that edge.", source)
            continue
        yield Problem("graph.cycle", f"{names[0]}: {rest}", source)
        yield Problem("graph.cycle", f"{names[1]}: {rest}", target)


def _triggers(document: Document, types: Types) -> Iterator[Problem]:
    triggers = [node.id for node in document.nodes if _kind(node, types) == "trigger"]
    if not triggers:
        if all(node.type in types for node in document.nodes):  # an unknown type may well be a trigger
            yield Problem("graph.no_trigger", "The flow has no trigger, so nothing starts it. Add a trigger.")
        return
    reached = reachable_from(triggers, ((edge.source, edge.target) for edge in document.edges))
    for node in document.nodes:
        if node.id not in reached:
            message = f"{wording.shown(node.name)}: no trigger leads here, so it never runs. Connect it, or delete it."
            yield Problem("graph.unreachable", message, node.id, severity="warning")


def _edges(document: Document, types: Types) -> Iterator[Problem]:
    nodes = {node.id: node for node in document.nodes}
    for edge in document.edges:
        source, target = nodes.get(edge.source), nodes.get(edge.target)
        if source is None or target is None:
            continue
        if _kind(target, types) == "trigger":
            message = (
                f"{wording.shown(target.name)}: a trigger starts a flow, so nothing can lead to it. Remove the edge."
            )
            yield Problem("edge.into_trigger", message, target.id)
        source_type = types.get(source.type)
        if source_type is not None:
            ports = [port.name for port in ports_of(source, source_type)]
            if edge.key not in ports:
                yield _unknown_port(source, edge.key, ports)


def _loops(document: Document, types: Types) -> Iterator[Problem]:
    """Nothing leads out of a loop's body: what follows the loop hangs on its other port."""
    loops = loops_in(document, types)
    if not loops:
        return
    nodes = {node.id: node for node in document.nodes}
    triggers = [node.id for node in document.nodes if _kind(node, types) == "trigger"]
    edges = [(e.source, e.target, e.key) for e in document.edges if e.source in nodes and e.target in nodes]
    inside = bodies(triggers, loops, edges)
    for loop, body in inside.items():
        if not body and not any((source, key) == (loop, loops[loop]) for source, _target, key in edges):
            message = f"{_name(nodes[loop])}: nothing hangs on the port that is repeated. Connect what it should do."
            yield Problem("loop.empty", message, loop, severity="warning")
    for source, target, key in edges:
        for loop, body in inside.items():
            leaves = source in body and target not in body
            enters = (source, key) == (loop, loops[loop]) and target not in body
            if leaves or enters:
                message = (
                    f"{_name(nodes[source])}: an edge leads out of the loop “{_name(nodes[loop])}” to “"
                    f"{_name(nodes[target])}”, which can be reached in another way. Connect that to the port of the"
                    " loop that fires at its end, or let nothing else lead to it."
                )
                yield Problem("loop.edge_out", message, source)


def _name(node: Node) -> str:
    return wording.shown(node.name)


def _unknown_port(source: Node, port: str, ports: list[str]) -> Problem:
    if port == ERROR.name:
        what_to_do = "Set the node to go on at its error port, or remove the edge."
    else:
        what_to_do = "Connect the edge to another port, or remove it."
    known = f"there are: {wording.shown(', '.join(ports), 200)}" if ports else "nothing follows it"
    message = (
        f"{wording.shown(source.name)}: an edge leaves at the port “{wording.shown(port)}”, which the node does not"
        f" have; {known}. {what_to_do}"
    )
    return Problem("edge.port_unknown", message, source.id)


def _kind(node: Node, types: Types) -> str | None:
    node_type = types.get(node.type)
    return node_type.kind if node_type else None
