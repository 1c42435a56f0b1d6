"""Why a step is not done: what it waits for and until when, or that nobody knows whether it took place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from nicegui import ui

from editor import words
from editor.frame import box, icon
from editor.widgets import button, confirm, copies, dialog, field
from runtime.limits import COMMENT_CHARS
from runtime.run_views import StepView, WaitView
from runtime.settling import Settle

ICONS = {"retry": "replay", "time": "schedule", "event": "sensors", "approval": "how_to_reg", "run": "account_tree"}
SEND_AGAIN = (
    "Only do this when it did not take place, or when a second time does no harm: the service is called with the same "
    "idempotency key as before, and one that knows such keys does not do it twice."
)
COPIED = "Copied. Whoever has the link may decide."
MARK_DONE = (
    "Only do this when it did take place. The run goes on behind this step as if it had succeeded, with no output: "
    "later steps that read its output fail."
)


def _nothing(_step: StepView) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class StepTools:
    """What a person can do with a step where it is shown; what is None is not offered there.

    *settle* says how a step of unknown outcome goes on; *undecided* are the ports between which only an answer decides,
    so that it cannot be marked as done. *decide* approves or rejects with a comment, *pin* keeps the output in the
    draft, *link* tells the address at which whoever has it approves or rejects.
    """

    settle: Callable[[StepView, Settle], Awaitable[None]] | None = None
    undecided: Callable[[StepView], Sequence[str]] = _nothing
    decide: Callable[[StepView, bool, str], Awaitable[None]] | None = None
    pin: Callable[[StepView], object] | None = None
    link: Callable[[StepView], str | None] | None = None


NO_TOOLS = StepTools()


def wait_view(step: StepView, wait: WaitView, tools: StepTools) -> None:
    """Draw what a step waits for."""
    with box("fs-wait"):
        icon(ICONS.get(wait.kind, "hourglass_empty"))
        with box("fs-wait-text"):
            ui.label(in_short(wait)).classes("fs-wait-title")
            if wait.until is not None:
                ui.label(words.exact(wait.until)).classes("fs-wait-until pw-num")
            if wait.kind == "approval" and wait.title:
                ui.label(wait.title).classes("fs-subject")
            if wait.kind == "approval" and wait.message:
                ui.label(wait.message).classes("fs-text")
            if wait.run is not None:
                with ui.link(target=f"/runs/{wait.run}").classes("fe-hint-link"):
                    ui.label(f"Open run {wait.run}")
            if wait.kind == "approval" and tools.decide is not None:
                with box("fs-actions"):
                    button("Approve", lambda: _decide(step, wait, tools, True), kind="primary", icon="check")
                    button("Reject", lambda: _decide(step, wait, tools, False), icon="close")
                    if tools.link is not None and (link := tools.link(step)) is not None:
                        copies(button("Copy link", icon="link"), link, told=COPIED)


def unknown_view(step: StepView, tools: StepTools) -> None:
    """Draw what can be done about a step of which nobody knows whether it took place."""
    if tools.settle is None:
        return
    ports = tools.undecided(step)
    with box("fs-unknown"):
        if ports:
            ui.label(
                f"It goes on at “{'” or “'.join(ports)}”, which only an answer decides. Send it again, then answer it."
            )
        else:
            ui.label("Find out whether it took place, for example at the service that it calls. Then say so:")
        with box("fs-actions"):
            button("Send again", lambda: _settle(step, tools, "send_again"), icon="replay")
            if not ports:
                button("Mark as done", lambda: _settle(step, tools, "mark_done"), icon="done_all")


def in_short(wait: WaitView) -> str:
    """Return what a step waits for on one line."""
    if wait.until is None:
        return _waits_for(wait)
    between = " " if wait.kind in ("retry", "time") else ", gives up "
    return f"{_waits_for(wait)}{between}{words.ahead(wait.until)}"


def _waits_for(wait: WaitView) -> str:
    match wait.kind:
        case "retry":
            return "Tries again"
        case "event":
            return f"Waits for the event “{wait.event}”"
        case "approval":
            return "Waits for an approval"
        case "run":
            return f"Waits for run {wait.run}" if wait.run else "Waits for the flow that it called"
        case _:
            return "Goes on"


async def _settle(step: StepView, tools: StepTools, action: Settle) -> None:
    is_again = action == "send_again"
    title, text = ("Send it again?", SEND_AGAIN) if is_again else ("Mark it as done?", MARK_DONE)
    agreed = await confirm(title, text, action="Send again" if is_again else "Mark as done", is_danger=is_again)
    if agreed and tools.settle is not None:
        await tools.settle(step, action)


async def _decide(step: StepView, wait: WaitView, tools: StepTools, approved: bool) -> None:
    verb = "Approve" if approved else "Reject"
    with dialog(f"{verb}: {wait.title}" if wait.title else verb, width=440) as (made, foot):
        with field("Comment", is_optional=True, hint="The flow gets it as “comment”, and the run shows it."):
            comment = ui.textarea().props(
                f"outlined dense hide-bottom-space autogrow autofocus maxlength={COMMENT_CHARS}"
            )
        with foot:
            button("Cancel", lambda: made.submit(None), kind="ghost")
            button(verb, lambda: made.submit(comment.value or ""), kind="primary" if approved else "danger")
    said = await made
    if said is not None and tools.decide is not None:
        await tools.decide(step, approved, str(said))
