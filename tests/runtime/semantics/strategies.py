"""Draws small and nasty flows, what the outside world does to them, and where an engine dies."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

from hypothesis import reject
from hypothesis import strategies as st

from runtime.limits import CRASHES
from tests.runtime.semantics.interpreter import Answer, Interpreter, Key, Told, Unsettled, World

Json: TypeAlias = Any
Port: TypeAlias = tuple[str, str]  # node and port
NODES = 14  # of one flow
DEPTH = 2  # loops in loops
ITEMS = 3  # of one loop


@dataclass(frozen=True)
class Case:
    """One flow and one run of it."""

    document: dict[str, Json]
    trigger: str
    payload: dict[str, Json]
    world: World
    is_test: bool

    def told(self) -> Told:
        """Return what the run comes to; a case for which that is not settled is rejected."""
        try:
            return Interpreter(self.document, self.world, is_test=self.is_test).run(self.trigger, self.payload)
        except Unsettled:
            reject()

    def _repr_pretty_(self, printer: Any, _is_cycle: bool) -> None:
        """Say of a failing example what there is to say, in few lines."""
        edges = " ".join(f"{edge['source']}.{edge['key']}>{edge['target']}" for edge in self.document["edges"])
        answers = {key: answer for key, answer in self.world.answers.items() if answer != Answer()}
        lines = [*self.document["nodes"], edges, answers, self.world.heard]
        begin = f"{self.trigger} {self.payload} is_test={self.is_test}"
        printer.text("\n".join(f"  {line}" for line in ("Case", *lines, begin)))


@dataclass(frozen=True)
class Kinds:
    """Which nodes are drawn, and which settings of nodes."""

    actions: tuple[str, ...]
    has_odd_nodes: bool = True  # passed over, or with a pinned output
    has_test_runs: bool = True
    triggers: int = 2


@dataclass
class _Drawing:
    draw: st.DrawFn
    kinds: Kinds
    nodes: list[dict[str, Json]] = field(default_factory=list)
    edges: list[dict[str, str]] = field(default_factory=list)
    called: list[Key] = field(default_factory=list)
    waiting: list[Key] = field(default_factory=list)
    before: dict[str, list[str]] = field(default_factory=dict)  # the nodes that have ended when this one starts
    bodies: dict[str, list[str]] = field(default_factory=dict)  # the nodes of loops that are drawn

    def region(self, entry: list[Port], depth: int, least: int) -> None:
        """Draw nodes that follow *entry*; all ports that they add stay in this region."""
        sources, last = list(entry), list(entry)
        for _ in range(self.draw(st.integers(least, 6))):
            if len(self.nodes) >= NODES:
                break
            kinds = self.kinds.actions
            kind = self.draw(st.sampled_from([each for each in kinds if depth < DEEPEST.get(each, DEPTH + 1)]))
            name = f"{kind[0]}{len(self.nodes)}"
            arriving = self._arriving(sources, last)
            self.edges += [{"source": source, "key": port, "target": name} for source, port in arriving]
            sure = {node for source, _port in arriving for node in (*self.before.get(source, ()), source)}
            visible = self.before[name] = [node["id"] for node in self.nodes if node["id"] in sure]
            node = {"id": name, "type": kind, "name": name, "params": self._params(kind, name, visible, depth)}
            self._settings(node)
            self.nodes.append(node)
            if kind in CALLS:
                self.called += [(name, at) for at in _iterations(depth)]
            elif kind == "wait_for_event":
                self.waiting += [(name, at) for at in _iterations(depth)]
            if kind in LOOPS:
                before = len(self.nodes)
                self.region([(name, "each")], depth + 1, self.draw(st.sampled_from((1, 2, 0))))
                self.bodies[name] = [node["id"] for node in self.nodes[before:]]
            last = [(name, port) for port in _ports(node)] or last
            sources += [(name, port) for port in _ports(node)]

    def _arriving(self, sources: list[Port], last: list[Port]) -> list[Port]:
        if self.draw(st.integers(0, 2)):  # most flows are chains with something beside them
            return [self.draw(st.sampled_from(last))]
        return self.draw(st.lists(st.sampled_from(sources[-8:]), min_size=1, max_size=4, unique=True))

    def _hidden(self, visible: list[str]) -> list[str]:
        """Return nodes of loops that have ended by then: nobody sees their outputs any more."""
        return [name for loop in visible for name in self.bodies.get(loop, ())][-2:]

    def _rarely(self, of: int) -> bool:
        return self.draw(st.integers(1, of)) == of

    def _settings(self, node: dict[str, Json]) -> None:
        kind = node["type"]
        on_error = self.draw(st.sampled_from(("stop", "stop", "continue", "port")))
        if on_error != "stop" and not (kind == "return_output" and on_error == "continue"):
            node["on_error"] = on_error
        if kind in CALLS and self.draw(st.booleans()):
            node["retry"] = {"attempts": self.draw(st.integers(1, 3)), "delay_s": self.draw(st.sampled_from((0, 5)))}
        if not self.kinds.has_odd_nodes:
            return
        if self._rarely(12):
            node["disabled"] = True
        elif self._rarely(10) and (ports := [port for port in _ports(node) if port != "error"]):
            node["pinned"] = {"port": self.draw(st.sampled_from(ports)), "output": {"text": "pinned"}}

    def _params(self, kind: str, name: str, visible: list[str], depth: int) -> dict[str, Json]:
        match kind:
            case "call" | "call_once" | "echo":
                return {"text": self.draw(self._texts(name, visible, depth))}
            case "condition":
                return {"if": self.draw(self._tests(visible, depth))}
            case "switch":
                return {"value": self.draw(st.sampled_from(("{{ $param.s }}", "a", "z"))), "cases": ["a", "b"]}
            case "for_each":
                params = {"items": self.draw(self._items(depth))}
                if self.draw(st.booleans()):
                    params["parallel"] = self.draw(st.sampled_from((1, 2, 50)))
                if goes_on := self.draw(st.sampled_from(("continue", "stop", ""))):
                    params["on_item_error"] = goes_on
                return params
            case "while_loop":
                tests = ("$index < 2", "$item == null", "$param.yes", "$param.no", "$index < $param.items | length")
                return {
                    "while": f"{{{{ {self.draw(st.sampled_from(tests))} }}}}",
                    "max_rounds": self.draw(st.integers(1, ITEMS)),
                }
            case "return_output":
                return {"output": {"from": self.draw(self._texts(name, visible, depth))}}
            case "insert_row":
                number = "{{ $index }}" if depth else ""
                return {"table": "rows", "values": {"text": f"{name}{number}"}}
            case "emit_event":
                return {"name": "told", "payload": {"by": name}}
            case "delay":
                return {"seconds": self.draw(st.sampled_from((0, 1, 60, 86_400)))}
            case "wait_for_event":
                at = "at {{ $index }}" if depth else ""
                return {"event": f"{name}.heard", "match": {"at": at}, "timeout_s": self.draw(st.sampled_from((5, 99)))}
            case "run_flow":
                flow = self.draw(st.sampled_from(sorted(CALLABLE)))
                return {"flow": flow, "input": {"text": self.draw(self._texts(name, visible, depth))}}
        raise ValueError(kind)

    def _texts(self, name: str, visible: list[str], depth: int) -> st.SearchStrategy[str]:
        texts = [name, "{{ $param.s }}"]
        with_text = [node["id"] for node in self.nodes if node["type"] in (*CALLS, "echo") and node["id"] in visible]
        for other in with_text[-2:]:
            texts.append(f"{{{{ $action.{other}.text if $action.{other} is defined else 'skipped' }}}}")
        if depth:
            texts += ["at {{ $index }}", "{{ 'some' if $item else 'none' }}"]
        if self._rarely(12):  # what may well be missing, or no text
            texts = [f"{{{{ $action.{other}.text }}}}" for other in (*visible[-2:], *self._hidden(visible))]
            texts += ["{{ $item }}", "at {{ $index }}"]
        return st.sampled_from(texts)

    def _tests(self, visible: list[str], depth: int) -> st.SearchStrategy[Json]:
        tests: list[Json] = [True, False, "{{ $param.yes }}", "{{ $param.no }}"]
        tests += [f"{{{{ $action.{other} is defined }}}}" for other in visible[-2:]]
        if depth:
            tests += ["{{ $index == 1 }}", "{{ $index < 1 }}"]
        if (hidden := self._hidden(visible)) and self._rarely(2):
            return st.just(f"{{{{ $action.{hidden[0]} is defined }}}}")
        return st.just("{{ $param.s }}") if self._rarely(15) else st.sampled_from(tests)

    def _items(self, depth: int) -> st.SearchStrategy[Json]:
        lists: list[Json] = [["x", "y"], "{{ $param.items }}", ["x", "y", "z"], ["x"], []]
        if depth:
            lists += ["{{ [$item, $index] }}", "{{ [$index] }}"]
        return st.just("{{ $param.yes }}") if self._rarely(15) else st.sampled_from(lists)


LOOPS = ("for_each", "while_loop")
CALLS = ("call", "call_once")
DEEPEST = {"for_each": DEPTH, "while_loop": DEPTH, "wait_for_event": 2}  # rounds of an inner loop hear the same event


def _ports(node: dict[str, Json]) -> list[str]:
    """Return the ports that others of the same region may follow."""
    match node["type"]:
        case "condition":
            ports = ["true", "false"]
        case "switch":
            ports = [*node["params"]["cases"], "default"]
        case "for_each" | "while_loop":
            ports = ["done"]
        case "wait_for_event":
            ports = ["out", "timeout"]
        case "return_output":
            ports = []
        case _:
            ports = ["out"]
    extra = {"continue": "out", "port": "error"}.get(node.get("on_error", "stop"))
    return ports if extra is None or extra in ports else [*ports, extra]


def _iterations(depth: int) -> list[str]:
    if depth == 0:
        return [""]
    numbers = range(ITEMS)
    return [str(n) for n in numbers] if depth == 1 else [f"{n}.{m}" for n in numbers for m in numbers]


@dataclass(frozen=True)
class Kill:
    """When an engine ends: as its call of this number is under way, after some turns of its event loop.

    One that *is_stopped* had time to record what it knew.
    """

    call: int
    turns: int
    is_stopped: bool


def kills() -> st.SearchStrategy[list[Kill]]:
    """Return a strategy of the ends in one run's life, one engine after the other; few enough not to blame the run."""
    turns = st.sampled_from((0, 0, 1, 2, 5, 20))
    drawn = st.lists(st.builds(Kill, st.integers(1, 6), turns, st.booleans()), min_size=1, max_size=5)
    return drawn.filter(lambda kills: sum(not kill.is_stopped for kill in kills) < CRASHES)


@st.composite
def cases(draw: st.DrawFn, kinds: Kinds) -> Case:
    """Return a strategy of cases."""
    triggers = [f"t{number}" for number in range(draw(st.integers(1, kinds.triggers)))]
    drawing = _Drawing(draw, kinds)
    drawing.nodes += [{"id": name, "type": "event", "name": name, "params": {"event": name}} for name in triggers]
    drawing.region([(name, "out") for name in triggers], 0, 3)
    payload = {
        "yes": True,
        "no": False,
        "s": draw(st.sampled_from("abc")),
        "items": ["i0", "i1", "i2"][: draw(st.sampled_from((2, 3, 1, 0)))],
    }
    world = World(
        answers=_answers(draw, drawing.called),
        heard=draw(st.sets(st.sampled_from(drawing.waiting))) if drawing.waiting else set(),
        flows=CALLABLE,
    )
    is_test = kinds.has_test_runs and draw(st.booleans())
    return Case(flow("f", drawing.nodes, drawing.edges), draw(st.sampled_from(triggers)), payload, world, is_test)


def _answers(draw: st.DrawFn, called: list[Key]) -> dict[Key, Answer]:
    """Draw what calls do: each node has its habit, and a few rounds are different."""
    good, any_ = Answer(), st.builds(Answer, st.sampled_from((0, 1, 2, 3)), st.booleans())
    habits = {node: draw(st.one_of(st.just(good), st.just(good), any_)) for node, _at in called}
    others = draw(st.dictionaries(st.sampled_from(called), any_, max_size=3)) if called else {}
    return {key: others.get(key, habits[key[0]]) for key in called}


def flow(flow_id: str, nodes: list[dict[str, Json]], edges: list[dict[str, str]]) -> dict[str, Json]:
    """Return a flow document."""
    return {
        "format": "pulsewire.flow/1",
        "directed": True,
        "multigraph": True,
        "graph": {"id": flow_id, "name": flow_id, "description": ""},
        "nodes": nodes,
        "edges": edges,
        "samples": [],
        "layout": {},
    }


def _callable(flow_id: str, *nodes: dict[str, Json]) -> dict[str, Json]:
    """Return a flow that a person, or another flow, starts: its nodes one after the other."""
    chain = [{"id": "begin", "type": "manual", "name": "begin", "params": {}}, *({"name": flow_id, **n} for n in nodes)]
    edges = [{"source": one["id"], "target": next_["id"], "key": "out"} for one, next_ in pairwise(chain)]
    return flow(flow_id, chain, edges)


_GIVE = {"id": "give", "type": "return_output", "params": {"output": {"text": "{{ $param.text }}"}}}
CALLABLE = {
    each["graph"]["id"]: each
    for each in (
        _callable("gives", _GIVE),
        _callable("gives-nothing", {"id": "inner", "type": "call", "params": {"text": "x"}}),
        _callable("gives-late", {"id": "later", "type": "delay", "params": {"seconds": 7}}, _GIVE),
        _callable("fails", {"id": "bad", "type": "echo", "params": {"text": "{{ $param.missing }}"}}),
    )
}
