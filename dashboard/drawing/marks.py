"""Report -> picture, table or file: pure functions, one for each thing that a page shows.

A page shows several variants at once, so every function here speaks of them by the same short labels and in
the same colours. Weights of all variants share one colour scale, or they could not be compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attention.client import gate_values
from attention.reports.compare import Comparison, GateSummary
from attention.reports.cost import CostReport
from dashboard.drawing import theme
from dashboard.drawing.words import about, called, gate_labels
from dashboard.language import say

PALETTE = ("#737b8c", "#d9822b", "#2b6cb0", "#2f9e79", "#b5487f", "#7d5fb2", "#a3862a", "#c0504d")
CELLS = 12_000
"""At most so many cells in all channel pictures of a page: what a browser draws without a pause."""
STEP, AXES = 24, 56
"""Height of a row of bars, and of an axis with its title, in pixels. A chart's height contains its axes."""
TEXT = "#7c8798"
"""Colour of words inside a chart, to be read on white and on black."""
LETTER, LINE = 0.0115, 0.065
"""Width and height of a letter of a name beside a mark, as shares of the axes of a picture half a page wide."""
SHORT = "format(datum.value, '~s')"
"""Label of a tick as 10, 1k, 1M. As a format it would take one prefix for a whole symlog axis, and call 10 '0M'."""

Chart = alt.Chart | alt.LayerChart | alt.FacetChart


# ---------------------------------------------------------------- words and colours shared by all pictures


def colour(report: Comparison | CostReport) -> alt.Scale:
    """Every variant keeps its colour from picture to picture."""
    return theme.colours(called(report), called(report).values())


def coloured(report: Comparison | CostReport, drawn: Iterable[str]) -> alt.Color:
    """A colour for each variant, and a legend of those that are drawn."""
    legend = alt.Legend(orient="top", title=None, labelLimit=300, columns=3, values=list(dict.fromkeys(drawn)))
    return alt.Color("variant:N", scale=colour(report), legend=legend)


def named(base: alt.Chart) -> list[alt.Chart]:
    """Write names beside marks: to the right of marks in the left half of a chart, to the left of the others.

    Args:
        base: its data have what `place_names` adds.
    """
    left = base.transform_filter("datum.name_x <= 0.5").mark_text(align="left", dx=11, fontSize=12)
    right = base.transform_filter("datum.name_x > 0.5").mark_text(align="right", dx=-11, fontSize=12)
    return [names.encode(text="name:N", y="name_y:Q", color=alt.value(theme.ink())) for names in (left, right)]


def place_names(rows: Sequence[dict[str, Any]], xs: Sequence[float]) -> None:
    """Choose where the names beside the marks of a chart stand, so that no name covers another.

    Args:
        rows: the marks, with ``name``, ``gain``, ``low`` and ``high``; each gets ``name_y``, where its name stands on
            the axis of gains, and ``name_x``, where its mark stands on the other axis.
        xs: positions of the marks on that axis: 0 at its left end, 1 at its right end.
    """
    line = LINE * (max(row["high"] for row in rows) - min(row["low"] for row in rows))
    for row, x in zip(rows, xs, strict=True):
        row |= {"name_x": x, "name_y": row["gain"]}
    names = []
    for row in sorted(rows, key=lambda row: float(row["gain"])):
        width = LETTER * len(row["name"])
        names.append((row, row["name_x"] + (width / 2 if row["name_x"] <= 0.5 else -width / 2), width))
    for _ in range(100):
        for (below, middle, width), (above, other, other_width) in combinations(names, 2):
            missing = line - (above["name_y"] - below["name_y"])
            if missing > 0 and abs(middle - other) < (width + other_width) / 2:
                below["name_y"] -= missing / 2
                above["name_y"] += missing / 2


# ---------------------------------------------------------------- compare


@dataclass(frozen=True)
class Row:
    """One gate of one variant with all its weights, flattened."""

    variant: str
    layer: str
    gate: GateSummary
    weights: NDArray[np.float64]


def channel_weights(report: Comparison, image: str) -> list[Row]:
    """Every gate whose weights the report has, by variant, from input to output."""
    rows = []
    for prediction in about(report, image):
        values, layers = gate_values(prediction), gate_labels(prediction.gates)
        rows += [
            Row(prediction.variant, layers[gate.path], gate, values[gate.path])
            for gate in prediction.gates
            if gate.path in values
        ]
    return rows


def depth(report: Comparison, image: str) -> Chart | None:
    """Mean weight of each layer with one standard deviation either way, from input to output."""
    label = called(report)
    gates = [(prediction.variant, gate) for prediction in about(report, image) for gate in prediction.gates]
    if not gates:
        return None
    order = [f"{stage}.{block}" for stage, block in sorted({(gate.stage, gate.block) for _, gate in gates})]
    rows = [
        {
            "variant": label[variant],
            "layer": f"{gate.stage}.{gate.block}",
            "kind": gate.kind,
            "mean": gate.mean,
            "low": gate.mean - gate.std,
            "high": gate.mean + gate.std,
        }
        for variant, gate in gates
    ]
    axis = alt.Axis(labelAngle=0, labelOverlap="greedy")
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("layer:N", sort=order, title=say("layer (stage.block), from input to output"), axis=axis),
        color=coloured(report, (label[variant] for variant, _ in gates)),
        detail="kind:N",
    )
    weight = alt.Y("low:Q", title=say("weight: mean ± std (no unit)"), scale=alt.Scale(zero=False))
    band = base.mark_area(opacity=0.15).encode(y=weight, y2="high:Q")
    line = base.mark_line(point=True).encode(
        y="mean:Q",
        strokeDash=alt.StrokeDash("kind:N", legend=None),
        tooltip=[
            alt.Tooltip("variant:N", title=say("variant")),
            alt.Tooltip("layer:N", title=say("layer")),
            alt.Tooltip("kind:N", title=say("kind")),
            alt.Tooltip("mean:Q", title=say("mean"), format=".4f"),
        ],
    )
    return alt.layer(line, band).properties(height=340)
