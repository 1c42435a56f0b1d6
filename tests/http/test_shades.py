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

    assert contrast(rgb(found.fill), rgb(found.on_fill)) >= READABLE
    assert contrast(rgb(ground), rgb(found.text)) >= READABLE
    assert contrast(rgb(ground), rgb(found.edge)) >= VISIBLE


def test_colour_that_can_be_read_stays_as_it_is():
    found = shades("#0F766E", "#ffffff")

    assert found.fill == found.edge == found.text == "#0f766e"
    assert found.on_fill == "#ffffff"


@pytest.mark.parametrize("colour", ["#6366f1", "#1877f2", "#ea580c"])
def test_colour_that_nearly_carries_white_is_darkened_until_it_does(colour: str):
    found = shades(colour, "#ffffff")

    assert found.on_fill == "#ffffff"
    assert max(abs(one - other) for one, other in zip(rgb(found.fill), rgb(colour), strict=True)) < 40


def test_colour_that_is_too_light_for_white_stays_and_carries_black():
    found = shades("#ffe14d", "#ffffff")

    assert (found.fill, found.on_fill) == ("#ffe14d", "#000000")


@pytest.mark.parametrize(("one", "other", "expected"), [("#ffffff", "#000000", 21), ("#777777", "#ffffff", 4.48)])
def test_contrast_is_that_of_wcag(one: str, other: str, expected: float):
    assert contrast(rgb(one), rgb(other)) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("text", ["", "red", "#fff", "#12345g", "#1234567", "#fff;}body{}"])
def test_what_is_no_colour_is_refused(text: str):
    with pytest.raises(ValueError, match="#6366f1"):
        shades(text, "#ffffff")
