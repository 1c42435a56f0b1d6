"""What filters, tests and methods come to, and whether they can work on what they are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from jinja2 import nodes

from runtime import narrowing, reaching, shapes, wording
from runtime.filter_help import HELP, Help
from runtime.filter_spec import Guard, Parameter
from runtime.filters import FILTERS, TESTS
from runtime.kinds import NUMBERS, is_method
from runtime.method_guards import GUARDS
from runtime.methods import METHODS
from runtime.narrowing import TESTED_KINDS, Facts
from runtime.shapes import BOOLEAN, NULL, NUMBER, TEXT, UNKNOWN, Shape

if TYPE_CHECKING:
    from runtime.reader import Reader

Settings: TypeAlias = Mapping[nodes.Node, Shape]  # what stands in the brackets, with its name if it has one
PRESENCE: Final = frozenset({"defined", "undefined"})
SAME_LIST: Final = frozenset({"list", "reject", "rejectattr", "select", "selectattr", "sort", "unique"})
ONE_OF_LIST: Final = frozenset({"first", "last", "max", "min", "random"})
ADDING: Final = frozenset({"average", "sum"})
# filter -> which setting names a field
BY_FIELD: Final = {"groupby": 0, "index_by": 0, "rejectattr": 0, "selectattr": 0}
NUMBER_METHODS: Final = frozenset({"count", "find", "rfind"})
LIST_METHODS: Final = frozenset({"partition", "rpartition", "rsplit", "split", "splitlines"})


def read_filter(reader: Reader, node: nodes.Filter, facts: Facts, *, is_guarded: bool = False) -> Shape:
    """Return what a filter gives. *is_guarded*: what stands in for a missing value may be missing too."""
    assert node.node is not None
    is_default = narrowing.is_default(node)
    value = reader.read(node.node, facts, is_guarded=is_default)
    if is_default:
        facts = narrowing.joined(facts, narrowing.facts_of_default(node))
    settings = _settings(reader, node, facts, is_guarded=is_guarded and is_default)
    if is_default:
        other = next(iter(settings.values()), shapes.of_value(""))
        return shapes.union(value.there(), other)
    help_ = HELP.get(("filter", node.name))
    if help_ is None:
        return UNKNOWN
    _look_at(reader, node, "filter", help_, value)
    _look_at_settings(reader, FILTERS[node.name], settings)
    return _given(reader, node, help_, value)


def read_test(reader: Reader, node: nodes.Test, facts: Facts) -> Shape:
    """Return the answer of a test."""
    value = reader.read(node.node, facts, is_guarded=node.name in PRESENCE)
    settings = _settings(reader, node, facts)
    if node.name in PRESENCE:
        is_there = reaching.presence(reader, node.node, facts)
        return BOOLEAN if is_there is None else shapes.of_value(is_there == (node.name == "defined"))
    kinds = TESTED_KINDS.get(node.name)
    if kinds is not None:
        if value.kinds.isdisjoint(kinds):
            return shapes.of_value(False)
        return shapes.of_value(True) if value.kinds <= kinds and node.name in ("none", "string", "mapping") else BOOLEAN
    if (help_ := HELP.get(("test", node.name))) is not None:
        _look_at(reader, node, "test", help_, value)
        _look_at_settings(reader, TESTS[node.name], settings)
    return BOOLEAN


def read_call(reader: Reader, node: nodes.Call, facts: Facts) -> Shape:
    """Return what a method, or ``range``, gives."""
    settings = _settings(reader, node, facts)
    if not isinstance(node.node, nodes.Getattr):
        for each, setting in settings.items():
            if not _fits(setting, frozenset({"number"})):
                reader.tell("expression.type", f"“range” takes numbers, not {shapes.in_words(setting.kinds)}", each)
        return shapes.list_of(NUMBER)
    owner, name = reader.read(node.node.node, facts, is_called=True), node.node.attr
    token = reader.token(node.node.lineno)
    if owner.kinds == {"object"} and name in owner.fields and not owner.fields[name].missing:
        message = f"“{name}” is a field here, which comes before the method, and cannot be called"
        reader.tell_at("expression.type", message, token)
        return UNKNOWN
    if not is_method(owner, name):
        message = f"{shapes.in_words(owner.kinds)} has no method “{wording.shown(name)}”"
        reader.tell_at("expression.type", message, token)
        return UNKNOWN
    _look_at_settings(reader, GUARDS[name], settings)
    if name in METHODS[dict]:
        return _of_object(owner, name, settings, node)
    if name in NUMBER_METHODS:
        return NUMBER
    if name in LIST_METHODS:
        return shapes.list_of(TEXT)
    return BOOLEAN if name.startswith(("is", "starts", "ends")) else TEXT


def _of_object(owner: Shape, name: str, settings: Settings, node: nodes.Call) -> Shape:
    if name != "get":
        return shapes.list_of(TEXT if name == "keys" else None)
    given = {parameter.name: each for parameter, each in _placed(GUARDS[name], settings)}
    default = settings[given["default"]] if "default" in given else NULL
    key = given.get("key")
    if not isinstance(key, nodes.Const) or not isinstance(key.value, str):
        return UNKNOWN
    found = shapes.reach(owner, key.value)
    return default if found.is_absent else shapes.union(found.there(), default)


def _given(reader: Reader, node: nodes.Filter, help_: Help, value: Shape) -> Shape:
    name = help_.same_as or help_.name
    field, item = _field(node, name), _entry(value)
    if field is not None:
        item = _reached(reader, field, value)
        if name == "map":
            return shapes.list_of(item)
    if name == "map":
        inner = HELP.get(("filter", str(getattr(node.args[0], "value", "")))) if node.args else None
        if inner is not None:
            _look_at_entries(reader, node, inner.name, inner.takes, item)
        return shapes.list_of(None if inner is None else shapes.of_kinds({inner.gives}))
    if name in ADDING:
        _look_at_entries(reader, node, node.name, frozenset({"number"}), item)
    if name in SAME_LIST or (name == "reverse" and value.kinds == {"list"}):
        return shapes.list_of(_entry(value))
    if name in ONE_OF_LIST:
        return _entry(value) or UNKNOWN
    return shapes.of_kinds({help_.gives})


def _entry(value: Shape) -> Shape | None:
    """Return what the entries of a list are, the keys of an object, or the characters of a text."""
    return value.items if value.kinds == {"list"} else TEXT if value.kinds <= {"text", "object"} else None


def _field(node: nodes.Filter, name: str) -> nodes.Const | None:
    """Return the setting that names a field of each entry."""
    keys = _named(node)
    if "default" in keys:
        return None
    place = BY_FIELD.get(name)
    found = node.args[place] if place is not None and len(node.args) > place else keys.get("attribute")
    if not isinstance(found, nodes.Const) or not isinstance(found.value, str):
        return None
    asks_presence = place is not None and any(getattr(arg, "value", None) in PRESENCE for arg in node.args[1:2])
    is_several = name == "sort" and "," in found.value
    return None if asks_presence or is_several else found


def _reached(reader: Reader, field: nodes.Const, value: Shape) -> Shape:
    """Return what a field such as ``user.mail`` of each entry is."""
    at = _entry(value)
    if at is None:
        return UNKNOWN
    for step in field.value.split("."):
        found = shapes.reach(at, int(step) if step.isdecimal() and len(step) < 10 else step)
        if found.is_absent:
            reaching.tell_no_field(reader, field, at, step)
            return UNKNOWN
        at = found.there()
    return at


def _look_at(reader: Reader, node: nodes.Filter | nodes.Test, what: str, help_: Help, value: Shape) -> None:
    if not _fits(value, help_.takes):
        message = f"the {what} “{node.name}” takes {_words(help_.takes)}, not {shapes.in_words(value.kinds)}"
        _tell(reader, node, message)


def _look_at_entries(reader: Reader, node: nodes.Filter, name: str, takes: frozenset[str], entry: Shape | None) -> None:
    if entry is not None and not _fits(entry, takes):
        message = f"the filter “{name}” takes {_words(takes)}, and the entries are {shapes.in_words(entry.kinds)}"
        _tell(reader, node, message)


def _settings(
    reader: Reader, node: nodes.Filter | nodes.Test | nodes.Call, facts: Facts, *, is_guarded: bool = False
) -> Settings:
    """Return what each setting comes to, those with a name after those without one."""
    return {each: reader.read(_value(each), facts, is_guarded=is_guarded) for each in (*node.args, *node.kwargs)}


def _placed(guard: Guard, settings: Settings) -> Iterator[tuple[Parameter, nodes.Node]]:
    """Yield what each setting is given for; how many there may be and which names is told elsewhere."""
    last = len(guard.by_place) - 1
    for place, each in enumerate(settings):
        if isinstance(each, nodes.Keyword):
            yield guard.by_name[each.key], each
        elif last >= 0:
            yield guard.by_place[min(place, last)], each


def _look_at_settings(reader: Reader, guard: Guard, settings: Settings) -> None:
    """Tell of settings that the filter, test or method refuses whatever it works on."""
    for parameter, each in _placed(guard, settings):
        shape, value = settings[each], _value(each)
        if not _fits(shape, parameter.reader.kinds):
            message = f"“{parameter.name}” of the {guard.what} “{guard.name}” takes {_words(parameter.reader.kinds)}"
            reader.tell("expression.type", f"{message}, not {shapes.in_words(shape.kinds)}", value)
        elif isinstance(value, nodes.Const) and (ending := parameter.reader.refusal(value.value)) is not None:
            message = f"the {guard.what} “{guard.name}”: “{parameter.name}” {ending}"
            reader.tell("expression.arguments", message, value)


def _value(setting: nodes.Node) -> nodes.Node:
    return setting.value if isinstance(setting, nodes.Keyword) else setting


def _tell(reader: Reader, node: nodes.Filter | nodes.Test, message: str) -> None:
    number = node.lineno - 1
    if isinstance(node, nodes.Test):  # the line is that of “is”
        number += 2 if reader.token(number + 1).text == "not" else 1
    reader.tell_at("expression.type", message, reader.token(number))


def _fits(value: Shape, takes: frozenset[str]) -> bool:
    wanted = takes | NUMBERS if takes & NUMBERS else takes
    return "any" in takes or not takes or bool(value.kinds & wanted)


def _words(takes: frozenset[str]) -> str:
    return shapes.in_words(takes)


def _named(node: nodes.Filter) -> dict[str, nodes.Expr]:
    pairs: Sequence[nodes.Node] = node.kwargs
    return {pair.key: pair.value for pair in pairs if isinstance(pair, nodes.Keyword)}
