"""The journal and the dispatcher are behind interfaces, so that others may take their place."""

from __future__ import annotations

import inspect

import pytest

from runtime import journal_api
from runtime.dispatcher import InProcess
from storage.journal import SqliteJournal
from tests.test_layers import files, imports

NAMED_BY = {"runtime/engine.py"}  # which makes them


def offered(kind: type) -> dict[str, object]:
    """Return a class's public methods with what they take, and its properties."""
    return {
        name: [(each.name, each.kind, each.default) for each in inspect.signature(member).parameters.values()]
        if callable(member)
        else "a property"
        for name, member in vars(kind).items()
        if not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("interface", "kind"),
    [(journal_api.Journal, SqliteJournal), (journal_api.Dispatcher, InProcess)],
    ids=["journal", "dispatcher"],
)
def test_what_an_interface_asks_for_is_offered_as_it_asks(interface: type, kind: type) -> None:
    asked, found = offered(interface), offered(kind)

    assert {name: found.get(name) for name in asked} == asked


@pytest.mark.parametrize("name", ["storage.journal.SqliteJournal", "runtime.dispatcher.InProcess"])
def test_only_the_engine_names_the_ones_for_a_single_machine(name: str) -> None:
    naming = {found.file for file in files() for found in imports(file) if found.module == name}

    assert naming == NAMED_BY
