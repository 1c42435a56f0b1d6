"""Ports that lead nowhere where something should follow, and edges at ports that never fire."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from nodes.spec import ERROR, NodeType
from runtime import wording
from runtime.document import Document, Node
from runtime.errors import Problem
from runtime.graph import loops_in, reachable_from
from runtime.param_checks import fields_of
from runtime.parts import bodies

Types = Mapping[str, NodeType]
DEFAULT = "default"  # the port of a choice when no case fits


def check_ports(document: Document, types: Types) -> Iterator[Problem]:
    """Yield what hangs on nothing though it should, each on its node. All are warnings.

    In the body of a loop a port may lead nowhere: what ends there is the output of the round.
    """
    edges = [(edge.source, edge.target, edge.key) for edge in document.edges]
    triggers = [node.id for node in document.nodes if node.type in types and types[node.type].kind == "trigger"]
    inside = frozenset[str]().union(*bodies(triggers, loops_in(document, types), edges).values())
    reached = reachable_from(triggers, ((source, target) for source, target, _ in edges))
    taken: dict[str, set[str]] = defaultdict(set)
    for source, _, port in edges:
        taken[source].add(port)
    for node in document.nodes:
        node_type = types.get(node.type)
        if node_type is not None and node.pinned is not None:
            yield from _pinned_elsewhere(node, node_type, node.pinned.port)
        if node_type is None or node.disabled or node.id not in reached:
            continue
        yield from _never_fired(node, node_type, taken[node.id])
        if node.id not in inside:
            yield from _leading_nowhere(node, node_type, taken[node.id])


def _never_fired(node: Node, node_type: NodeType, taken: set[str]) -> Iterator[Problem]:
    fields = fields_of(node_type.params)
    for port in node_type.ports(node.params):
        if port.needs and port.name in taken and node.params.get(port.needs) in (None, ""):
            message = (
                f"{_name(node)}: “{fields[port.needs].title}” is empty, so the flow never goes on at the port "
                f"“{port.title}”. Fill it in, or remove what hangs there."
            )
            yield Problem("port.never_fires", message, node.id, port.needs, severity="warning")


def _pinned_elsewhere(node: Node, node_type: NodeType, pinned: str) -> Iterator[Problem]:
    ports = [port.name for port in node_type.ports(node.params)]
    if ports and pinned not in (*ports, ERROR.name):
        message = (
            f"{_name(node)}: the pinned output goes on at the port “{wording.shown(pinned)}”, which the node does not "
            f"have; there are: {wording.shown(', '.join(ports), 200)}. Choose one of them, or remove the pin."
        )
        yield _warning("pin.port_unknown", message, node)


def _leading_nowhere(node: Node, node_type: NodeType, taken: set[str]) -> Iterator[Problem]:
    if node.on_error == "port" and ERROR.name not in taken:
        message = (
            f"{_name(node)}: when it fails, the flow goes on at the port “{ERROR.title}”, where nothing hangs, and "
            "nobody hears of it. Connect what should follow, or let the run fail."
        )
        yield _warning("port.error_open", message, node)
    ports = [port.name for port in node_type.ports(node.params)]
    is_choice = len(ports) > 1 and node_type.effect == "none" and node_type.body_port is None
    if is_choice and not taken - {ERROR.name}:
        message = f"{_name(node)}: nothing follows, so it decides nothing. Connect its ports, or delete it."
        yield _warning("port.nothing_follows", message, node)
    elif is_choice and ports[-1] == DEFAULT and DEFAULT not in taken and taken.intersection(ports):
        for case in (port for port in ports if port not in taken and port != DEFAULT):
            message = (
                f"{_name(node)}: nothing hangs on the case “{wording.shown(case)}”, nor on the default. Connect it, or "
                "remove the case."
            )
            yield _warning("port.case_open", message, node)


def _warning(code: str, message: str, node: Node) -> Problem:
    return Problem(code, message, node.id, severity="warning")


def _name(node: Node) -> str:
    return wording.shown(node.name)
