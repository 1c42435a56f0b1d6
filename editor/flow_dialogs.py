"""Making a flow, by name or from a file, and starting one by hand."""

from __future__ import annotations

import json
from asyncio import to_thread
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import events, ui

from editor.frame import box, icon
from editor.widgets import Refused, button, choice, dialog, field, problem_list, reasons, text_input
from runtime.limits import DOCUMENT_BYTES, NAME_CHARS
from runtime.payloads import check_payload

if TYPE_CHECKING:
    from runtime.flow_views import FlowView
    from runtime.service import Service

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "warn-on-emptied-table.json"


def example() -> str:
    """Return the flow that newcomers can start from."""
    return EXAMPLE.read_text(encoding="utf-8")


def new_flow(service: Service) -> None:
    """Ask for a name, create an empty flow and open it."""
    with dialog("New flow", width=420) as (window, foot):
        with field("Name", hint="What it does, such as “Warn on emptied table”. You can change it later."):
            name = text_input("", placeholder="Untitled flow").props(f"autofocus maxlength={NAME_CHARS}")

        async def create() -> None:
            wanted = (name.value or "").strip()
            try:
                flow = await to_thread(service.flows.create, name=wanted or "Untitled flow")
            except Refused as refusal:
                name.error = " ".join(reasons(refusal))
            else:
                window.close()
                ui.navigate.to(f"/flows/{flow.id}")

        name.on("keydown.enter", create)
        with foot:
            button("Cancel", window.close, kind="ghost")
            button("Create flow", create, kind="primary")
    window.open()


def import_flow(service: Service) -> None:
    """Take a file or pasted JSON and open the flow made of it; problems are listed and nothing is kept."""
    with dialog("Import a flow", width=560) as (window, foot):
        drop = drop_zone("Drop an exported flow here, or choose a file", "A .json file", ".json,application/json")
        with field("Or paste the JSON"):
            text = ui.textarea(placeholder='{"format": "pulsewire.flow/1", …}').props(
                "outlined dense hide-bottom-space spellcheck=false input-style='height: 132px; resize: none'"
            )
            text.classes("pw-code-area")
        problems = box("pw-place")

        async def take(source: str | bytes) -> None:
            problems.clear()
            if not source.strip():
                with problems:
                    problem_list(["There is nothing to import yet. Choose a file, or paste the JSON of a flow."])
                return
            try:
                flow = await to_thread(service.flows.import_, source)
            except Refused as refusal:
                with problems:
                    ui.label("Nothing was imported.").classes("pw-label")
                    problem_list(reasons(refusal))
            else:
                window.close()
                ui.navigate.to(f"/flows/{flow.id}")

        async def uploaded(event: events.UploadEventArguments) -> None:
            content = await event.file.read()
            drop.reset()
            await take(content)

        drop.on_upload(uploaded)
        with foot:
            button("Cancel", window.close, kind="ghost")
            button("Import", lambda: take(text.value or ""), kind="primary", icon="upload")
    window.open()


def start_flow(service: Service, view: FlowView, triggers: dict[str, str]) -> None:
    """Ask for a payload, start the live version at one of *triggers* (id to name), and open the run."""
    samples = {sample["trigger"]: sample["payload"] for sample in reversed(view.draft.get("samples") or [])}
    first = next(iter(triggers))
    with dialog(f"Start “{view.name}”", width=480) as (window, foot):
        ui.label(f"Version {view.published_version} runs for real: what it sends is sent.").classes("pw-soft")
        with field("Start at") as place:
            trigger = choice(triggers, value=first)
        place.set_visibility(len(triggers) > 1)
        with field("Payload", hint="A JSON object; the flow reads it as $param."):
            payload = ui.textarea(value=json.dumps(samples.get(first, {}), ensure_ascii=False, indent=2)).props(
                "outlined dense hide-bottom-space spellcheck=false input-style='height: 132px; resize: none'"
            )
            payload.classes("pw-code-area").props["aria-label"] = "Payload"
        problems = box("pw-place")

        async def start() -> None:
            problems.clear()
            try:
                given = check_payload((payload.value or "{}").encode())
                run = await service.runs.start(view.id, trigger.value, given)
            except Refused as refusal:
                with problems:
                    problem_list(reasons(refusal))
            else:
                window.close()
                ui.navigate.to(f"/runs/{run.id}")

        with foot:
            button("Cancel", window.close, kind="ghost")
            button("Start", start, kind="primary", icon="play_arrow")
    window.open()


def drop_zone(title: str, hint: str, accept: str, *, max_bytes: int = DOCUMENT_BYTES) -> ui.upload:
    """Draw a place to drop a file on, or to click and choose one; it uploads at once."""
    made = ui.upload(auto_upload=True, max_file_size=max_bytes).props(f"flat accept={accept}")
    made.classes("pw-drop")
    with made.add_slot("header"), box("pw-drop-face"):
        icon("upload_file")
        ui.label(title).classes("pw-drop-title")
        ui.label(hint).classes("pw-hint")
        ui.element("q-uploader-add-trigger")
    made.add_slot("list")
    return made
