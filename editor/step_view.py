"""One step of a run in detail: input, output, error, and what its effect did or would have done."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

from nicegui import ui

from editor import words
from editor.elements import symbol
from editor.frame import box, icon
from editor.live import took_ms
from editor.step_waits import NO_TOOLS, StepTools, unknown_view, wait_view
from editor.widgets import STATE_ICONS, STATE_TONES, chip
from runtime.run_views import StepView

Json: TypeAlias = Any
SHOWN_CHARS = 40_000
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
ICONS = {**STATE_ICONS, "planned": "schedule", "skipped": "do_not_disturb_on", "unknown": "help"}
TONES = {**STATE_TONES, "planned": "plain", "skipped": "plain", "unknown": "fail"}
WORDS = {"planned": "About to begin", "unknown": "Outcome unknown"}


def state_icon(status: str) -> ui.icon:
    """Draw the icon of a step's status in its colour."""
    made = icon("circle")
    show_state(made, status)
    return made


def show_state(made: ui.icon, status: str) -> None:
    """Let a drawn icon show another status."""
    made.set_name(symbol(ICONS.get(status, "circle")))
    made.classes(replace=f"pw-tone--{TONES.get(status, 'plain')}" + (" pw-spin" if status == "running" else ""))


def state_word(status: str) -> str:
    """Return a step's status in words."""
    return WORDS.get(status, status.capitalize())


def time_taken(step: StepView) -> str:
    """Return how long a step took, in words; empty when it did not run."""
    taken = took_ms(step)
    if taken is None:
        return ""
    return "< 1 ms" if taken < 1 else words.duration(timedelta(milliseconds=taken))


def step_detail(step: StepView, *, is_simulated: bool, repeats: int | None = None, tools: StepTools = NO_TOOLS) -> None:
    """Draw everything known about a step; *repeats* is the run that its run repeats."""
    with box("fs"):
        with box("fs-head"):
            state_icon(step.status)
            ui.label(state_word(step.status)).classes("fs-status")
            ui.label(time_taken(step)).classes("pw-muted pw-num")
            if step.attempt > 1:
                ui.label(f"attempt {step.attempt}").classes("pw-muted")
            if step.is_pinned:
                chip("Pinned output", "accent", symbol="keep")
            if step.is_kept:
                chip(f"Kept from run {repeats}" if repeats else "Kept")
        if step.status == "skipped":
            passed = "It is disabled, so the run passed over it." if step.port else "No branch led here in this run."
            ui.label(passed).classes("pw-muted")
        if step.wait is not None:
            wait_view(step, step.wait, tools)
        if step.error:
            with box("fs-error").props("role=alert"):
                ui.label(str(step.error.get("message") or "The step failed."))
                if code := step.error.get("code"):
                    ui.label(str(code)).classes("pw-mono fs-code")
        if step.status == "unknown":
            unknown_view(step, tools)
        if step.effect and not step.is_pinned and step.wait is None:
            effect_view(step.effect, is_simulated=is_simulated)
        if step.called is not None and step.wait is None:
            with ui.link(target=f"/runs/{step.called}").classes("fe-hint-link"):
                ui.label(f"Open run {step.called}, which this step started")
        if step.output is not None and step.wait is None:
            _json(
                "Output",
                step.output,
                pin=partial(tools.pin, step) if tools.pin and step.status == "succeeded" else None,
            )
        if step.input is not None:
            _json("Input", step.input)
        if step.key is not None:
            _key(step.key)


def effect_view(effect: Mapping[str, Json], *, is_simulated: bool) -> None:
    """Draw an effect: an email as it is sent, a request, changed rows, an event."""
    kind = "wait" if effect.get("kind") == "event" and "event" in effect else effect.get("kind")
    done = {
        "email": ("mail", "Simulated: nothing was sent", "Sent"),
        "http": ("language", "Simulated: no request was made", "Request made"),
        "rows": ("table_rows", "Simulated: no row was changed", "Rows changed"),
        "user": ("person", "Simulated: no user was changed", "User changed"),
        "event": ("sensors", "Simulated: no event was reported", "Event reported"),
        "delay": ("schedule", "Simulated: it did not wait", "Waited"),
        "wait": ("sensors", "Simulated: it did not wait", "Waited for an event"),
        "approval": ("how_to_reg", "Simulated: nobody was asked", "Somebody was asked"),
        "run": ("account_tree", "Simulated: no flow was called", "Flow called"),
        "marked_done": ("done_all", "Marked as done by hand", "Marked as done by hand"),
    }.get(str(kind), ("bolt", "Simulated: nothing was done", "Done"))
    with box("fs-effect"):
        with box("fs-effect-head" + (" fs-effect-head--simulated" if is_simulated else "")):
            icon("science" if is_simulated else done[0])
            ui.label(done[1] if is_simulated else done[2])
        if kind == "email":
            _email(effect)
        elif kind == "http":
            _request(effect)
        else:
            _facts({key: value for key, value in effect.items() if key != "kind"})


def _email(effect: Mapping[str, Json]) -> None:
    heads = (("From", "from"), ("To", "to"), ("Cc", "cc"), ("Bcc", "bcc"), ("Reply to", "reply_to"))
    _facts({title: effect[key] for title, key in heads if effect.get(key)})
    ui.label(str(effect.get("subject") or "")).classes("fs-subject")
    text, markup = effect.get("text"), effect.get("html")
    if markup:
        mail_frame(str(markup))
    if text:
        ui.label(str(text)[:SHOWN_CHARS]).classes("fs-text")


def mail_frame(markup: str) -> None:
    """Draw HTML of a message where it can run nothing and load nothing."""
    frame = ui.element("iframe").classes("fs-mail")
    frame.props["sandbox"] = ""
    frame.props["title"] = "The message as HTML"
    frame.props["referrerpolicy"] = "no-referrer"
    policy = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(MAIL_POLICY)}">'
    frame.props["srcdoc"] = f"<!doctype html>{policy}{markup[:SHOWN_CHARS]}"


def _request(effect: Mapping[str, Json]) -> None:
    ui.label(f"{effect.get('method', '')} {effect.get('url', '')}".strip()).classes("fs-request")
    if more := {key: value for key, value in effect.items() if key not in ("kind", "method", "url") and value}:
        _facts(more)


def _facts(facts: Mapping[str, Json]) -> None:
    with box("fs-facts"):
        for title, value in facts.items():
            ui.label(str(title)).classes("fs-fact")
            ui.label(_plain(value)).classes("fs-value")


def _plain(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return _pretty(value)


def _pretty(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}\n… {len(text) - SHOWN_CHARS:,} more characters"


def _key(key: str) -> None:
    with box("fs-json"):
        ui.label("Idempotency key").classes("fs-title")
        ui.label(key).classes("fs-pre fs-key")
        ui.label("What a service saw with every attempt. Ask it with this key what it knows of the call.").classes(
            "fe-hint"
        )


def _json(title: str, value: Json, *, pin: Callable[[], object] | None = None) -> None:
    with box("fs-json"):
        with box("fs-json-head"):
            ui.label(title).classes("fs-title")
            if pin is not None:
                with box("fs-pin", "button").props("type=button") as made:
                    icon("keep")
                    ui.label("Pin")
                made.props["title"] = "Tests take this output in place of calling the node"
                made.on("click", pin)
        ui.label(_pretty(value)).classes("fs-pre").props(f'tabindex=0 role=region aria-label="{title}"')
