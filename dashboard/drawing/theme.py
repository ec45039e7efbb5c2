"""Colours, marks and scales of every picture: one colour and one mark for each attention module, everywhere.

The colours were found by a search in OKLCH: at least 3 : 1 against the page, and the largest smallest distance between
any two under normal sight and simulated protanopia, deuteranopia and tritanopia (Machado et al. 2009). Words are never
in a module's colour, which is enough for a mark and too little for a word.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from attention.spec import GateKind


@dataclass(frozen=True)
class Look:
    """How a module is drawn: its colour on a light and on a dark page, its mark, and whether that is filled."""

    light: str
    dark: str
    mark: str
    filled: bool = True


PLAIN = "none"
"""What pictures call a network without attention."""

MODULES: dict[str, Look] = {
    PLAIN: Look("#6b7583", "#979ea5", "square"),
    "se": Look("#e77410", "#f28c5c", "circle"),
    "eca": Look("#004bc3", "#339ce8", "diamond"),
    "cbam": Look("#145625", "#99e7a4", "cross"),
    "coord": Look("#97016d", "#dd316f", "triangle-up"),
    "sk": Look("#a659e9", "#855add", "triangle-down"),
    "danet": Look("#876800", "#eac830", "triangle-right"),
    "gc": Look("#509fad", "#66c9e0", "triangle-left"),
}
"""The eight modules that people ask for."""

FAMILIES: dict[str, Sequence[str]] = {
    "se": ("ese", "fca", "srm", "gct", "se_var1", "se_var2", "se_var3"),
    "eca": ("ceca", "eca_ns"),
    "cbam": ("bam", "triplet"),
    "gc": ("ge", "simam"),
    PLAIN: ("identity", "static", "random"),
}
"""Relatives, drawn in the colour of their family with a hollow mark."""

NAMES = {
    PLAIN: "None",
    "coord": "CA",
    "danet": "DANet",
    "simam": "SimAM",
    "triplet": "Triplet",
    "identity": "Identity",
    "static": "Static",
    "random": "Random",
}
"""Modules that are not called by their letters."""

SIGNS = {
    "square": "■",
    "circle": "●",
    "diamond": "◆",
    "cross": "✚",
    "triangle-up": "▲",
    "triangle-down": "▼",
    "triangle-right": "▶",
    "triangle-left": "◀",
}
"""Marks as characters, to stand beside words."""
HOLLOW = {"■": "□", "●": "○", "◆": "◇", "✚": "✛", "▲": "△", "▼": "▽", "▶": "▷", "◀": "◁"}

UNKNOWN = Look("#6b7583", "#979ea5", "circle", filled=False)
"""A module of no family."""


CHANGE = {
    False: ("#a34700", "#f3a765", "#ffffff", "#a99bd6", "#4b2a94"),
    True: ("#ffb06b", "#9c4f10", "#12161d", "#4a3a96", "#b9a5ff"),
}
"""From loss to gain; the middle is the page, so that nothing disappears."""
LEAST_CHANGE = 10.0
"""Points that the scale of a change reaches at least."""


def dark() -> bool:
    """Whether the visitor reads on a dark page; it follows the visitor's own switch."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return False
    return st.context.theme.type == "dark"


def ink() -> str:
    """Colour of words inside a picture."""
    return "#c3cbd6" if dark() else "#4a5463"


def faint() -> str:
    """Colour of lines that only help to read."""
    return "#323b48" if dark() else "#d5dae1"


def band() -> str:
    """Colour of an area of no importance."""
    return "#232b36" if dark() else "#e8eaed"


def paper() -> str:
    """Colour of the page."""
    return "#12161d" if dark() else "#ffffff"


# ---------------------------------------------------------------- modules


def module(name: str) -> str:
    """The module of a network's short name: 'resnet20/se(reduction=8)@standard:3' -> 'se'; a bare name is its own."""
    attention = name.partition("?")[0].rpartition("/")[2]
    return attention.partition("(")[0].partition("@")[0] or PLAIN


def called(name: str) -> str:
    """What people call the module of a network: 'resnet20/coord' -> 'CA'."""
    attention = module(name)
    return NAMES.get(attention, attention.upper().replace("_", "-"))


def sign(name: str) -> str:
    """The mark of a network's module as a character."""
    chosen = look(name)
    return SIGNS[chosen.mark] if chosen.filled else HOLLOW[SIGNS[chosen.mark]]


def look(name: str) -> Look:
    """How a network or module is drawn, by its short name."""
    attention = module(name)
    if attention in MODULES:
        return MODULES[attention]
    for family, relatives in FAMILIES.items():
        if attention in relatives:
            parent = MODULES[family]
            return Look(parent.light, parent.dark, parent.mark, filled=False)
    return UNKNOWN


def hue(name: str) -> str:
    """The colour of a network's module on the visitor's page."""
    chosen = look(name)
    return chosen.dark if dark() else chosen.light


def colours(names: Iterable[str], labels: Iterable[str] | None = None) -> alt.Scale:
    """Labels of networks -> the colours of their modules."""
    series = list(names)
    return alt.Scale(domain=list(labels) if labels is not None else series, range=[hue(name) for name in series])


def shapes(names: Iterable[str], labels: Iterable[str] | None = None) -> alt.Scale:
    """Labels of networks -> the marks of their modules."""
    series = list(names)
    return alt.Scale(domain=list(labels) if labels is not None else series, range=[look(name).mark for name in series])


# ---------------------------------------------------------------- scales


@dataclass(frozen=True)
class Weights:
    """The fixed axis of a kind of attention weight: its ends, and the weight that a fresh gate starts at."""

    low: float
    high: float
    start: float


def weights(kind: GateKind, neutral: float | None, low: float, high: float) -> Weights:
    """The axis for gates of a kind, never cut to the data: a flat line at a half is news.

    Args:
        kind: what the entries run over.
        neutral: the weight that passes the input through; 0 is added, None is a share of a softmax.
        low: smallest weight that is drawn.
        high: largest weight that is drawn.
    """
    if neutral == 0:
        reach = max(abs(low), abs(high), 1e-3)
        return Weights(-reach, reach, 0.0)
    if neutral is None or kind in ("branch", "matrix"):
        return Weights(0.0, 1.0, 0.5)
    if high > 1 or low == high == 1:
        return Weights(min(0.0, low), max(2.0, high), 1.0)
    return Weights(min(0.0, low), 1.0, 0.5)


def change(largest: float) -> alt.Scale:
    """The scale of a change in points, orange where something is lost and violet where it is gained."""
    reach = max(LEAST_CHANGE, abs(largest))
    return alt.Scale(
        domain=[-reach, -reach / 2, 0, reach / 2, reach], range=list(CHANGE[dark()]), interpolate="rgb", clamp=True
    )


def agreement() -> alt.Scale:
    """The scale of an agreement from 0 to 100 %: full agreement is the page, and orange is what is lost."""
    return alt.Scale(domain=[0, 50, 100], range=list(CHANGE[dark()][:3]), interpolate="rgb", clamp=True)


def legible(field: str) -> Any:
    """The colour of words in cells that are coloured by a field: black or white, whichever is at least 4.5 : 1."""
    return alt.condition(f"luminance(scale('color', datum.{field})) > 0.18", alt.value("#000000"), alt.value("#ffffff"))


def words_in_ink() -> dict[str, dict[str, str]]:
    """What a chart is told so that its words are in the ink of the page; Streamlit's grey is 3.7 : 1 on white."""
    words = {"labelColor": ink(), "titleColor": ink()}
    return {"axis": words, "legend": words, "header": words, "title": {"color": ink()}}


def named_axis(**more: Any) -> alt.Axis:
    """An axis of names that drops none and moves none off its row."""
    fixed: dict[str, Any] = {
        "labelOverlap": False,
        "labelFlush": False,
        "labelBound": False,
        "labelLimit": 180,
        "ticks": False,
    }
    return alt.Axis(**{"labelLimit": 180, "ticks": False, "domain": False, **fixed, **more})


def percent_axis(title: str, **more: Any) -> alt.X:
    """The axis of a probability: always 0 to 100 %."""
    axis = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1], title=title)
    scale = alt.Scale(domain=[0, 1], nice=False)
    return alt.X(**more, scale=scale, axis=axis)
