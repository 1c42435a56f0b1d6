"""A field for a new password that says, while one types, what the password still needs."""

from __future__ import annotations

import secrets

from nicegui import ui

from backend.user_values import password_faults
from editor.frame import box, icon
from editor.widgets import field, text_input

RULES = (
    ("password.too_short", "8 characters or more"),
    ("password.no_lower_case", "A lower-case letter"),
    ("password.no_digit", "A digit"),
    ("password.common", "Not a common one"),
)
SUGGESTED_BYTES = 12


class PasswordField:
    """Label, input and rules. ``value`` is what was typed, exactly."""

    def __init__(self, title: str = "Password", *, is_focused: bool = False, can_suggest: bool = True) -> None:
        with box("pw-password") as self._whole:
            with field(title):
                self.input = text_input(password=True, on_change=lambda: self._check())
                self.input.props(f"autocomplete=new-password debounce=120 {'autofocus' if is_focused else ''}")
                self.input.props["aria-label"] = title
                with self.input.add_slot("append"):
                    self._eye = icon("visibility").classes("pw-password-eye").props("role=button tabindex=0")
                    self._eye.props["aria-label"] = "Show the password"
                    self._eye.props(remove="aria-hidden")
                    self._eye.on("click", self._turn, js_handler="(e) => { e.preventDefault(); emit(); }")
                    self._eye.on("keydown.enter", self._turn)
            with box("pw-rules", "ul"):
                self._rules = {code: self._rule(text) for code, text in RULES}
            if can_suggest:
                with box("pw-suggest", "button").props("type=button") as suggest:
                    icon("casino")
                    ui.label("Suggest one")
                suggest.on("click", self._suggest)

    @property
    def value(self) -> str:
        return self.input.value or ""

    @property
    def error(self) -> str | None:
        """Why the password was refused; where the rules below the field say it, they are marked instead."""
        return self.input.error

    @error.setter
    def error(self, message: str | None) -> None:
        unmet = {fault.code for fault in password_faults(self.value)}
        is_by_rule = bool(message and unmet and unmet <= self._rules.keys())
        self.input.error = "It does not keep to the rules below." if is_by_rule else message
        self._whole.classes(add="is-refused" if is_by_rule else "", remove="" if is_by_rule else "is-refused")

    def _rule(self, text: str) -> ui.element:
        with box("pw-rule", "li") as made:
            icon("circle")
            icon("check_circle")
            ui.label(text)
        return made

    def _check(self) -> None:
        self.error = None
        missed = {fault.code: fault.message for fault in password_faults(self.value)}
        for code, rule in self._rules.items():
            is_met = bool(self.value) and not (missed.keys() - self._rules.keys()) and code not in missed
            rule.classes(add="is-met" if is_met else "", remove="" if is_met else "is-met")
        self.input.error = " ".join(text for code, text in missed.items() if code not in self._rules) or None

    def _turn(self) -> None:
        is_hidden = self.input.props.get("type") == "password"
        self.input.props["type"] = "text" if is_hidden else "password"
        self._eye.props["name"] = "sym_r_visibility_off" if is_hidden else "sym_r_visibility"
        self._eye.props["aria-label"] = "Hide the password" if is_hidden else "Show the password"
        self.input.update()
        self._eye.update()

    def _suggest(self) -> None:
        text = secrets.token_urlsafe(SUGGESTED_BYTES)
        while password_faults(text):
            text = secrets.token_urlsafe(SUGGESTED_BYTES)
        self.input.value = text
        if self.input.props.get("type") == "password":
            self._turn()
