"""What is kept, in the settings: how long runs stay, the room that the database takes, and a backup of it."""

from __future__ import annotations

from asyncio import to_thread
from typing import TYPE_CHECKING

from nicegui import ui

from editor import words
from editor.frame import box, icon
from editor.widgets import Refused, button, confirm, field, reasons, tell, text_input, toast
from runtime.errors import Invalid
from runtime.retention_rules import Rules

if TYPE_CHECKING:
    from runtime.service import Service

DOWNLOAD = "/settings/backup"
FIELDS = {
    "keep_days": ("Days", "Since a run ended."),
    "keep_runs": ("Runs of each flow", "The latest ones."),
    "keep_mb": ("Megabytes of each flow", "About, as a sample of its runs tells."),
}


class DataSettings:
    """The form of how long runs are kept, and what there is beside it."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def build(self) -> None:
        """Draw the form with the rules in force."""
        self._place = box("pw-place pw-place--wide")
        await self._draw()

    async def _draw(self) -> None:
        rules = await to_thread(self._service.retention.read)
        self._place.clear()
        with self._place:
            await self._room()
            with box("pw-form pw-form--three"):
                self._inputs = {name: self._input(name, value) for name, value in rules.as_json().items()}
            ui.label(
                "Runs beyond any of the three are removed for good, the oldest first; an empty field sets no limit. "
                "Open runs stay, and what was given up as a dead letter. A flow can set limits of its own."
            ).classes("pw-hint")
            with box("pw-section-foot"):
                button("Save limits", lambda: self._save(rules), kind="primary")
                button("Download a backup", self._back_up, icon="download")

    async def _room(self) -> None:
        room = await to_thread(self._service.retention.space)
        last = await to_thread(self._service.backups.last)
        text = f"The database takes {words.size(room.file_bytes + room.log_bytes)} on the disk"
        if room.free_bytes:
            text += f"; {words.size(room.free_bytes)} of it are free for what comes next"
        backup = "No backup was made yet." if last is None else f"The last backup was made {words.ago(last.at)}."
        with box("pw-note"):
            icon("database")
            with box():
                ui.label(f"{text}.")
                ui.label(f"{backup} The secret key is not in it: keep a copy of the key somewhere else.")

    def _input(self, name: str, value: float | None) -> ui.input:
        title, hint = FIELDS[name]
        with field(title, hint=hint):
            made = text_input("" if value is None else f"{value:,.10g}", placeholder="No limit")
        made.props["aria-label"] = title
        return made.props("inputmode=decimal")

    async def _save(self, before: Rules) -> None:
        entered = self._read()
        if entered is None:
            return
        if _is_stricter(entered, before) and not await confirm(
            "Keep less?",
            "Runs beyond the new limits are removed within seconds. Only a backup has them then.",
            action="Remove them",
        ):
            return
        try:
            await to_thread(self._service.retention.save, entered)
        except Invalid as refusal:
            for problem in refusal.problems:
                self._inputs[problem.param or "keep_days"].error = problem.message
        except Refused as refusal:
            tell(refusal)
        else:
            toast("Saved")
            await self._draw()

    def _read(self) -> Rules | None:
        """Return what was entered; None where a field holds no number, which it says then."""
        values: dict[str, float | None] = {}
        for name, made in self._inputs.items():
            text = (made.value or "").strip().replace(",", "")
            made.error = None
            try:
                values[name] = (float(text) if "." in text else int(text)) if text else None
            except ValueError:
                made.error = "Enter a number, or nothing for no limit."
        return None if any(made.error for made in self._inputs.values()) else Rules(**values)  # type: ignore[arg-type]

    async def _back_up(self) -> None:
        try:
            await to_thread(self._service.backups.require_room)
        except Refused as refusal:
            toast(reasons(refusal)[0], "fail")
        else:
            ui.download.from_url(DOWNLOAD)
            toast("The backup is being made; the browser saves it", "info")


def _is_stricter(new: Rules, old: Rules) -> bool:
    """Return whether runs may go that would have stayed."""
    endless = float("inf")
    return any(
        (endless if value is None else value) < (endless if (now := getattr(old, name)) is None else now)
        for name, value in new.as_json().items()
    )
