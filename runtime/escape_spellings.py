"""The spellings of known ways out of a template sandbox.

None of them leads anywhere here. They are told apart from slips, so that all get the same answer, which helps nobody to
find another way, and so that the attempt is written down.
"""

from __future__ import annotations

from jinja2 import nodes

NAMES = frozenset({"cycler", "joiner", "lipsum", "namespace"})  # what Jinja gives every template
FILTERS = frozenset({"attr"})
METHODS = frozenset({"format_map", "mro"})
ATTRIBUTES = frozenset(  # of generators, frames, functions and tracebacks
    {
        *("ag_code", "ag_frame", "co_code", "co_consts", "cr_code", "cr_frame", "f_back", "f_builtins", "f_code"),
        *("f_globals", "f_locals", "func_code", "func_globals", "gi_code", "gi_frame", "im_class", "im_func"),
        *("im_self", "tb_frame", "tb_next"),
    }
)
_APPLYING = {"map": 0, "select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}  # where the name of another stands


def is_name(name: str) -> bool:
    """Return whether a name that is not a value's is one of them."""
    return name in NAMES or name.startswith("_")


def is_key(key: object) -> bool:
    """Return whether a key of something that is not a payload's is one of them."""
    return isinstance(key, str) and (key.startswith("__") or key in ATTRIBUTES)


def is_filter(node: nodes.Filter | nodes.Test) -> bool:
    """Return whether the filter, or the one that it applies, is one of them."""
    return node.name in FILTERS or any(
        isinstance(named, nodes.Const) and named.value in FILTERS
        for place, named in enumerate(node.args)
        if _APPLYING.get(node.name) == place
    )


def is_method(call: nodes.Getattr) -> bool:
    """Return whether the called method is one of them; ``format`` is when its text reaches for attributes."""
    if call.attr == "format" and isinstance(call.node, nodes.Const):
        return "__" in str(call.node.value)
    return call.attr in METHODS or call.attr.startswith("_")
