"""Says where what the engine recorded is not what the rules of flows come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from storage.tables import RunRow, StepRow
from tests.runtime.semantics.interpreter import BUSY, Key, OneOf, Step, Told

Json: TypeAlias = Any
UNSETTLED = ("planned", "running", "waiting")
STOPPED = "step.stopped"  # of a loop whose rounds did not all take place
UNTOLD = ("message", "event_id", "run", "waited_until", "id", "created_at", "updated_at")  # chosen by the platform


def differences(told: Told, run: RunRow, rows: Mapping[Key, StepRow], calls: Mapping[Key, int] | None) -> list[str]:
    """Return each difference in words; *calls* None: how often the outside was called is not compared."""
    return list(_differences(told, run, rows, calls))


def _differences(
    told: Told, run: RunRow, rows: Mapping[Key, StepRow], calls: Mapping[Key, int] | None
) -> Iterator[str]:
    if run.status != told.status:
        yield f"the run is {run.status}, not {told.status}: {run.error}"
    elif run.status == "failed":
        failing = [key for key in told.failing if _is_as_told(told.steps[key], rows.get(key))]
        if (run.error or {}).get("node") not in [node for node, _at in failing]:
            yield f"the run failed with {run.error}, the steps that may fail it are {told.failing}"
        elif not any(_same((run.error or {}).get("code"), told.steps[key].code) for key in failing):
            yield f"the run failed with {run.error}, not with {[told.steps[key].code for key in failing]}"
    if run.status == "succeeded" and not any(_same(run.output, output) for output in told.returned):
        yield f"the run returned {run.output}, not {told.returned}"
    for key, step in told.steps.items():
        row = rows.get(key)
        if row is not None and row.status in UNSETTLED:
            yield f"{key} is left {row.status}"
        elif not _is_as_told(step, row) and not (step.may_be_cut and _is_cut(step, row)):
            yield f"{key} is {_shown(row)}, not {step}"
        elif step.calls and row is not None and row.attempt != step.calls and not step.may_be_cut:
            yield f"{key} is at attempt {row.attempt}, not {step.calls}"
        elif calls is not None and not _is_as_often(made := calls.get(key, 0), step):
            yield f"{key} made {made} calls, not {step.calls}"
    for key in rows.keys() - told.steps.keys():
        if rows[key].status != "skipped":
            yield f"{key} is {_shown(rows[key])}, and should not have been reached"
    for key in (calls or {}).keys() - told.steps.keys():
        yield f"{key} was called, and should not have been reached"


def _is_as_often(made: int, step: Step) -> bool:
    return made == step.calls or (step.may_be_cut and made < step.calls)


def _is_as_told(step: Step, row: StepRow | None) -> bool:
    if row is None:
        return step.status == "skipped"
    if step.status == "skipped" or row.status == "skipped":
        return step.status == row.status
    return (
        row.status == step.status
        and (row.port == step.port or step.port is None)  # what a node without ports fires leads nowhere
        and _same(row.output, step.output)
        and _same((row.error or {}).get("code"), step.code)
    )


def _is_cut(step: Step, row: StepRow | None) -> bool:
    """Return whether the step did not take place, or got no further attempt, because the run had failed by then."""
    if row is None or row.status in ("skipped", "unknown"):
        return True
    return row.status == "failed" and (row.error or {}).get("code") in (BUSY, STOPPED)


def _same(found: Json, told: Json) -> bool:
    if isinstance(told, OneOf):
        return found in told
    if isinstance(told, dict) and isinstance(found, dict):
        found = {name: value for name, value in found.items() if name not in UNTOLD}
        told = {name: value for name, value in told.items() if name not in UNTOLD}
        return found.keys() == told.keys() and all(_same(found[name], told[name]) for name in told)
    if isinstance(told, list) and isinstance(found, list):
        return len(found) == len(told) and all(map(_same, found, told))
    return type(found) is type(told) and bool(found == told)


def _shown(row: StepRow | None) -> str:
    if row is None:
        return "not there"
    return f"{row.status} port={row.port} output={row.output} error={row.error}"
