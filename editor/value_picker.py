"""The picker of values: a tree, beside the form, of what the expressions of the open node can use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from nicegui import events, ui
from nicegui.element import Element

from editor import theme
from editor.expression_field import MODULES

Json: TypeAlias = Any


class ValuePicker(Element, component="../static/value_picker.js", esm=MODULES):
    """One for a page: every field with a button of class ``fe-insert`` opens it.

    *ask* returns what is shown for a parameter, as ``value_tree.tree`` gives it, None when no node is open; *accept* is
    told the name of a parameter and a path that was meant for it where no text can be typed.
    """

    def __init__(self, *, ask: Callable[[str], dict[str, Json] | None], accept: Callable[[str, str], None]) -> None:
        super().__init__()
        ui.add_head_html(f'<link rel="stylesheet" href="{theme.asset("value_picker.css")}">')
        self._ask = ask
        self._accept = accept
        self.on("ask", self._show)
        self.on("accept", self._take)

    def close(self) -> None:
        """Put it away, because the form that it was opened from is gone."""
        self.run_method("close")

    def focus_field(self, param: str) -> None:
        """Put the caret into the field of a parameter."""
        self.run_method("focusField", param)

    def focus_id(self, node_id: str) -> None:
        """Put the focus on the id of a node in its form."""
        self.run_method("focusId", node_id)

    def _show(self, event: events.GenericEventArguments) -> None:
        if (tree := self._ask(str(event.args["param"]))) is None:
            self.close()
        else:
            self.run_method("show", tree)

    def _take(self, event: events.GenericEventArguments) -> None:
        self._accept(str(event.args["param"]), str(event.args["path"]))
