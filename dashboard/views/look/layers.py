"""Gates of channels: layer by layer as sorted curves, and one layer opened into the maps that it weighs."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from attention.reports.compare import Comparison, PhotoFit
from attention.schemas import Image
from dashboard.drawing import draw as drawing
from dashboard.drawing import theme, words
from dashboard.drawing.marks import Chart, Row, channel_weights
from dashboard.language import say, show_caption
from dashboard.views.look import channels
from dashboard.widgets import linked

LAYER = "layer"
STEPS = 64
"""Points of a curve: more are not told apart at its size."""
WIDE, HIGH = 78, 56
"""Of one layer's curve, pixels."""


def show(report: Comparison, image: Image, fit: PhotoFit | None) -> None:
    """The grid of curves, and the layer that is open."""
    rows = [row for row in channel_weights(report, image.id) if row.gate.kind == "channel"]
    if not rows:
        return
    called = words.labels([variant.name for variant in report.variants])
    st.subheader(say("Their gates, layer by layer"), anchor=False)
    show_caption(
        "Each square is one layer: its channel weights, sorted from closed to open. The dashed line is where a "
        "fresh gate starts; a flat line on it is a gate that does nothing. Choose a layer below to open it."
    )
    layers = list(dict.fromkeys(row.layer for row in sorted(rows, key=lambda row: (row.gate.stage, row.gate.block))))
    grid = st.container(key="gate-grid")
    st.subheader(say("Open one layer"), anchor=False)
    options = {layer: say("layer %(layer)s", layer=layer) for layer in layers}
    layer = linked.choice(
        st.segmented_control,
        say("Layer"),
        options,
        LAYER,
        layers[0],
        state=f"{LAYER}.{hash(tuple(layers))}",
        label_visibility="collapsed",
        wrap=False,
    )
    with grid:
        for name in dict.fromkeys(row.variant for row in rows):
            network_rows = [row for row in rows if row.variant == name]
            with st.container(horizontal=True, wrap=False, key=f"curves-{len(called)}-{list(called).index(name)}"):
                drawing.plot(
                    curves(network_rows, called[name], layer),
                    say("Sorted channel weights of %(network)s in every layer.", network=called[name]),
                    width="content",
                )
    opened = [row for row in rows if row.layer == layer]
    show_caption("Choose a map to see what its channel responds to.")
    channels.show(report, image, opened, called, fit)


def curves(rows: Sequence[Row], name: str, layer: str) -> Chart:
    """A network's channel weights, sorted, a small chart a layer, all on the fixed scale of its kind of gate."""
    axis = theme.weights(
        "channel",
        rows[0].gate.neutral,
        min(row.gate.min for row in rows),
        max(row.gate.max for row in rows),
    )
    parts = []
    for row in rows:
        ordered = np.sort(row.weights)
        at = np.linspace(0, len(ordered) - 1, min(STEPS, len(ordered))).round().astype(int)
        parts.append(
            pd.DataFrame(
                {
                    "layer": row.layer,
                    "rank": at / max(len(ordered) - 1, 1),
                    "weight": ordered[at],
                    "base": max(axis.low, 0.0) if axis.low >= 0 else 0.0,
                    "start": axis.start,
                    "open": row.layer == layer,
                }
            )
        )
    hue, title = theme.hue(rows[0].variant), name
    frame, scale = pd.concat(parts), alt.Scale(domain=[axis.low, axis.high], nice=False)
    ticks = alt.Axis(values=[axis.low, axis.start, axis.high], format="~g", grid=False, titleFontSize=13)
    base = alt.Chart(frame).encode(
        x=alt.X("rank:Q", axis=None, scale=alt.Scale(domain=[0, 1], nice=False)),
        y=alt.Y("weight:Q", title=title, scale=scale, axis=ticks),
    )
    area = base.mark_area(interpolate="step-after", color=hue).encode(
        y2="base:Q", opacity=alt.condition("datum.open", alt.value(0.45), alt.value(0.16))
    )
    line = base.mark_line(interpolate="step-after", color=hue, strokeWidth=1.6)
    start = alt.Chart(frame).mark_rule(color=theme.ink(), strokeDash=[2, 2], strokeWidth=0.8)
    start = start.encode(y=alt.Y("mean(start):Q", title=title, scale=scale, axis=ticks))
    layered = alt.layer(area, line, start).properties(width=WIDE, height=HIGH)
    return layered.facet(
        column=alt.Column(
            "layer:N",
            sort=[row.layer for row in rows],
            title=None,
            header=alt.Header(labelColor=theme.ink(), labelPadding=2),
        ),
        spacing=10,
    )
