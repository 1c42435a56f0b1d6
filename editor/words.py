"""Times, durations and numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago *moment* was, or its date when that is more than a week."""
    seconds = max(0.0, ((now or datetime.now(UTC)) - moment).total_seconds())
    if seconds < 5:
        return "just now"
    if seconds < MINUTE:
        return f"{seconds:.0f} s ago"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min ago"
    if seconds < DAY:
        return f"{seconds // HOUR:.0f} h ago"
    if seconds < 7 * DAY:
        days = int(seconds // DAY)
        return "yesterday" if days == 1 else f"{days} days ago"
    return f"{moment:%d %b %Y}".lstrip("0")


def ahead(moment: datetime, now: datetime | None = None) -> str:
    """Return in how long *moment* will be, or when, if that is more than a week away."""
    seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    if seconds < 1:
        return "now"
    if seconds < MINUTE:
        return f"in {seconds:.0f} s"
    if seconds < HOUR:
        return f"in {seconds // MINUTE:.0f} min"
    if seconds < DAY:
        return f"in {seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"
    days = int(seconds // DAY)
    if days < 7:
        return "in a day" if days == 1 else f"in {days} days"
    return f"on {moment:%d %b %Y}".replace(" 0", " ")


def on_the_clock(local: datetime, now: datetime | None = None) -> str:
    """Return a time as the clocks of its own zone show it: “Mon 4 May, 09:00”, with the year when it is another."""
    year = f" {local.year}" if local.year != (now or datetime.now(UTC)).astimezone(local.tzinfo).year else ""
    seconds = f":{local:%S}" if local.second else ""
    return f"{local:%a} {local.day} {local:%b}{year}, {local:%H:%M}{seconds}"


def exact(moment: datetime) -> str:
    """Return the full time in UTC, for tooltips."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(taken: timedelta) -> str:
    """Return a length of time with the precision that matters."""
    seconds = taken.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:.0f} s"
    return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return *number* with its noun: “1 row”, “12,400 rows”."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def item(iteration: str) -> str:
    """Return what an item of a loop is called: “Item 4”, and one of a loop inside of it “Item 4.1”."""
    return f"Item {'.'.join(str(int(number) + 1) for number in iteration.split('.'))}"


def size(size_bytes: int) -> str:
    """Return a file size in the unit that fits."""
    amount, units = float(size_bytes), ["B", "KB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:.0f} {units[0]}" if units[0] == "B" else f"{amount:.1f} {units[0]}"
