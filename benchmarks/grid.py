"""Measure a page of the table grid: ``python -m benchmarks.grid [rows]`` prints milliseconds per page of 50.

Each figure is the median of several calls of what the page and the HTTP API call, on a fresh database. The columns
of an order are the first, the middle and the last page; the first sort by a column makes its index, and is not shown.
What touches every row also shows how long it kept others from writing; the engine waits 10 s for that.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlmodel import Session

from backend.datahub import Column, Datahub
from runtime import outbox
from storage.database import Database

COLUMNS = [
    Column("number", "integer", unique=True),
    Column("customer", "text"),
    Column("email", "text"),
    Column("total", "number"),
    Column("is_paid", "boolean"),
    Column("ordered_on", "date"),
    Column("shipped_at", "datetime"),
    Column("note", "text"),
    Column("details", "json"),
]
CONVERSIONS = [("number", "text"), ("shipped_at", "text"), ("details", "text"), ("total", "json")]
CALLS = 7


class TimedDatabase(Database):
    """Measures how long the last transaction held the write lock."""

    held_s = 0.0

    @contextmanager
    def write(self) -> Iterator[Session]:
        with super().write() as session:
            started = time.perf_counter()
            yield session
        self.held_s = time.perf_counter() - started


def main(count: int) -> None:
    """Fill a table with *count* rows and print every figure."""
    with tempfile.TemporaryDirectory() as directory:
        database = TimedDatabase(f"sqlite:///{Path(directory) / 'pulsewire.db'}")
        database.migrate()
        datahub = Datahub(database, lambda _session, _event: None, listens=outbox.listens)
        table = datahub.create("orders", COLUMNS).id
        started = time.perf_counter()
        for start in range(0, count, 10_000):
            datahub.insert(table, [row(number) for number in range(start, min(start + 10_000, count))])
        print(f"insert {count:,} rows            {time.perf_counter() - started:8.2f} s")
        measure(datahub, table, count)
        measure_whole(datahub, database, table)
        database.dispose()


def measure(datahub: Datahub, table: str, count: int) -> None:
    """Print the time of pages: first, middle and last of each order, then filters and searches."""
    places = {"first": 0, "middle": count // 2, "last": count - 50}
    for sort in ("-created_at", None, "number", "customer", "-total", "is_paid", "ordered_on,-total", "shipped_at"):
        figures = [page(lambda s=sort, o=offset: datahub.rows(table, sort=s, offset=o)) for offset in places.values()]
        print(f"sorted by {sort or 'nothing':<22}" + "".join(f"{figure:9.1f}" for figure in figures) + " ms")
    for title, where in {
        "one customer": {"customer": "customer 77"},
        "not paid": {"is_paid": False},
        "contains": {"note": {"contains": "late"}},
        "range and date": {"total": {"gte": 100, "lt": 200}, "ordered_on": {"gt": "2024-06-01"}},
        "no match": {"email": "nobody"},
    }.items():
        plain = page(lambda w=where: datahub.rows(table, filter=w))
        ordered = page(lambda w=where: datahub.rows(table, filter=w, sort="customer"))
        print(f"filtered: {title:<22}{plain:9.1f}{ordered:9.1f} ms (newest first, by customer)")
    for text in ("customer 9999", "late", "nothing like it"):
        print(f"search: {text:<24}{page(lambda t=text: datahub.rows(table, search=t)):9.1f} ms")
    row_id = datahub.rows(table, limit=1).rows[0]["id"]
    print(f"change a cell                   {page(lambda: datahub.update_row(table, row_id, {'note': 'x'})):9.1f} ms")
    print(f"add a row                       {page(lambda: datahub.insert(table, [{'note': 'x'}])):9.1f} ms")


def measure_whole(datahub: Datahub, database: TimedDatabase, table: str) -> None:
    """Print the time of what touches every row."""

    def timed(title: str, call: Callable[[], object]) -> None:
        started = time.perf_counter()
        call()
        whole = time.perf_counter() - started
        print(f"{title:<32}{whole:9.2f} s, {database.held_s:.2f} s of it with the write lock")

    started = time.perf_counter()
    text = "".join(datahub.export_csv(table))
    print(f"export CSV                      {time.perf_counter() - started:9.2f} s ({len(text) / 1e6:.0f} MB)")
    copy = datahub.create("copy", COLUMNS).id
    timed("import CSV", lambda: datahub.import_csv(copy, [text]))
    timed("add a column", lambda: datahub.update(copy, columns=[*COLUMNS, Column("added", "text")]))
    for name, kind in CONVERSIONS:
        changed = [Column(name, kind) if column.name == name else column for column in COLUMNS]
        timed(f"{name} becomes {kind}", lambda columns=changed: datahub.update(copy, columns=columns))
        timed("… and back", lambda: datahub.update(copy, columns=COLUMNS))
    timed("clear", lambda: datahub.clear(copy))


def page(call: Callable[[], object]) -> float:
    """Return the median of some calls in milliseconds."""
    figures = []
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        figures.append((time.perf_counter() - started) * 1000)
    return statistics.median(figures)


def row(number: int) -> dict[str, object]:
    """Return one order, the same for the same number."""
    chance = random.Random(number)
    return {
        "number": number,
        "customer": f"customer {chance.randrange(10_000)}",
        "email": f"person{chance.randrange(50_000)}@example.com",
        "total": round(chance.uniform(1, 1000), 2),
        "is_paid": chance.random() < 0.7,
        "ordered_on": f"2024-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}",
        "shipped_at": f"2024-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}T10:00:00Z",
        "note": chance.choice(["", "arrived late", "gift wrapped", "call before delivery " * 3]),
        "details": {"items": [{"sku": chance.randrange(1000), "count": 1}]},
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
