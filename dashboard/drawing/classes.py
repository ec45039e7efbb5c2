"""Class by class: recall of each arm with its spread over seeds, and which classes are taken for which."""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from attention.reports.parts.study_classes import ArmClasses
from dashboard.drawing import theme
from dashboard.drawing.marks import AXES, PALETTE, STEP, Chart
from dashboard.language import say

MOST = 100
"""Classes of a picture at most."""
WORDED = 12
"""Classes up to which a confusion matrix has its numbers written in."""


def recalls(arms: Sequence[ArmClasses], label: Mapping[str, str], colour: alt.Color) -> Chart:
    """Mean recall of each class and arm, with one standard deviation over seeds either way, as far as 0 and 100.

    Args:
        label: short name of an arm -> what the picture calls it.
        colour: of the column ``arm``.
    """
    rows = [
        {
            "class": say(score.name),
            "arm": label.get(arm.arm, arm.arm),
            "recall": score.recall,
            "low": max(score.recall - (score.spread or 0), 0.0),
            "high": min(score.recall + (score.spread or 0), 100.0),
            "sd": score.spread,
            "n": arm.n,
            "images": score.test_images,
        }
        for arm in arms
        for score in arm.classes[:MOST]
    ]
    order = [say(score.name) for score in arms[0].classes[:MOST]]
    title, scale = say("recall, %"), alt.Scale(zero=False)
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=alt.Y("class:N", sort=order, title=None, axis=theme.named_axis()),
        yOffset=alt.YOffset("arm:N", sort=[label.get(arm.arm, arm.arm) for arm in arms]),
        color=colour,
    )
    dots = base.mark_circle(size=60, opacity=1).encode(
        x=alt.X("recall:Q", title=title, scale=scale),
        tooltip=[
            alt.Tooltip("arm:N", title=say("arm")),
            alt.Tooltip("class:N", title=say("class")),
            alt.Tooltip("recall:Q", format=".2f", title=title),
            alt.Tooltip("sd:Q", format=".2f", title=say("std")),
            alt.Tooltip("n:Q", title=say("seeds")),
            alt.Tooltip("images:Q", title=say("images")),
        ],
    )
    return (base.mark_rule().encode(x=alt.X("low:Q", title=title, scale=scale), x2="high:Q") + dots).properties(
        height=max(STEP, 12 * len(arms)) * len(order) + 2 * AXES
    )


def confusion(matrix: Sequence[Sequence[float]], names: Sequence[str]) -> Chart:
    """Share of each true class (row) that is given each class (column), with mean images in the tooltip."""
    order = [say(name) for name in names[:MOST]]
    rows = [
        {"true": true, "given": given, "images": count, "share": count / max(sum(row), 1e-9)}
        for true, row in zip(order, matrix, strict=False)
        for given, count in zip(order, row, strict=False)
    ]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("given:N", sort=order, title=say("given class"), axis=theme.named_axis(labelAngle=-45)),
        y=alt.Y("true:N", sort=order, title=say("true class"), axis=theme.named_axis()),
        tooltip=[
            alt.Tooltip("true:N", title=say("true class")),
            alt.Tooltip("given:N", title=say("given class")),
            alt.Tooltip("share:Q", title=say("share"), format=".1%"),
            alt.Tooltip("images:Q", title=say("images"), format=".1f"),
        ],
    )
    scale = alt.Scale(type="sqrt", domain=[0, 1], range=[theme.paper(), PALETTE[2]], interpolate="rgb")
    heat = base.mark_rect(strokeWidth=0).encode(color=alt.Color("share:Q", scale=scale, legend=None))
    size = max(8, min(STEP + 6, 400 // max(len(order), 1))) * len(order) + 2 * AXES
    if len(order) > WORDED:
        return heat.properties(height=size)
    dark_ink = alt.condition("datum.share > 0.5", alt.value("white"), alt.value(theme.ink()))
    words = base.mark_text(fontSize=11).encode(text=alt.Text("share:Q", format=".0%"), color=dark_ink)
    return (heat + words).properties(height=size)
