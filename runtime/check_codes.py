"""What the checker tells by itself, by code: how serious it is, what it means, and how to mend it.

``docs/checker.md`` is made from this table.
"""

from __future__ import annotations

from typing import Final, NamedTuple

ERROR: Final = "error"
WARNING: Final = "warning"


class Told(NamedTuple):
    """One kind of problem. *severity* is that where nothing softens it."""

    severity: str
    meaning: str
    mend: str


CODES: Final = {
    "expression.field_unknown": Told(
        ERROR,
        "The event's payload, a node's output or another value has no such field.",
        "Take one of the fields that are named. With `default` it is a warning: the field is never there.",
    ),
    "expression.node_unknown": Told(ERROR, "`$action` names a node that the flow does not have.", "Correct its id."),
    "expression.node_not_before": Told(
        ERROR,
        "`$action` names a node that does not come before this one on any path, or that is inside of a loop.",
        "Connect it before this node; of a loop, read `outputs`.",
    ),
    "expression.output_missing": Told(
        ERROR,
        "The node's output is never there: it is switched off, or skipped on every path to this node.",
        "Switch it on, or read another node.",
    ),
    "expression.output_maybe_missing": Told(
        WARNING,
        "The node is skipped on some paths to this one, or goes on without an output when it fails or times out.",
        "Add `| default(…)`, test it with `is defined`, or connect this node only to the path on which it runs.",
    ),
    "expression.field_maybe_missing": Told(
        WARNING,
        "The field is there only when another trigger starts the run, when a node succeeds (or fails), or when an "
        "input is given.",
        "Add `| default(…)`, or test it with `is defined`.",
    ),
    "expression.field_not_seen": Told(
        WARNING,
        "A hint: nobody declared what fields there are, and the sample or the last test has one of nearly this name.",
        "Take the field that is meant, or add a sample that has this one.",
    ),
    "expression.variable_unknown": Told(
        WARNING,
        "`$env` names a variable that `PULSEWIRE_ENV_NAMES` does not list, or that is not set where the server runs.",
        "Correct the name, or list and set it and start the server again.",
    ),
    "expression.item_outside": Told(
        ERROR, "`$item` or `$index` stands outside of a loop.", "Move the node into the loop, or read its `outputs`."
    ),
    "expression.type": Told(
        ERROR, "An operator, filter, test or method cannot work on this kind of value.", "Convert it, or read another."
    ),
    "expression.arguments": Told(
        ERROR,
        "A filter, test or method does not take such a setting, or needs one more.",
        "Correct it; what it takes is in the help.",
    ),
    "expression.division": Told(ERROR, "A number is divided by zero.", "Divide by another number."),
    "expression.always": Told(
        WARNING, "A condition has the same answer in every run.", "Correct what it compares, or leave it out."
    ),
    "param.type": Told(
        ERROR,
        "The expression gives another kind of value than the parameter takes, or a value is none of its column.",
        "Convert it, such as with `| int`, `| string` or `| first`.",
    ),
    "param.column_unknown": Told(ERROR, "The data table has no such column.", "Take one of the columns it has."),
    "switch.case_never": Told(WARNING, "The value of a switch is never this case.", "Correct the case, or remove it."),
}
