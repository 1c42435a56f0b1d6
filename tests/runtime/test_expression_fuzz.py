"""Drawn expressions: none escapes, none changes what it reads, none tells a value, each is taken in one way."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings

from tests.runtime.expression_grammar import expressions, hold

MANY = int(os.environ.get("PULSEWIRE_FUZZ", "400"))


@pytest.mark.timeout(120 + MANY // 10)
@settings(deadline=None, max_examples=MANY, suppress_health_check=[HealthCheck.too_slow])
@given(expressions())
def test_no_drawn_expression_does_harm(text: str) -> None:
    hold(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ (not ''.capitalize(attribute='', attribute='')) }}",  # Python refuses to compile it
    ],
)
def test_what_was_found_once_does_no_harm_again(text: str) -> None:
    hold(text)
