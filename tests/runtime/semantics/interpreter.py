"""What a run of a flow comes to: the rules of flows as one plain program, to hold the engine against.

It works step by step, keeps everything in memory and knows nothing of journals, waits or restarts. What the outside
world does is given beforehand: for each call how often it fails and whether it succeeds then.

Where branches run side by side and one of them ends the run, it is not settled how far the others come. The program
goes on as if nothing had ended it and marks every step that may have been cut short, see ``Step.may_be_cut``.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import networkx

from runtime.expressions import ExpressionError, Scope, compile_value

Json: TypeAlias = Any
Key: TypeAlias = tuple[str, str]  # node and iteration
LOOPS = {"for_each": "each", "while_loop": "each"}
TRIGGERS = ("event", "manual")
BUSY, REFUSED = "test.busy", "test.refused"
INVALID = "param.invalid"


@dataclass(frozen=True)
class Answer:
    """What an outside call does: it fails *busy* times for a reason that passes, then succeeds, or is refused."""

    busy: int = 0
    is_refused: bool = False


@dataclass
class World:
    """What is outside of the flow. *heard* are the steps whose event comes in time; *flows* may be called, by id."""

    answers: Mapping[Key, Answer] = field(default_factory=dict)
    heard: Collection[Key] = ()
    flows: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)


class OneOf(frozenset[str]):
    """Any of these codes: where several branches fail, the first decides, and it is not settled which one that is."""


class Unsettled(Exception):
    """The flow goes on with something that is not settled."""


@dataclass(frozen=True)
class Step:
    """What a step comes to. *calls* is how often the outside was called."""

    status: str
    port: str | None = None
    output: Json = None
    code: Json = None
    calls: int = 0
    may_be_cut: bool = False


@dataclass
class Told:
    """What a run comes to. *returning* are the steps that return an output; the last one's is the run's."""

    status: str
    steps: dict[Key, Step]
    failing: list[Key]
    returning: list[Key]

    @property
    def returned(self) -> list[Json]:
        """Every output that may be the run's: of branches side by side any may be the last one, or cut short."""
        steps = [self.steps[key] for key in self.returning]
        return [step.output for step in steps] + [None] * all(step.may_be_cut for step in steps)


@dataclass
class Failure(Exception):
    """The step failed; *code* may be OneOf."""

    code: Json
    calls: int = 0


@dataclass(frozen=True)
class Frame:
    """Where a walk is: outside of loops, or in one round of one. *start* is the loop, or the trigger."""

    start: str
    iteration: str
    outputs: ChainMap[str, Json]
    loop: Mapping[str, Json] = field(default_factory=dict)  # item and index

    def round(self, loop: str, number: int, item: Json) -> Frame:
        iteration = f"{self.iteration}.{number}" if self.iteration else str(number)
        return Frame(loop, iteration, self.outputs.new_child(), {"item": item, "index": number})


class Interpreter:
    """Runs one flow once."""

    def __init__(self, document: Mapping[str, Json], world: World, *, is_test: bool = False) -> None:
        self._nodes = {node["id"]: node for node in document["nodes"]}
        self._edges = [(edge["source"], edge["key"], edge["target"]) for edge in document["edges"]]
        self._world = world
        self._is_test = is_test
        self._steps: dict[Key, Step] = {}
        self._returning: list[Key] = []
        graph = networkx.MultiDiGraph((source, target) for source, _port, target in self._edges)
        graph.add_nodes_from(self._nodes)
        self._order = list(networkx.lexicographical_topological_sort(graph, key=list(self._nodes).index))
        triggers = [name for name, node in self._nodes.items() if node["type"] in TRIGGERS]
        self._bodies = {
            name: self._reached(self._targets(name, LOOPS[node["type"]]))
            - self._reached(triggers, without=(name, LOOPS[node["type"]]))
            for name, node in self._nodes.items()
            if node["type"] in LOOPS
        }

    def run(self, trigger: str, payload: Mapping[str, Json]) -> Told:
        """Return what a run comes to that starts at *trigger*."""
        self._payload = payload
        takes_part = self._reached([trigger]) - set[str]().union(*self._bodies.values())
        failing = self._walk(takes_part, Frame(trigger, "", ChainMap()))
        if failing:
            self._may_be_cut("")
        return Told("failed" if failing else "succeeded", self._steps, failing, self._returning)

    def _reached(self, starts: Collection[str], without: tuple[str, str] | None = None) -> set[str]:
        found, waiting = set(starts), list(starts)
        while waiting:
            source = waiting.pop()
            for port in {key for at, key, _target in self._edges if at == source and (source, key) != without}:
                waiting += [target for target in self._targets(source, port) if target not in found]
                found.update(self._targets(source, port))
        return found

    def _targets(self, source: str, port: str) -> list[str]:
        return [target for at, key, target in self._edges if (at, key) == (source, port)]

    def _walk(self, members: Collection[str], frame: Frame) -> list[Key]:
        """Decide every node of *members*, and return the steps that failed for good."""
        fired: dict[str, str | None] = {}  # None: skipped
        if self._nodes[frame.start]["type"] in LOOPS:
            fired[frame.start] = LOOPS[self._nodes[frame.start]["type"]]
        failing = []
        for name in self._order:
            if name not in members:
                continue
            arriving = [
                (source, key)
                for source, key, target in self._edges
                if target == name and (source in members or source == frame.start)
            ]
            if any(source not in fired for source, _key in arriving):
                continue  # it comes after a step that failed for good
            if arriving and not any(fired[source] == key for source, key in arriving):
                step = Step("skipped")
            else:
                step = self._step(self._nodes[name], frame)
            self._steps[name, frame.iteration] = step
            if self._nodes[name]["type"] == "return_output" and step.status == "succeeded":
                self._returning.append((name, frame.iteration))
            if step.status == "failed" and step.port is None:
                failing.append((name, frame.iteration))
                continue
            fired[name] = step.port
            if step.status != "skipped":
                frame.outputs[name] = step.output
        return failing

    def _step(self, node: Mapping[str, Json], frame: Frame) -> Step:
        if node.get("disabled"):
            return Step("skipped", self._ports_passed_on(node))
        if self._is_test and (pinned := node.get("pinned")):
            return Step("succeeded", pinned["port"], pinned.get("output"))
        try:
            return getattr(self, f"_{node['type']}")(node, frame)
        except Failure as failure:
            told = {"code": failure.code, "step": node["id"]}
            port, output = {"continue": ("out", None), "port": ("error", told)}.get(
                node.get("on_error", "stop"), (None, None)
            )
            return Step("failed", port, output, failure.code, failure.calls)

    def _ports_passed_on(self, node: Mapping[str, Json]) -> str | None:
        """Return the port that fires when a node is passed over: its first, but never that of a loop's body."""
        match node["type"]:
            case "condition":
                return "true"
            case "switch":
                return str(node["params"]["cases"][0])
            case "for_each" | "while_loop":
                return "done"
            case "return_output":
                return {"continue": "out", "port": "error"}.get(node.get("on_error", "stop"))
        return "out"

    def _evaluated(self, params: Mapping[str, Json], frame: Frame) -> Json:
        scope = Scope(param=self._payload, action=frame.outputs, **frame.loop)
        try:
            return compile_value(dict(params)).evaluate(scope)
        except ExpressionError as error:
            if error.code == "expression.result":  # JSON cannot hold it: it is one of several codes
                raise Unsettled from error
            raise Failure(error.code) from error

    # what each node does

    def _event(self, node: Mapping[str, Json], frame: Frame) -> Step:
        return Step("succeeded", "out", self._payload)

    _manual = _event

    def _echo(self, node: Mapping[str, Json], frame: Frame) -> Step:
        return Step("succeeded", "out", {"text": _text(self._evaluated(node["params"], frame))})

    def _call(self, node: Mapping[str, Json], frame: Frame) -> Step:
        text = _text(self._evaluated(node["params"], frame))
        answer = self._world.answers.get((node["id"], frame.iteration), Answer())
        attempts = node.get("retry", {"attempts": 1}).get("attempts", 3)
        if answer.busy >= attempts:
            raise Failure(BUSY, attempts)
        if answer.is_refused:
            raise Failure(REFUSED, answer.busy + 1)
        return Step("succeeded", "out", {"text": text}, calls=answer.busy + 1)

    _call_once = _call

    def _insert_row(self, node: Mapping[str, Json], frame: Frame) -> Step:
        values = self._evaluated(node["params"], frame)["values"]
        return Step("succeeded", "out", {"row": values})

    def _emit_event(self, node: Mapping[str, Json], frame: Frame) -> Step:
        self._evaluated(node["params"], frame)
        return Step("succeeded", "out", {})

    def _condition(self, node: Mapping[str, Json], frame: Frame) -> Step:
        found = self._evaluated(node["params"], frame)["if"]
        if not isinstance(found, bool):
            raise Failure(INVALID)
        return Step("succeeded", "true" if found else "false", {"result": found})

    def _switch(self, node: Mapping[str, Json], frame: Frame) -> Step:
        """*value* is a text in these flows; how others are compared with a case is the node's own matter."""
        params = self._evaluated(node["params"], frame)
        case = params["value"] if params["value"] in params["cases"] else "default"
        return Step("succeeded", case, {"case": case})

    def _delay(self, node: Mapping[str, Json], frame: Frame) -> Step:
        if not isinstance(self._evaluated(node["params"], frame)["seconds"], int):
            raise Failure(INVALID)
        return Step("succeeded", "out", {})

    def _wait_for_event(self, node: Mapping[str, Json], frame: Frame) -> Step:
        params = self._evaluated(node["params"], frame)
        if (node["id"], frame.iteration) not in self._world.heard:
            return Step("succeeded", "timeout", None)
        return Step("succeeded", "out", {"name": params["event"], "payload": params["match"]})

    def _return_output(self, node: Mapping[str, Json], frame: Frame) -> Step:
        output = self._evaluated(node["params"], frame)["output"]
        if not isinstance(output, dict):
            raise Failure(INVALID)
        return Step("succeeded", None, output)

    def _run_flow(self, node: Mapping[str, Json], frame: Frame) -> Step:
        params = self._evaluated(node["params"], frame)
        called = Interpreter(self._world.flows[params["flow"]], self._world)
        (trigger,) = [each["id"] for each in called._nodes.values() if each["type"] == "manual"]
        told = called.run(trigger, params.get("input", {}))
        if told.status == "failed":
            raise Failure("run_flow.failed")
        return Step("succeeded", "out", {"output": told.returned[0]})

    def _for_each(self, node: Mapping[str, Json], frame: Frame) -> Step:
        params = self._evaluated(node["params"], frame)
        items, goes_on = params["items"], params.get("on_item_error", "stop") == "continue"
        if not isinstance(items, list):
            raise Failure(INVALID)
        is_in_turn = params.get("parallel", 1) == 1
        outputs, errors = [], []
        for number, item in enumerate(items):
            output, code = self._round(node["id"], frame.round(node["id"], number, item))
            outputs.append(output)
            if code is not None:
                errors.append({"index": number, "code": code})
                if is_in_turn and not goes_on:
                    break
        if errors and not goes_on:
            if not is_in_turn:
                self._may_be_cut(frame.iteration, node["id"])
            raise Failure(_any(error["code"] for error in errors))
        done = {"outputs": outputs, "count": len(items), "failed": len(errors), "errors": errors}
        return Step("succeeded", "done", done)

    def _while_loop(self, node: Mapping[str, Json], frame: Frame) -> Step:
        outputs: list[Json] = []
        seen = frame.outputs  # the condition also reads what the round before has come to, the next round does not
        while True:
            last = outputs[-1] if outputs else None
            asked = Frame(frame.start, frame.iteration, seen, {"item": last, "index": len(outputs)})
            params = self._evaluated(node["params"], asked)
            if not isinstance(params["while"], bool):
                raise Failure(INVALID)
            if not params["while"]:
                return Step("succeeded", "done", {"outputs": outputs, "rounds": len(outputs)})
            if len(outputs) == params.get("max_rounds", 100):
                raise Failure("loop.bound_reached")
            around = frame.round(node["id"], len(outputs), last)
            output, code = self._round(node["id"], around)
            if code is not None:
                raise Failure(code)
            outputs.append(output)
            seen = around.outputs

    def _round(self, loop: str, frame: Frame) -> tuple[Json, Json]:
        """Return what one round of a loop's body gave, and the code of its failure; None where it did not fail."""
        body = self._bodies[loop] - set[str]().union(*(self._bodies.get(name, set()) for name in self._bodies[loop]))
        if failing := self._walk(body, frame):
            self._may_be_cut(frame.iteration)
            return None, _any(self._steps[key].code for key in failing)
        ended = {
            name: step.output
            for name in self._order
            if name in body
            and (step := self._steps[name, frame.iteration]).status != "skipped"
            and not set(self._targets(name, step.port or "")) & body
        }
        if len(ended) == 1:
            return next(iter(ended.values())), None
        return ended or None, None

    def _may_be_cut(self, iteration: str, loop: str | None = None) -> None:
        """Mark what was done in *iteration*, or in the rounds of *loop* in it: another branch may have ended it."""
        body = None if loop is None else self._bodies[loop]
        for key in self._within(iteration):
            if body is None or key[0] in body:
                self._steps[key] = replace(self._steps[key], may_be_cut=True)

    def _within(self, iteration: str) -> Iterator[Key]:
        for name, at in list(self._steps):
            if not iteration or at == iteration or at.startswith(f"{iteration}."):
                yield name, at


def _any(codes: Iterable[Json]) -> Json:
    found = OneOf(each for code in codes for each in (code if isinstance(code, OneOf) else [code]))
    return next(iter(found)) if len(found) == 1 else found


def _text(params: Mapping[str, Json]) -> str:
    if not isinstance(params.get("text", ""), str):
        raise Failure(INVALID)
    return str(params.get("text", ""))
