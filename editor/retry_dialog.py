"""Asking how runs are retried: where each begins, and on which version of its flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nicegui import ui

from editor.frame import box, icon
from editor.widgets import button, dialog, segments
from runtime.repeats import Version

Begin = Literal["failed", "start"]
HAPPENS_AGAIN = {
    "failed": "What was done before stays as it is, and is not done again. Of a loop, finished items stay too.",
    "start": "Everything happens again: emails, requests and changes of rows.",
    "node": "What came before this step stays as it was. Of a loop, every item is done again.",
}


@dataclass(frozen=True)
class RetryChoice:
    """What somebody chose."""

    from_failed: bool
    version: Version


async def ask_retry(
    title: str,
    *,
    at_node: bool = False,
    may_begin_at_failure: bool,
    versions: tuple[str, str],
    is_simulated: bool = False,
) -> RetryChoice | None:
    """Return how to retry, None when it was thought better of.

    *versions* are the words for the version of then and that of now; the same word twice leaves nothing to choose.
    *at_node*: it begins at a node that was chosen already.
    """
    begin: Begin = "failed" if may_begin_at_failure else "start"
    chosen: dict[str, str] = {"begin": begin, "version": "then"}
    with dialog(title, width=460) as (window, foot):
        if may_begin_at_failure and not at_node:
            with box("pw-field"):
                ui.label("Begin").classes("pw-label")
                segments(
                    {"failed": "At the failed step", "start": "At the start"},
                    begin,
                    lambda event: _choose(chosen, "begin", event.value, told),
                )
        told = ui.label(HAPPENS_AGAIN["node" if at_node else begin]).classes("pw-soft")
        if versions[0] != versions[1]:
            with box("pw-field"):
                ui.label("Version").classes("pw-label")
                segments(
                    {"then": versions[0], "now": versions[1]},
                    "then",
                    lambda event: chosen.update(version=event.value),
                )
        if is_simulated:
            with box("pw-chip pw-chip--accent"):
                icon("science")
                ui.label("Simulated: nothing is sent or changed")
        with foot:
            button("Cancel", lambda: window.submit(False), kind="ghost")
            button("Retry", lambda: window.submit(True), kind="primary", icon="replay").props("autofocus")
    if not await window:
        return None
    return RetryChoice(chosen["begin"] == "failed" and not at_node, "now" if chosen["version"] == "now" else "then")


def _choose(chosen: dict[str, str], name: str, value: str, told: ui.label) -> None:
    chosen[name] = value
    told.set_text(HAPPENS_AGAIN[value])
