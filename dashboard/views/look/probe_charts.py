"""What gates listen to, as pictures and words: pure functions from report to chart, table or sentence."""

from collections.abc import Iterable

import altair as alt
import numpy as np
import pandas as pd

from attention.reports.coupling import CouplingReport
from attention.reports.permutation import PermutationReport, PermutedModule
from attention.reports.scale import ScaleReport
from dashboard.drawing import theme
from dashboard.drawing.marks import Chart
from dashboard.drawing.words import gate_labels, labels
from dashboard.language import say
from dashboard.service_sentences import translated

SHOWN = 96
"""Channels of a coupling matrix: about nine thousand cells, which a browser draws without a pause."""


def coupling(report: CouplingReport) -> Chart:
    """The interaction matrix: one row a gate, one column a channel that it listens to, around 0."""
    count = len(report.shown)
    shown = np.array(report.shown)
    frame = pd.DataFrame(
        {
            "gate": np.repeat(shown, count),
            "listens": np.tile(shown, count),
            "slope": np.array(report.matrix).ravel(),
        }
    )
    reach = max(float(frame["slope"].abs().max()), 1e-12)
    axis = alt.Axis(labelAngle=0, labelOverlap=True, ticks=False)
    chart: alt.Chart = (
        alt.Chart(frame)
        .mark_rect(strokeWidth=0)
        .encode(
            x=alt.X("listens:O", title=say("mean of channel (index)"), axis=axis),
            y=alt.Y("gate:O", title=say("gate of channel (index)"), axis=axis),
            color=alt.Color(
                "slope:Q",
                title=say("change of the gate per change of the channel's mean"),
                scale=alt.Scale(scheme="blueorange", domain=[-reach, reach], domainMid=0),
                legend=alt.Legend(orient="top", gradientLength=260, format=".2~g", tickCount=5, titleLimit=400),
            ),
            tooltip=[
                alt.Tooltip("gate:O", title=say("gate of channel")),
                alt.Tooltip("listens:O", title=say("mean of channel")),
                alt.Tooltip("slope:Q", title=say("slope"), format="+.3~g"),
            ],
        )
        .properties(height=560, usermeta={"embedOptions": {"renderer": "canvas"}})
    )
    return chart


def coupling_words(report: CouplingReport) -> str:
    """The matrix in a sentence."""
    if report.share == 0:
        return say("**%(module)s** does not answer to this map at all: every entry is 0.", module=report.module)
    rank = (
        ""
        if report.rank is None
        else say(" The matrix has rank %(rank)s of %(channels)s.", rank=report.rank, channels=report.channels)
    )
    reach = (
        say("only to its own channel")
        if report.reach == 0
        else say("to channels at most %(reach)s away from its own", reach=report.reach)
    )
    return say(
        "Here a gate of **%(module)s** listens %(reach)s; %(share)s of all entries are not 0.%(rank)s",
        module=report.module,
        reach=reach,
        share=f"{report.share:.1%}",
        rank=rank,
    )


# ---------------------------------------------------------------- permuted channels


def permuted(report: PermutationReport) -> list[str]:
    """What became of each module, in Markdown: a line for all places of a network that say the same."""
    return [
        f"**{theme.called(rows[0].module)}**, "
        + say("%(name)s: %(text)s", name=where, text=translated(rows[0].sentence))
        for where, rows in _grouped(report)
    ]


def permuted_table(report: PermutationReport) -> pd.DataFrame:
    """The same in numbers, from the least to the most of each group."""
    return pd.DataFrame(
        [
            {
                "module": theme.called(rows[0].module),
                "where": where,
                "spread of its gates": _range(row.spread for row in rows),
                "change if weights stay": _range(row.weights_stay for row in rows),
                "change if weights follow": _range(row.weights_follow for row in rows),
                "order": say(rows[0].order) if rows[0].order else say("not tried"),
            }
            for where, rows in _grouped(report)
        ]
    )


def _grouped(report: PermutationReport) -> list[tuple[str, list[PermutedModule]]]:
    """Rows of one network that say the same, with where they sit."""
    called = labels(list(dict.fromkeys(row.variant for row in report.rows if row.variant)))
    groups: dict[tuple[str | None, str, str], list[PermutedModule]] = {}
    for row in report.rows:
        groups.setdefault((row.variant, row.module, row.sentence), []).append(row)
    grouped = []
    for (variant, _, _), rows in groups.items():
        places = ", ".join(f"{row.stage}.{row.block}" for row in rows)
        alone = say("by itself on %(channels)s channels of noise", channels=rows[0].channels)
        grouped.append(
            (
                alone if variant is None else _inside(called[variant], places),
                rows,
            )
        )
    return grouped


def _range(values: Iterable[float | None]) -> str:
    numbers = [value for value in values if value is not None]
    if not numbers:
        return "–"
    low, high = (f"{value:.2g}" for value in (min(numbers), max(numbers)))
    return low if low == high else f"{low} … {high}"


# ---------------------------------------------------------------- branches against scale


def scale(report: ScaleReport) -> Chart:
    """How much each gate prefers its last branch to its first, as the middle of the images grows."""
    layers = gate_labels(report.gates)
    rows = []
    for gate in report.gates:
        first = gate.points[0].preference
        rows += [
            {
                "layer": layers[gate.path],
                "factor": point.factor,
                "preference": point.preference,
                "low": first + point.change.low if point.change else None,
                "high": first + point.change.high if point.change else None,
            }
            for point in gate.points
        ]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X(
            "factor:Q", title=say("how much larger the middle was made (times)"), scale=alt.Scale(zero=False, padding=8)
        ),
        color=alt.Color(
            "layer:O",
            sort=list(layers.values()),
            scale=alt.Scale(scheme="viridis"),
            legend=alt.Legend(orient="right", title=say("layer (stage.block)")),
        ),
        tooltip=[
            alt.Tooltip("layer:O", title=say("layer")),
            alt.Tooltip("factor:Q", title=say("how much larger the middle was made (times)")),
            *(
                alt.Tooltip(f"{name}:Q", title=say(title), format="+.4f")
                for name, title in (("preference", "mean"), ("low", "low"), ("high", "high"))
            ),
        ],
    )
    y = alt.Y("preference:Q", title=say("last branch − first branch (no unit), −1..1"), scale=alt.Scale(zero=False))
    lines = base.mark_line(point=True).encode(y=y)
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
    return alt.layer(lines, bars).properties(height=360)


def _inside(network: str, places: str) -> str:
    """Where a module stands, in words."""
    return say("in %(network)s at %(places)s", network=network, places=places)
