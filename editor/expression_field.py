"""The elements that people write expressions in; their work is done by ``static/expressions/`` in the browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.value_element import ValueElement

Json: TypeAlias = Any
Lines: TypeAlias = Literal["one", "long", "many"]
MODULES = {"pulsewire-expressions": "../static/expressions"}


class _Written(Element):
    """What is shown of expressions that somebody writes: its problems, and what it comes to."""

    def insert(self, text: str) -> None:
        """Put a value such as ``$param.email``, or any text, where the caret is; braces are added where needed."""
        self.run_method("insert", text)

    def set_problems(self, problems: Sequence[Mapping[str, Json]]) -> None:
        """Underline what is wrong: ``{"position", "isWarning"}`` each."""
        _put(self, "problems", list(problems))

    @property
    def answer(self) -> Mapping[str, Json] | None:
        """What is shown of the value now."""
        return self.props["answer"]  # type: ignore[no-any-return]

    def set_answer(self, answer: Mapping[str, Json] | None) -> None:
        """Show the value now, or why there is none: ``{"tone", "text", "kind", "more"}``."""
        _put(self, "answer", answer)


class ExpressionField(ValueElement[str], _Written, component="../static/expressions/expression_field.js", esm=MODULES):
    """A text field with colours, suggestions and the value of its expressions below it.

    *lines*: ``one`` line; ``long``, one that Shift+Enter breaks; ``many``. A *bare* field holds one expression without
    its braces.
    """

    VALUE_PROP = "value"
    LOOPBACK = False

    def __init__(
        self,
        value: str,
        *,
        label: str,
        on_change: Callable[[Any], None],
        placeholder: str = "",
        lines: Lines = "one",
        is_bare: bool = False,
        is_mono: bool = False,
        is_required: bool = False,
    ) -> None:
        super().__init__(value=value, on_value_change=on_change)
        self._props.update({"aria-label": label, "lines": lines, "problems": [], "answer": None, "version": 0})
        if placeholder:
            self._props["placeholder"] = placeholder
        self._props.update({name: True for name, is_on in _flags(is_bare, is_mono, is_required) if is_on})

    def _handle_value_change(self, value: Any) -> None:
        # A message about problems or the answer carries the value too, and may cross with what is being typed: only a
        # new version of it is meant to be shown.
        if self._send_update_on_value_change:
            with self._props.suspend_updates():
                self._props["version"] += 1
        super()._handle_value_change(value)


class ExpressionInk(_Written, component="../static/expressions/expression_ink.js", esm=MODULES):
    """Adds to a code editor what an ``ExpressionField`` has; put it below. *is_quoted*: expressions stand in quotes."""

    def __init__(self, code: ui.codemirror, label: str, *, is_quoted: bool) -> None:
        super().__init__()
        self._props.update({"target": code.id, "label": label, "problems": [], "answer": None})
        if is_quoted:
            self._props["quoted"] = True


class ExpressionDesk(Element, component="../static/expressions/expression_desk.js", esm=MODULES):
    """Tells the page what completion works with; there is one on a page."""

    def __init__(self, words: list[dict[str, Json]]) -> None:
        super().__init__()
        self._words: list[dict[str, Json]] | None = words
        self._scope: Json = None

    def tell(self, scope: Mapping[str, Json]) -> None:
        """Hand over what the selected node can use, if it is something else than before."""
        if self._words is not None:
            self.run_method("setWords", self._words)
            self._words = None
        if scope != self._scope:
            self._scope = scope
            self.run_method("setScope", scope)


def _flags(is_bare: bool, is_mono: bool, is_required: bool) -> tuple[tuple[str, bool], ...]:
    return (("bare", is_bare), ("mono", is_mono), ("required", is_required))


def _put(element: Element, name: str, value: Json) -> None:
    if element.props[name] != value:
        element.props[name] = value
        element.update()
