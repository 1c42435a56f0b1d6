"""The parts of a flow document that say how it runs: retries, pinned outputs, limits and retention."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runtime import limits

Json: TypeAlias = Any
Number: TypeAlias = int | float
OnError: TypeAlias = Literal["stop", "continue", "port"]
AfterCrash: TypeAlias = Literal["repeat", "ask"]


class Part(BaseModel):
    """Base of everything in a document: strict, immutable, nothing unknown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Retry(Part):
    """How often and how patiently a step is tried again while its error is temporary."""

    attempts: Annotated[int, Field(ge=1, le=limits.ATTEMPTS)] = 3
    delay_s: Annotated[Number, Field(ge=0, le=limits.RETRY_DELAY_S)] = 5
    backoff: Annotated[Number, Field(ge=1, le=10)] = 2


class Pinned(Part):
    """What a node gives in test runs in place of being called: its output, and the port that it fires."""

    port: Annotated[str, Field(min_length=1, max_length=limits.PORT_CHARS)] = "out"
    output: dict[str, Json] | None = None


class FlowSettings(Part):
    """Limits of a flow: how many runs at once and how often, for how long, and how long they are kept.

    *key* is an expression over ``$param``: of runs with the same key at most *runs_at_once_per_key* are open at once,
    in the order in which they were accepted. *rate_runs* runs may start within *rate_s* seconds.
    """

    runs_at_once: Annotated[int, Field(ge=1, le=1_000)] | None = None
    key: Annotated[str, Field(min_length=1, max_length=2_000)] | None = None
    runs_at_once_per_key: Annotated[int, Field(ge=1, le=1_000)] = 1
    rate_runs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    rate_s: Annotated[Number, Field(ge=1, le=86_400)] = 60
    timeout_s: Annotated[Number, Field(ge=1, le=limits.RUN_TIMEOUT_S)] | None = None
    keep_days: Annotated[Number, Field(ge=0, le=36_500)] | None = None
    keep_runs: Annotated[int, Field(ge=0, le=100_000_000)] | None = None
    keep_mb: Annotated[Number, Field(ge=0, le=1_000_000)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Json) -> Json:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data
