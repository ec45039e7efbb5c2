"""How gates differ between classes and images, as pictures: pure functions from report to chart or table.

Gates lie close together around a value of their own, so they are drawn around it and never from 0 to 1.
"""

import json
import re
from collections.abc import Mapping
from typing import Literal

import altair as alt
import numpy as np
import pandas as pd

from attention.reports.excitation import ExcitationReport, ExcitedGate
from attention.reports.stripe import StripeMap, StripeReport
from dashboard.drawing import theme
from dashboard.drawing.marks import CELLS, PALETTE, TEXT, Chart
from dashboard.drawing.words import gate_labels, labels
from dashboard.language import marked, say

HUES = ["#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b79a20", "#b279a2", "#ff9da6", "#9d755d", "#17456e"]
"""Colours of classes. Where there are more classes than these, one is brought out and the others are grey."""
ROWS = 60
"""Images drawn at most of a network."""
DEEP = marked("layer (stage.block), from input to output")

Share = Literal["static_share", "class_share"]
SHARES: dict[Share, tuple[str, str, str]] = {
    "static_share": (
        marked("The same for every image"),
        marked("static share of variance, 0..1"),
        marked("Where it is near 1, the gate could be a constant."),
    ),
    "class_share": (
        marked("The class"),
        marked("class share of variance, 0..1"),
        marked("Above the dashed line, which is chance, the gate follows the class."),
    ),
}
"""What the shares are called: in a heading, at an axis, and what to look for."""


def columns(networks: int) -> int:
    """How many channels of a map are asked for, so that the maps of all networks stay quick to draw."""
    return int(np.clip(CELLS // (ROWS * networks), 32, 256))


# ---------------------------------------------------------------- curves by class


def curves(gate: ExcitedGate, chosen: str, called: Mapping[str, str], around: bool = False) -> Chart:
    """One gate: its mean by channel, a line a class and one for all, with the spread within the chosen class.

    Args:
        called: what the picture calls a class, where that is not its name.
        around: draw differences from the mean of all classes.
    """
    middles = gate.mean if around else [0.0] * len(gate.mean)
    rows = [
        {
            "channel": channel,
            "class": called.get(curve.label, curve.label),
            "gate": mean - middle,
            "std": std,
            "images": curve.images,
        }
        for curve in gate.curves
        for channel, mean, middle, std in zip(
            gate.shown, curve.mean, middles, curve.std or [None] * len(gate.shown), strict=True
        )
    ]
    title = say("mean gate − mean of all (no unit)") if around else say("mean gate (no unit)")
    scale = alt.Scale(zero=False, padding=6)
    y = alt.Y("gate:Q", title=title, scale=scale)
    x = alt.X("channel:Q", title=_channels(gate), scale=alt.Scale(nice=False, padding=6))
    names = [called.get(curve.label, curve.label) for curve in gate.curves]
    name = called.get(chosen, chosen)
    frame = pd.DataFrame(rows)
    base = alt.Chart(frame).encode(x=x, y=y, detail="class:N", color=_classes(names, name))
    lines = base.mark_line().encode(
        strokeWidth=alt.condition(alt.datum["class"] == name, alt.value(3), alt.value(1.2)),
        opacity=alt.condition(alt.datum["class"] == name, alt.value(1), alt.value(0.6)),
    )
    unseen = base.mark_point(size=60, opacity=0).encode(  # a line's own tooltip knows its first point only
        tooltip=[
            alt.Tooltip("class:N", title=say("class")),
            alt.Tooltip("channel:Q", title=say("channel")),
            alt.Tooltip("gate:Q", title=say("gate"), format="+.4f" if around else ".4f"),
            alt.Tooltip("std:Q", title=say("std within the class"), format=".4f"),
            alt.Tooltip("images:Q", title=say("images")),
        ],
    )
    all_rows = pd.DataFrame({"channel": gate.shown, "gate": np.subtract(gate.mean, middles)})
    dashed = alt.Chart(all_rows).mark_line(color=TEXT, strokeWidth=2.5, strokeDash=[5, 3]).encode(x=x, y=y)
    drawn = [lines, dashed, unseen]
    band = frame[(frame["class"] == name) & frame["std"].notna()]
    if len(band):
        band = band.assign(low=band["gate"] - band["std"], high=band["gate"] + band["std"])
        band = band[["channel", "class", "low", "high"]]
        hue = HUES[names.index(name)] if len(names) <= len(HUES) else PALETTE[1]
        low = alt.Y("low:Q", title=title, scale=scale)
        drawn.insert(0, alt.Chart(band).mark_area(color=hue, opacity=0.2).encode(x=x, y=low, y2="high:Q"))
    return alt.layer(*drawn).properties(height=330)


def _classes(names: list[str], chosen: str) -> alt.Color:
    if len(names) <= len(HUES):
        hues = list(HUES[: len(names)])
        wide = max(len(name) + len(re.findall(r"[\u2e80-\uffff]", name)) for name in names) > 12
        legend = alt.Legend(
            orient="bottom", title=None, columns=2 if wide else 4, symbolType="stroke", labelLimit=145 if wide else 80
        )
    else:
        hues, legend = [PALETTE[1] if name == chosen else "#b6bdc9" for name in names], None
    return alt.Color("class:N", scale=alt.Scale(domain=names, range=hues), sort=names, legend=legend)


def _channels(gate: ExcitedGate) -> str:
    shown = say(", %(count)s of them", count=len(gate.shown)) if len(gate.shown) < gate.channels else ""
    return say("channel (index%(shown)s)", shown=shown)


def curves_csv(report: ExcitationReport) -> str:
    """Every curve as rows: gate, class, channel, mean and standard deviation within the class."""
    parts = [
        pd.DataFrame(
            {
                "network": report.network.name,
                "gate": gate.path,
                "stage": gate.stage,
                "block": gate.block,
                "class": label,
                "images": images,
                "channel": gate.shown,
                "mean": mean,
                "std": std,
            }
        )
        for gate in report.gates
        for label, images, mean, std in [
            (None, report.images, gate.mean, None),
            *((curve.label, curve.images, curve.mean, curve.std) for curve in gate.curves),
        ]
    ]
    return str(pd.concat(parts).to_csv(index=False))


# ---------------------------------------------------------------- stripes


def stripes(drawn: StripeMap, called: Mapping[str, str]) -> Chart:
    """Images down, sorted by class, channels across, around the mean of the gate; a line where a class ends."""
    count = len(drawn.values)
    middles = [(one + other) / 2 for one, other in zip(drawn.shown, drawn.shown[1:], strict=False)]
    edges = np.array([drawn.shown[0] - 0.5, *middles, drawn.shown[-1] + 0.5])
    seam = 5e-4 * float(edges[-1] - edges[0])  # no pale line between neighbours
    cells = pd.DataFrame(
        {
            "top": np.repeat(np.arange(count), len(drawn.shown)),
            "bottom": np.repeat(np.arange(1, count + 1), len(drawn.shown)),
            "left": np.tile(edges[:-1], count),
            "right": np.tile(np.minimum(edges[1:] + seam, edges[-1]), count),
            "channel": np.tile(drawn.shown, count),
            "image": np.repeat([called.get(name, name) for name in drawn.images], len(drawn.shown)),
            "class": np.repeat([label or "" for label in drawn.labels], len(drawn.shown)),
            "gate": np.array(drawn.values).ravel(),
        }
    )
    names = [label if label is not None else called.get(name, name) for label, name in _rows(drawn)]
    starts = [row for row in range(count) if row == 0 or names[row] != names[row - 1]]
    ends = [*starts[1:], count]
    at = {(start + end) / 2: names[start] for start, end in zip(starts, ends, strict=True)}
    written = f"{json.dumps({f'{place:g}': name for place, name in at.items()})}[format(datum.value, '.6~g')]"
    reach = drawn.span or 0.02
    y_title = say("images by class") if any(drawn.labels) else say("photos")
    y = alt.Y(
        "top:Q",
        title=y_title,
        scale=alt.Scale(domain=[count, 0], nice=False),
        axis=alt.Axis(values=list(at), labelExpr=written, ticks=False, grid=False, labelLimit=130, labelOverlap=True),
    )
    x = alt.X(
        "left:Q",
        title=say(
            "channel (index%(value)s)",
            value="" if len(drawn.shown) == drawn.shown[-1] + 1 else say(", %(count)s of them", count=len(drawn.shown)),
        ),
        scale=alt.Scale(domain=[float(edges[0]), float(edges[-1])], nice=False),
        axis=alt.Axis(grid=False),
    )
    heat = (
        alt.Chart(cells)
        .mark_rect(strokeWidth=0)
        .encode(
            x=x,
            x2="right:Q",
            y=y,
            y2="bottom:Q",
            color=alt.Color(
                "gate:Q",
                title=say("gate (no unit), pale at its mean %(centre)s", centre=f"{drawn.centre:.3f}"),
                scale=alt.Scale(
                    scheme="blueorange",
                    domain=[drawn.centre - reach, drawn.centre + reach],
                    domainMid=drawn.centre,
                ),
                legend=alt.Legend(orient="top", gradientLength=220, format=".2~f", tickCount=5, titleLimit=300),
            ),
            tooltip=[
                alt.Tooltip("class:N", title=say("class")),
                alt.Tooltip("image:N", title=say("image")),
                alt.Tooltip("channel:Q", title=say("channel (index)")),
                alt.Tooltip("gate:Q", title=say("gate"), format=".4f"),
            ],
        )
    )
    rules = alt.Chart(pd.DataFrame({"top": starts[1:]})).mark_rule(color="#26303d", strokeWidth=1.2).encode(y=y)
    return alt.layer(heat, rules).properties(
        height=int(np.clip(420 / count, 6, 26)) * count + 110,
        usermeta={"embedOptions": {"renderer": "canvas"}},  # thousands of cells are too many for SVG
    )


def _rows(drawn: StripeMap) -> list[tuple[str | None, str]]:
    return list(zip(drawn.labels, drawn.images, strict=True))


def layers(report: StripeReport) -> dict[tuple[str, str], str]:
    """(network, path of a gate) -> the layer's label."""
    layer_labels: dict[tuple[str, str], str] = {}
    for network in report.networks:
        gates = [gate for gate in report.gates if gate.variant == network.name]
        layer_labels |= {(network.name, path): label for path, label in gate_labels(gates).items()}
    return layer_labels


def _order(report: StripeReport) -> list[str]:
    """Layers from input to output, of all networks."""
    layer = layers(report)
    places = {layer[gate.variant, gate.path]: (gate.stage, gate.block) for gate in report.gates}
    return sorted(places, key=places.__getitem__)


def shares(report: StripeReport, share: Share) -> Chart | None:
    """Static or class share over depth, a line a network; for the class share also what chance would give."""
    label, layer = labels([network.name for network in report.networks]), layers(report)
    rows = [
        {"network": label[gate.variant], "layer": layer[gate.variant, gate.path], "share": value}
        for gate in report.gates
        if (value := getattr(gate, share)) is not None
    ]
    if not rows:
        return None
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(point=True)
        .encode(
            x=alt.X(
                "layer:N", sort=_order(report), title=say(DEEP), axis=alt.Axis(labelAngle=0, labelOverlap="greedy")
            ),
            y=alt.Y("share:Q", title=say(SHARES[share][1]), scale=alt.Scale(zero=False, padding=8)),
            color=_networks(report),
            tooltip=[
                alt.Tooltip("network:N", title=say("network")),
                alt.Tooltip("layer:N", title=say("layer")),
                alt.Tooltip("share:Q", title=say("share"), format=".3f"),
            ],
        )
    )
    chance = next((gate.class_share_by_chance for gate in report.gates if gate.class_share_by_chance is not None), None)
    if share == "static_share" or chance is None:
        return chart.properties(height=280)
    rule = (
        alt.Chart(pd.DataFrame({"share": [chance], "by": [say("by chance")]}))
        .mark_rule(color=TEXT, strokeDash=[4, 3])
        .encode(
            y="share:Q",
            tooltip=[
                alt.Tooltip("by:N", title=say("measured in")),
                alt.Tooltip("share:Q", title=say("share"), format=".3f"),
            ],
        )
    )
    return alt.layer(chart, rule).properties(height=280)


def _networks(report: StripeReport) -> alt.Color:
    label = labels([network.name for network in report.networks])
    return alt.Color(
        "network:N",
        scale=theme.colours(label, label.values()),
        legend=alt.Legend(orient="top", title=None, labelLimit=300),
    )


def orders(report: StripeReport) -> Chart | None:
    """Whether two networks put the channels of the same place in the same order: rank correlation over depth."""
    label, layer = labels([network.name for network in report.networks]), layers(report)
    rows = [
        {
            "networks": say("%(label)s and %(label_2)s", label=label[pair.first], label_2=label[pair.second]),
            "layer": layer[pair.first, pair.first_gate],
            "of": what,
            "correlation": value,
        }
        for pair in report.between
        for what, value in ((say("mean gates"), pair.of_means), (say("each image's gates, mean"), pair.of_images))
        if value is not None
    ]
    if not rows:
        return None
    pairs = list(dict.fromkeys(str(row["networks"]) for row in rows))
    lines = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(point=True)
        .encode(
            x=alt.X(
                "layer:N", sort=_order(report), title=say(DEEP), axis=alt.Axis(labelAngle=0, labelOverlap="greedy")
            ),
            y=alt.Y("correlation:Q", title=say("Spearman's rank correlation, −1..1")),
            color=alt.Color(
                "networks:N",
                scale=alt.Scale(domain=pairs, range=list(np.resize(PALETTE[2:], len(pairs)))),
                legend=alt.Legend(orient="top", title=None, labelLimit=300, columns=1),
            ),
            strokeDash=alt.StrokeDash(
                "of:N",
                legend=alt.Legend(
                    orient="bottom", title=None, columns=1, symbolSize=400, symbolStrokeColor=TEXT, labelLimit=300
                ),
            ),
            tooltip=[
                alt.Tooltip("networks:N", title=say("Networks")),
                alt.Tooltip("layer:N", title=say("layer")),
                alt.Tooltip("of:N", title=say("measured in")),
                alt.Tooltip("correlation:Q", title=say("correlation"), format="+.3f"),
            ],
        )
    )
    zero = alt.Chart(pd.DataFrame({"correlation": [0]})).mark_rule(color=TEXT, strokeDash=[4, 3])
    return alt.layer(zero.encode(y="correlation:Q"), lines).properties(height=280)


def table(report: StripeReport) -> pd.DataFrame:
    """Every gate of every network in the numbers of the stripe test, ready to be read."""
    label, layer = labels([network.name for network in report.networks]), layers(report)
    return pd.DataFrame(
        [
            {
                "network": label[gate.variant],
                "layer": layer[gate.variant, gate.path],
                "channels": gate.channels,
                "mean ± std": f"{gate.mean:.3f} ± {gate.std:.3f}",
                "static share": _number(gate.static_share),
                "class share (by chance)": _number(gate.class_share)
                + (
                    ""
                    if gate.class_share is None or gate.class_share_by_chance is None
                    else f" ({gate.class_share_by_chance:.2f})"
                ),
                "below 0.1": f"{gate.share_low:.1%}",
                "above 0.9": f"{gate.share_high:.1%}",
                "order between images": _number(gate.order_between_images),
                "effective rank": f"{_number(gate.effective_rank, 1)} of {gate.rank_limit}",
                "centred": _number(gate.effective_rank_centred, 1),
            }
            for gate in report.gates
        ]
    )


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
