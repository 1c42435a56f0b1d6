"""Which steps of an earlier run stay as they are when the flow runs again, and how they are taken over."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from sqlalchemy import case, insert, literal
from sqlmodel import Session, col, select

from nodes.spec import NodeType
from runtime.document import Document
from runtime.graph import loops_in, ports_of, reachable_from
from runtime.parts import bodies
from runtime.sealing import BLANK
from storage.tables import StepRow

Types: TypeAlias = Mapping[str, NodeType]
Place: TypeAlias = tuple[str, str]  # node and iteration
AT_ONCE = 400  # steps that one statement names


class Settled(NamedTuple):
    """What is looked at of a step."""

    node: str
    iteration: str
    status: str
    port: str | None

    @property
    def place(self) -> Place:
        return self.node, self.iteration

    @property
    def is_settled(self) -> bool:
        """Whether the run went on behind it: it was done or passed over, or its failure led somewhere."""
        return self.status == "succeeded" or self.port is not None


def read_settled(session: Session, run_id: int) -> list[Settled]:
    """Return every step of a run, without its contents."""
    query = select(StepRow.node, StepRow.iteration, StepRow.status, StepRow.port).where(StepRow.run_id == run_id)
    return [Settled(*row) for row in session.exec(query)]


class Shape:
    """A flow as far as it matters here: what follows what, and which loops are around a node, the outermost first."""

    def __init__(self, document: Document, types: Types) -> None:
        self._edges = [(edge.source, edge.target) for edge in document.edges]
        self.nodes = tuple(node.id for node in document.nodes)
        self._bodies = _bodies(document, types)
        self._around: dict[str, tuple[str, ...]] = {}
        self._known: dict[str, list[tuple[str, int]]] = {}
        for loop in sorted(self._bodies, key=lambda each: len(self._bodies[each]), reverse=True):
            for node in self._bodies[loop]:
                self._around[node] = (*self.loops_around(node), loop)

    def body(self, loop: str) -> frozenset[str]:
        """Return what the loop repeats, the bodies of the loops in it included."""
        return self._bodies.get(loop, frozenset())

    def loops_around(self, node: str) -> tuple[str, ...]:
        """Return the loops that *node* is inside of."""
        return self._around.get(node, ())

    def outermost(self, node: str) -> str:
        """Return the loop that is around everything around *node*; without one, *node* itself."""
        return next(iter(self.loops_around(node)), node)

    def levels(self, place: Place) -> list[Place]:
        """Return *place* and the steps of the loops around it, from the inside to the outside."""
        node, iteration = place
        items = iteration.split(".") if iteration else []
        loops = self.loops_around(node)[: len(items)]
        return [place, *((loop, ".".join(items[:depth])) for depth, loop in reversed(list(enumerate(loops))))]

    def after(self, place: Place) -> set[Place]:
        """Return what depends on *place*, in the same item of the loops around it or further out."""
        node, iteration = place
        items = iteration.split(".") if iteration else []
        return {(follower, ".".join(items[:depth])) for follower, depth in self._followers(node)}

    def _followers(self, node: str) -> list[tuple[str, int]]:
        """Return what follows *node* without going into a loop, and in how many loops it is."""
        if (found := self._known.get(node)) is None:
            own = self.loops_around(node)
            reached = reachable_from({target for source, target in self._edges if source == node}, self._edges)
            depths = {each: len(self.loops_around(each)) for each in reached}
            found = [(each, depth) for each, depth in depths.items() if self.loops_around(each) == own[:depth]]
            self._known[node] = found
        return found


def kept(
    document: Document,
    types: Types,
    steps: Sequence[Settled],
    *,
    begin: Collection[str] = (),
    former: Document | None = None,
    with_items: bool = True,
) -> list[Place]:
    """Return the steps that a new run of *document* takes over: those that depend on nothing that is done again.

    Done again is what was not settled, and the nodes in *begin*; of one inside a loop, the whole loop. *former* is
    what the old run ran on: nothing is kept of a node that has another type now or no longer the port that it fired.
    Of a loop that was not finished the items that were are kept, unless *with_items* is False.
    """
    shape = Shape(document, types)
    usable = {each.place for each in steps if each.is_settled and fits(each, document, types, former)}
    begun = {(shape.outermost(node), "") for node in begin}
    recorded = {each.node for each in steps}
    open_ = {
        each.place
        for each in steps
        if each.place not in usable and each.status != "skipped" and usable.isdisjoint(shape.levels(each.place)[1:])
    }
    open_ |= {(node, "") for node in shape.nodes if node not in recorded and not shape.loops_around(node)}
    open_ |= {level for place in open_ for level in shape.levels(place)}
    lost = begun.union(*(shape.after(place) for place in open_ | begun))
    finished = usable - open_ - lost
    return sorted(
        place
        for place in finished
        if not place[1] or (with_items and not lost.intersection(shape.levels(place)) and _is_open(place, shape, open_))
    )


def fits(step: Settled, document: Document, types: Types, former: Document | None) -> bool:
    """Return whether a step of a run of *former* can be taken over: its node kept its type, and the port it fired."""
    if former is None:
        return True
    then, now = former.node(step.node), document.node(step.node)
    if then is None or now is None or then.type != now.type or now.type not in types:
        return False
    return step.port is None or step.port in {port.name for port in ports_of(now, types[now.type])}


def take_over(session: Session, places: Sequence[Place], *, of: int, into: int) -> None:
    """Copy these steps of the run *of* to the run *into*. What is locked in them stays behind: it ends with its run."""
    table = StepRow.__table__  # type: ignore[attr-defined]
    columns = [column for column in table.columns if column.name not in ("run_id", "sealed")]
    names = ["run_id", "sealed", *(column.name for column in columns)]
    sealed = case((col(StepRow.sealed).is_(None), None), else_=BLANK)
    items: dict[str, list[str]] = {}
    for node, iteration in places:
        items.setdefault(node, []).append(iteration)
    for node, iterations in items.items():  # one node at a time, so that its steps are found by their key
        for start in range(0, len(iterations), AT_ONCE):
            chosen = select(literal(into), sealed, *columns).where(
                col(StepRow.run_id) == of,
                col(StepRow.node) == node,
                col(StepRow.iteration).in_(iterations[start : start + AT_ONCE]),
            )
            session.connection().execute(insert(StepRow).from_select(names, chosen))


def _is_open(place: Place, shape: Shape, open_: Collection[Place]) -> bool:
    """Return whether the loops around *place* go on; of a loop that has ended only its own step is needed."""
    return all(level in open_ for level in shape.levels(place)[1:])


def _bodies(document: Document, types: Types) -> dict[str, frozenset[str]]:
    starts = [node.id for node in document.nodes if node.type in types and types[node.type].kind == "trigger"]
    edges = [(edge.source, edge.target, edge.key) for edge in document.edges]
    return bodies(starts, loops_in(document, types), edges)
