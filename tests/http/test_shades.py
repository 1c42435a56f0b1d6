"""Whatever colour is chosen, what stands on it and beside it can be read."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.http.hosted_views import GROUNDS
from runtime.http.shades import READABLE, VISIBLE, contrast, shades

colours = st.tuples(*[st.integers(0, 255)] * 3).map(lambda rgb: "#{:02x}{:02x}{:02x}".format(*rgb))


def rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (float(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    return red, green, blue


@given(colours, st.sampled_from(sorted(GROUNDS.values())))
@example("#ffffff", "#ffffff")
@example("#000000", "#161a21")
@example("#777777", "#ffffff")
@example("#ffe14d", "#ffffff")
def test_every_colour_can_be_read(colour: str, ground: str):
    found = shades(colour, ground)

    assert found.fill == colour
    assert contrast(rgb(found.fill), rgb(found.on_fill)) >= READABLE
    assert contrast(rgb(ground), rgb(found.text)) >= READABLE
    assert contrast(rgb(ground), rgb(found.edge)) >= VISIBLE


def test_colour_that_can_be_read_stays_as_it_is():
    found = shades("#0F766E", "#ffffff")

    assert found.fill == found.edge == found.text == "#0f766e"
    assert found.on_fill == "#ffffff"


@pytest.mark.parametrize(("one", "other", "expected"), [("#ffffff", "#000000", 21), ("#777777", "#ffffff", 4.48)])
def test_contrast_is_that_of_wcag(one: str, other: str, expected: float):
    assert contrast(rgb(one), rgb(other)) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("text", ["", "red", "#fff", "#12345g", "#1234567", "#fff;}body{}"])
def test_what_is_no_colour_is_refused(text: str):
    with pytest.raises(ValueError, match="#6366f1"):
        shades(text, "#ffffff")
