"""Colours by module: told apart by any eyes on both pages, the same everywhere, and never cut scales."""

import re
from itertools import combinations

import altair as alt
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from dashboard.drawing import draw, theme

LIGHT, DARK = "#ffffff", "#12161d"
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
"""Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB."""


def linear(colour: str) -> NDArray[np.float64]:
    """sRGB in hex -> linear RGB, 0..1 (IEC 61966-2-1)."""
    value = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio."""
    light, dark = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear RGB -> OKLab (Ottosson 2020)."""
    to_lms = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(to_lab) @ np.cbrt(np.array(to_lms) @ np.clip(rgb, 0, 1))


@pytest.mark.parametrize(("page", "which"), [(LIGHT, "light"), (DARK, "dark")])
def test_every_mark_is_seen_on_its_page_and_told_from_the_others_by_any_eyes(page: str, which: str) -> None:
    colours = {name: getattr(look, which) for name, look in theme.MODULES.items()}
    assert all(contrast(colour, page) >= 2.99 for colour in colours.values())
    for matrix in (np.eye(3), *map(np.array, DEFICIENCIES.values())):
        seen = {name: oklab(matrix @ linear(colour)) for name, colour in colours.items()}
        for one, other in combinations(seen, 2):
            assert np.linalg.norm(seen[one] - seen[other]) > 0.09, (one, other)


@pytest.mark.parametrize("dark", [False, True])
def test_words_are_ink_and_loss_is_told_from_gain(dark: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DARK if dark else LIGHT
    monkeypatch.setattr(theme, "dark", lambda: dark)
    assert contrast(theme.ink(), page) >= 4.5
    ends = theme.CHANGE[dark]
    assert ends[2] == page, "nothing disappears"
    for matrix in (np.eye(3), *map(np.array, DEFICIENCIES.values())):
        loss, gain = (oklab(matrix @ linear(colour)) for colour in (ends[0], ends[-1]))
        assert np.linalg.norm(loss - gain) > 0.12


def test_a_module_keeps_its_colour_whatever_else_a_network_is() -> None:
    names = ["resnet20/se", "resnet50/se(reduction=8)@standard:3-4?seed=2", "se"]
    assert {theme.hue(name) for name in names} == {theme.MODULES["se"].light}
    assert theme.module("resnet20(width=8)/none?classes=10&weights=shipped") == "none"
    assert theme.hue("resnet20/eca?weights=shipped") != theme.hue("resnet20/se?weights=shipped")


def test_relatives_are_hollow_marks_of_their_family_and_strangers_grey() -> None:
    assert theme.look("ese") == theme.Look(theme.MODULES["se"].light, theme.MODULES["se"].dark, "circle", filled=False)
    assert theme.look("something_new") == theme.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "neutral", "low", "high", "axis"),
    [
        ("channel", 1.0, 0.5, 0.5, (0, 1, 0.5)),  # a flat line at a half is news, and is drawn as one
        ("channel", 1.0, 0.4, 0.6, (0, 1, 0.5)),
        ("channel", 1.0, 0.8, 1.3, (0, 2, 1)),  # 1 + tanh
        ("channel", 1.0, 1.0, 1.0, (0, 2, 1)),
        ("channel", 0.0, -0.2, 0.1, (-0.2, 0.2, 0)),  # added
        ("branch", None, 0.4, 0.6, (0, 1, 0.5)),
        ("spatial", 1.0, 0.1, 0.9, (0, 1, 0.5)),
    ],
)
def test_axes_of_weights_are_never_cut_to_the_data(
    kind: str, neutral: float | None, low: float, high: float, axis: tuple[float, float, float]
) -> None:
    weights = theme.weights(kind, neutral, low, high)  # type: ignore[arg-type]
    assert (weights.low, weights.high, weights.start) == axis


def test_a_small_change_is_pale() -> None:
    assert theme.change(0.5).to_dict()["domain"] == [-10, -5, 0, 5, 10]
    assert theme.change(-40).to_dict()["domain"] == [-40, -20, 0, 20, 40]


@pytest.mark.full
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("scale", ["change", "agreement"])
def test_numbers_in_cells_can_be_read_on_every_colour_of_the_scale(
    monkeypatch: pytest.MonkeyPatch, dark: bool, scale: str
) -> None:
    monkeypatch.setattr(theme, "dark", lambda: dark)
    colours = theme.change(10) if scale == "change" else theme.agreement()
    frame = pd.DataFrame({"value": np.linspace(-10, 10, 41) if scale == "change" else np.linspace(0, 100, 41)})
    base = alt.Chart(frame).encode(y="value:O", text="value:Q")
    cells = base.mark_rect().encode(color=alt.Color("value:Q", scale=colours, legend=None))
    svg = draw.svg(alt.layer(cells, base.mark_text().encode(color=theme.legible("value")))).decode()
    fills = re.findall(r'"rect mark"[^>]*fill="rgb\(([^)]+)\)"', svg)
    words = re.findall(r'"text mark"[^>]*fill="(#[0-9a-f]{6})"', svg)
    assert len(fills) == len(words) == 41
    for fill, word in zip(fills, words, strict=True):
        cell = "#" + "".join(f"{int(part):02x}" for part in fill.split(","))
        assert contrast(cell, word) >= 4.5, (fill, word)


def test_words_of_axes_and_legends_are_ink_on_their_page(monkeypatch: pytest.MonkeyPatch) -> None:
    for dark, page in ((False, LIGHT), (True, DARK)):
        monkeypatch.setattr(theme, "dark", lambda dark=dark: dark)
        config = draw.Drawn(alt.Chart(pd.DataFrame({"a": [1]})).mark_bar()).to_dict()["config"]
        colours = [config[part][key] for part in ("axis", "legend", "header") for key in ("labelColor", "titleColor")]
        assert all(contrast(colour, page) >= 4.5 for colour in colours)
