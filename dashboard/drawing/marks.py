"""Report -> picture, table or file: pure functions, one for each thing that a page shows.

A page shows several variants at once, so every function here speaks of them by the same short labels and in
the same colours. Weights of all variants share one colour scale, or they could not be compared.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attention.client import gate_values
from attention.reports.compare import Comparison, GateSummary
from attention.reports.cost import CostReport
from dashboard.drawing import theme
from dashboard.drawing.words import about, called, gate_labels

PALETTE = ("#737b8c", "#d9822b", "#2b6cb0", "#2f9e79", "#b5487f", "#7d5fb2", "#a3862a", "#c0504d")
CELLS = 12_000
"""At most so many cells in all channel pictures of a page: what a browser draws without a pause."""
STEP, AXES = 24, 56
"""Height of a row of bars, and of an axis with its title, in pixels. A chart's height contains its axes."""
TEXT = "#7c8798"
"""Colour of words inside a chart, to be read on white and on black."""
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


# ---------------------------------------------------------------- compare


def predictions(report: Comparison, image: str) -> dict[str, Chart]:
    """For each variant its most probable classes as bars, all on the same axis from 0 to 100 %."""
    label = called(report)
    charts: dict[str, Chart] = {}
    trained = {variant.name: variant.trained for variant in report.variants}
    for prediction in about(report, image):
        rows = [
            {"class": score.label or f"class {score.index}", "probability": score.probability}
            for score in prediction.top
        ]
        base = alt.Chart(pd.DataFrame(rows)).encode(
            y=alt.Y("class:N", sort=[str(row["class"]) for row in rows], title=None, axis=theme.named_axis()),
            x=alt.X(
                "probability:Q",
                scale=alt.Scale(domain=[0, 1.12], nice=False),
                axis=alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1], title="softmax probability"),
            ),
            tooltip=[alt.Tooltip("class:N"), alt.Tooltip("probability:Q", format=".2%")],
        )
        shade = 0.9 if trained[prediction.variant] else 0.35
        bars = base.mark_bar(
            color=theme.hue(prediction.variant), opacity=shade, cornerRadiusEnd=3, height={"band": 0.72}
        )
        figures = base.mark_text(align="left", dx=4, color=TEXT).encode(text=alt.Text("probability:Q", format=".2~p"))
        charts[label[prediction.variant]] = alt.layer(bars, figures).properties(height=STEP * len(rows) + AXES)
    return charts


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
            Row(prediction.variant, layers[gate.gate], gate, values[gate.gate])
            for gate in prediction.gates
            if gate.gate in values
        ]
    return rows


def channel_maps(report: Comparison, image: str, ordered: bool = False) -> dict[str, Chart]:
    """For each variant with per-channel gates: layers as rows, channels as columns, weight as colour.

    Rows of different length fill the same width. A row with more channels than there is room for shows some of them,
    evenly spaced: means of neighbours would make wide layers look calmer than they are. With ``ordered`` each
    row is sorted by weight, which shows distributions. The colour scale is centred where the gates are (`centre`), and
    shared by all variants with the same centre.
    """
    label, rows = called(report), [row for row in channel_weights(report, image) if row.gate.kind == "channel"]
    if not rows:
        return {}
    room = int(np.clip(CELLS // len(rows), 32, 256))
    title = "channels sorted by weight" if ordered else "channels in order"
    if any(len(row.weights) > room for row in rows):
        title += f", at most {room} of a layer, evenly spaced"
    cells = pd.concat([_cells(row, room, ordered) for row in rows])
    centres = {variant: centre(report, variant) for variant in dict.fromkeys(row.variant for row in rows)}
    reaches: dict[float, float] = {}
    for variant, middle in centres.items():
        away = float((cells.loc[cells["variant"] == variant, "weight"] - middle).abs().max())
        reaches[middle] = max(reaches.get(middle, 0.02), away)
    return {
        label[variant]: _channel_map(
            cells[cells["variant"] == variant],
            [row.layer for row in rows if row.variant == variant],
            (middle, reaches[middle]),
            title,
        )
        for variant, middle in centres.items()
    }


def centre(report: Comparison, variant: str) -> float:
    """The weight that is drawn pale: 0 for gates that are added, 1 for those that reach beyond 1, and a half else.

    A sigmoid's gates live around 0.5, where most modules start, although 1 is what passes the input through. Those of
    1 + tanh live around 1, and may all be exactly 1.
    """
    gates = [
        gate
        for prediction in report.predictions
        if prediction.variant == variant
        for gate in prediction.gates
        if gate.kind == "channel"
    ]
    if gates and all(gate.neutral == 0 for gate in gates):
        return 0.0
    around_one = any(gate.max > 1 for gate in gates) or all(gate.min == 1 for gate in gates)
    return 1.0 if gates and around_one else 0.5


def _cells(row: Row, room: int, ordered: bool) -> pd.DataFrame:
    """One row of the picture: at most ``room`` of its channels, each as wide as its share."""
    count = min(len(row.weights), room)
    order = np.argsort(row.weights) if ordered else np.arange(len(row.weights))
    shown = order[((np.arange(count) + 0.5) * len(order) / count).astype(int)]
    return pd.DataFrame(
        {
            "variant": row.variant,
            "layer": row.layer,
            "gate": row.gate.gate,
            "left": np.arange(count) / count,
            "right": np.minimum(np.arange(1, count + 1) / count + 5e-4, 1),  # no seam between neighbours
            "channel": shown,
            "weight": row.weights[shown],
        }
    )


def _channel_map(cells: pd.DataFrame, layers: list[str], scale: tuple[float, float], title: str) -> Chart:
    (middle, reach), axis = scale, alt.Axis(labelOverlap=False)
    chart: alt.Chart = (
        alt.Chart(cells)
        .mark_rect(strokeWidth=0)
        .encode(
            x=alt.X(
                "left:Q",
                title=title,
                scale=alt.Scale(domain=[0, 1], nice=False),
                axis=alt.Axis(labels=False, grid=False, ticks=False),
            ),
            x2="right:Q",
            y=alt.Y("layer:N", sort=layers, title="layer", scale=alt.Scale(paddingInner=0.08), axis=axis),
            color=alt.Color(
                "weight:Q",
                title="channel weight (no unit)",
                scale=alt.Scale(scheme="blueorange", domain=[middle - reach, middle + reach], domainMid=middle),
                legend=alt.Legend(orient="top", gradientLength=220, format=".2~f", tickCount=5, titleLimit=300),
            ),
            tooltip=[
                alt.Tooltip("gate:N"),
                alt.Tooltip("channel:Q"),
                alt.Tooltip("weight:Q", format=".4f"),
            ],
        )
        .properties(
            height=int(np.clip(640 / len(layers), 10, STEP)) * len(layers) + 120,
            usermeta={"embedOptions": {"renderer": "canvas"}},  # thousands of cells are too many for SVG
        )
    )
    return chart


def channel_lines(report: Comparison, image: str, layer: str, ordered: bool = False) -> Chart | None:
    """One layer's channel weights as a line for each variant, with all of a channel's weights under the pointer."""
    label = called(report)
    lines = {
        label[row.variant]: np.sort(row.weights) if ordered else row.weights
        for row in channel_weights(report, image)
        if row.layer == layer
    }
    if not lines:
        return None
    long = pd.concat(
        [
            pd.DataFrame({"channel": np.arange(len(row)), "weight": row, "variant": variant})
            for variant, row in lines.items()
        ]
    )
    wide = pd.DataFrame({f"v{number}": pd.Series(row) for number, row in enumerate(lines.values())})
    wide["channel"] = wide.index
    hover = alt.selection_point(fields=["channel"], nearest=True, on="pointerover", clear="pointerout", empty=False)
    title = "rank of the channel, smallest weight first" if ordered else "channel (index)"
    x = alt.X("channel:Q", title=title, scale=alt.Scale(domain=[0, len(wide) - 1], nice=False))
    drawn = (
        alt.Chart(long)
        .mark_line(
            opacity=0.8, strokeWidth=2 if len(wide) <= 128 else 1, point={"size": 28} if len(wide) <= 128 else False
        )
        .encode(
            x=x,
            y=alt.Y("weight:Q", title="channel weight (no unit)", scale=alt.Scale(zero=False, padding=8)),
            color=coloured(report, lines),
        )
    )
    rule = (
        alt.Chart(wide)
        .mark_rule(color="#8a94a6", strokeWidth=1)
        .encode(
            x=x,
            opacity=alt.condition(hover, alt.value(0.8), alt.value(0)),
            tooltip=[
                alt.Tooltip("channel:Q", title="rank" if ordered else "channel"),
                *(alt.Tooltip(f"v{number}:Q", title=name, format=".4f") for number, name in enumerate(lines)),
            ],
        )
        .add_params(hover)
    )
    return alt.layer(drawn, rule).properties(height=360)


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
        x=alt.X("layer:N", sort=order, title="layer (stage.block), from input to output", axis=axis),
        color=coloured(report, (label[variant] for variant, _ in gates)),
        detail="kind:N",
    )
    weight = alt.Y("low:Q", title="weight: mean ± std (no unit)", scale=alt.Scale(zero=False))
    band = base.mark_area(opacity=0.15).encode(y=weight, y2="high:Q")
    line = base.mark_line(point=True).encode(
        y="mean:Q",
        strokeDash=alt.StrokeDash("kind:N", legend=None),
        tooltip=[
            alt.Tooltip("variant:N"),
            alt.Tooltip("layer:N"),
            alt.Tooltip("kind:N"),
            alt.Tooltip("mean:Q", format=".4f"),
        ],
    )
    return alt.layer(line, band).properties(height=340)
