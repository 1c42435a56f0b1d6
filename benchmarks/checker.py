"""How long does a check of a flow take, at first and after each keystroke?

    python benchmarks/checker.py [--nodes 100] [--json]

The flow mixes conditions, loops of fields, mails, requests with an error port and reads of earlier outputs, two to four
expressions a node. Times are of the process's own CPU, so that other work on the machine does not count; the wall
clock is told beside them. "first" is the first check of a new process, "opened" that of another flow with texts of its
own, "keystroke" one after another letter was typed, "picker" all that is known in the last node.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from nodes.spec import load
from runtime import document, validation
from runtime.knowledge import Knowledge

Json = Any
ROUNDS = 50


def flow(nodes: int, first: int = 1) -> dict[str, Json]:
    """Return a flow of this many nodes that has nothing wrong; its numbers, which texts hold, begin at *first*."""
    found: list[dict[str, Json]] = [{"id": "start", "type": "auth.user_signedUp"}]
    edges: list[dict[str, str]] = []
    open_ports = [("start", "out")]
    readable = ["$param.email"]
    for number in range(first, first + nodes - 1):
        made, ports, gives = _node(number, readable)
        found.append(made)
        edges += [{"source": source, "key": key, "target": made["id"]} for source, key in open_ports]
        open_ports = [(made["id"], port) for port in ports]
        readable = [*readable[-3:], *gives]
    return {"format": document.FORMAT, "graph": {"id": "f", "name": "F"}, "nodes": found, "edges": edges}


def _node(number: int, readable: list[str]) -> tuple[dict[str, Json], tuple[str, ...], list[str]]:
    """Return a node, the ports that the next one follows, and what can be read of it."""
    name, text = f"n{number}", " ".join(f"{{{{ {each} | default('') }}}}" for each in readable)
    match number % 5:
        case 0:
            test = f"{{{{ $param.email == 'a{number}@example.com' and $param.emailVerified }}}}"
            return {"id": name, "type": "condition", "params": {"if": test}}, ("true", "false"), []
        case 1:
            params = {"search": f"{{{{ $param.email | lower | replace('a', 'b{number}') }}}}"}
            return {"id": name, "type": "find_users", "params": params}, ("out",), [f"$action.{name}.count"]
        case 2:
            params = {"to": "{{ $param.email }}", "subject": f"{number} for {{{{ $param.userId }}}}", "text": text}
            return {"id": name, "type": "send_email", "params": params}, ("out",), [f"$action.{name}.via"]
        case 3:
            params = {"url": f"https://example.com/{number}/{{{{ $param.userId | urlencode }}}}", "json": {"all": text}}
            made = {"id": name, "type": "http_request", "params": params, "on_error": "port"}
            return made, ("out", "error"), [f"$action.{name}.status"]
        case _:
            fields = {
                "x": f"{{{{ $param.email | upper }}}} {number}",
                "roles": "{{ $param.roles | length }}",
                "all": text,
            }
            return {"id": name, "type": "set_fields", "params": {"fields": fields}}, ("out",), [f"$action.{name}.x"]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the milliseconds of CPU, and of the wall clock, that *work* takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3


def parsed(drawn: dict[str, Json]) -> document.Document:
    found, problems = document.parse(drawn)
    assert found is not None, problems
    return found


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--nodes", type=int, default=100)
    asked.add_argument("--json", action="store_true")
    options = asked.parse_args()
    types, drawn = load(), flow(options.nodes)
    known = parsed(drawn)
    told: dict[str, list[tuple[float, float]]] = {"first": [timed(lambda: validation.check(known, types))]}
    assert validation.check(known, types) == []
    others = [parsed(flow(options.nodes, number * 10_000)) for number in range(1, 11)]
    told["opened"] = [timed(partial(validation.check, other, types)) for other in others]
    told["keystroke"] = []
    for number in range(ROUNDS):
        drawn["nodes"][1]["params"]["search"] = "{{ $param.email" + " ~ 'x'" * number + " }}"
        told["keystroke"].append(timed(partial(validation.check, parsed(drawn), types)))
    told["picker"] = [
        timed(lambda: dict(Knowledge(known, types).scope_of(known.nodes[-1].id)["action"].fields)) for _ in range(20)
    ]
    medians = {name: [statistics.median(each) for each in zip(*times, strict=True)] for name, times in told.items()}
    if options.json:
        print(json.dumps({"nodes": options.nodes, **medians}))
        return
    for name, (cpu, wall) in medians.items():
        print(f"{name:12} {cpu:6.1f} ms CPU, {wall:6.1f} ms in all")


if __name__ == "__main__":
    main()
