"""Paired differences as a picture: a dot a seed, a bar for the interval of the mean, the margin shaded."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.drawing import theme
from dashboard.drawing.marks import AXES, Chart
from dashboard.language import say

ROW = 44
"""Height of an arm, pixels."""
MARGIN = "#8a94a6"


def paired(
    dots: Sequence[dict[str, Any]],
    bars: Sequence[dict[str, Any]],
    order: Sequence[str],
    margin: float | None,
    title: str,
    colour: alt.Color,
) -> Chart:
    """Draw arms below each other.

    Args:
        dots: arm, seed and difference of each pair.
        bars: arm, low, high, mean and n of each interval.
        order: the arms from top to bottom.
        margin: half the width of the band around 0; None for none.
        title: what the differences are.
    """
    y = alt.Y("arm:N", sort=list(order), title=None, axis=theme.named_axis(labelLimit=260))
    band = alt.Chart(pd.DataFrame([{"low": -(margin or 0.0), "high": margin or 0.0}]))
    layers: list[alt.Chart] = [
        band.mark_rect(color=MARGIN, opacity=0.22).encode(x=alt.X("low:Q", title=title), x2="high:Q"),
        alt.Chart(pd.DataFrame([{"zero": 0.0}]))
        .mark_rule(color=MARGIN, strokeWidth=1.5)
        .encode(x=alt.X("zero:Q", title=title)),
    ]
    if bars:
        interval = alt.Chart(pd.DataFrame(list(bars))).encode(
            y=y,
            tooltip=[
                alt.Tooltip("arm:N", title=say("arm")),
                alt.Tooltip("mean:Q", title=say("mean"), format="+.2f"),
                alt.Tooltip("low:Q", title=say("low"), format="+.2f"),
                alt.Tooltip("high:Q", title=say("high"), format="+.2f"),
                alt.Tooltip("n:Q", title=say("pairs")),
            ],
        )
        layers += [
            interval.mark_bar(height=10, opacity=0.4, cornerRadius=3).encode(
                x=alt.X("low:Q", title=title), x2="high:Q", color=colour
            ),
            interval.mark_tick(thickness=3, size=24).encode(x=alt.X("mean:Q", title=title), color=colour),
        ]
    if dots:
        layers.append(
            alt.Chart(pd.DataFrame(list(dots)))
            .mark_circle(size=70, opacity=0.9, stroke="white", strokeWidth=1)
            .encode(
                y=y,
                x=alt.X("difference:Q", title=title),
                color=colour,
                tooltip=[
                    alt.Tooltip("arm:N", title=say("arm")),
                    alt.Tooltip("seed:O", title=say("seed")),
                    alt.Tooltip("difference:Q", title=say("difference"), format="+.2f"),
                ],
            )
        )
    return alt.layer(*layers).properties(height=ROW * len(order) + AXES)
