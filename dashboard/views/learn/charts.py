"""Report -> the pictures of the Learn page: pure functions."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from attention.reports.modules import Interaction, KernelReport, KernelStep, Places, PublishedGroup
from attention.reports.parts.catalog import ModuleEntry
from dashboard.drawing import theme
from dashboard.drawing.marks import PALETTE, SHORT, STEP, Chart
from dashboard.language import say
from dashboard.service_sentences import translated

GREY, ORANGE, BLUE, GREEN = PALETTE[0], PALETTE[1], PALETTE[2], PALETTE[3]
PALE = "#aab3c2"
"""A module has one colour in all pictures of published results; those that are not here are violet."""


# ---------------------------------------------------------------- one operator


def links(interaction: Interaction) -> Chart:
    """Pooled features above, gates below, a line for every feature that a gate listens to; one gate is set off."""
    matrix = np.array(interaction.matrix)
    middle = len(matrix) // 2
    drawn = [
        {
            "link": f"{j}.{c}",
            "channel": x,
            "row": row,
            "whose": say("gate in the middle") if c == middle else say("other gates"),
        }
        for c, j in np.argwhere(matrix)
        for x, row in ((j, 1), (c, 0))
    ]
    dots = [{"channel": c, "row": row} for c in range(len(matrix)) for row in (0, 1)]
    x = alt.X(
        "channel:Q", title=say("channel (index)"), axis=alt.Axis(tickMinStep=1, grid=False), scale=alt.Scale(nice=False)
    )
    names = f"datum.value == 1 ? '{say('pooled feature')}' : datum.value == 0 ? '{say('gate')}' : ''"
    y = alt.Y(
        "row:Q",
        title=None,
        scale=alt.Scale(domain=[-0.15, 1.15]),
        axis=alt.Axis(values=[0, 1], labelExpr=names, grid=False, ticks=False, domain=False),
    )
    hue = alt.Color(
        "whose:N",
        title=None,
        scale=alt.Scale(domain=[say("gate in the middle"), say("other gates")], range=[ORANGE, PALE]),
        legend=None,
    )
    base = alt.Chart(pd.DataFrame(drawn)).encode(x=x, y=y, detail="link:N")
    others = base.transform_filter(alt.datum.whose == say("other gates")).mark_line(strokeWidth=0.8, opacity=0.55)
    chosen = base.transform_filter(alt.datum.whose == say("gate in the middle")).mark_line(strokeWidth=2.5)
    points = alt.Chart(pd.DataFrame(dots)).mark_circle(size=70, color=BLUE, opacity=1).encode(x=x, y=y)
    return alt.layer(others.encode(color=hue), chosen.encode(color=hue), points).properties(height=190)


# ---------------------------------------------------------------- k against C


def staircase(report: KernelReport, paper: KernelReport) -> Chart:
    """Kernel size over channels: the formula as set, the paper's, and the sizes of the released networks."""
    lines = [
        *_corners(paper.steps, say("the paper's formula: γ = 2, b = 1")),
        *_corners(report.steps, say("the formula as set above")),
    ]
    if (report.gamma, report.b) == (paper.gamma, paper.b):
        lines = _corners(report.steps, say("the paper's formula: γ = 2, b = 1"))
    ways = list(dict.fromkeys(row["way"] for row in lines))
    most = max(row["k"] for row in lines)
    x = alt.X(
        "channels:Q",
        title=say("channels C (log scale)"),
        scale=alt.Scale(type="log", base=2, domain=[4, 4096], clamp=True),
        axis=alt.Axis(values=[2**power for power in range(2, 13)], format="d"),
    )
    ticks = list(range(1, max(most, 9) + 1, 2 if most < 24 else 2 * (most // 20)))
    y = alt.Y(
        "k:Q",
        title=say("kernel size k (channels that a gate sees)"),
        scale=alt.Scale(domain=[0, max(most, 8) + 1], nice=False),
        axis=alt.Axis(values=ticks, format="d"),
    )
    hue = alt.Color(
        "way:N",
        title=None,
        scale=alt.Scale(domain=ways, range=[PALE, BLUE] if len(ways) == 2 else [BLUE]),
        legend=alt.Legend(orient="bottom", labelLimit=300, symbolType="stroke"),
    )
    drawn = (
        alt.Chart(pd.DataFrame(lines)).mark_line(interpolate="step-after", strokeWidth=3).encode(x=x, y=y, color=hue)
    )
    dots = (
        alt.Chart(pd.DataFrame(_released(report)))
        .mark_point(filled=True, size=120, opacity=1, stroke="white", strokeWidth=1)
        .encode(
            x=x,
            y=y,
            fill=alt.Fill(
                "agrees:N",
                title=None,
                scale=alt.Scale(
                    domain=[say("released, as the formula"), say("released, set by hand")], range=[GREEN, ORANGE]
                ),
                legend=alt.Legend(orient="top", labelLimit=300),
            ),
            tooltip=[
                alt.Tooltip("networks:N", title=say("released for")),
                alt.Tooltip("channels:Q", title=say("channels")),
                alt.Tooltip("k:Q", title=say("released k")),
                alt.Tooltip("formula:Q", title=say("formula's k")),
            ],
        )
    )
    return alt.layer(drawn, dots).resolve_scale(color="independent").properties(height=400)


def _corners(steps: Sequence[KernelStep], way: str) -> list[dict[str, Any]]:
    first = [{"channels": step.first, "k": step.kernel_size, "way": way} for step in steps]
    return [*first, {"channels": steps[-1].last, "k": steps[-1].kernel_size, "way": way}]


def _released(report: KernelReport) -> list[dict[str, Any]]:
    """One dot for each width and size, however many networks share it."""
    groups: dict[tuple[int, int], list[str]] = {}
    formula = {row.channels: row.formula for row in report.released}
    for row in report.released:
        groups.setdefault((row.channels, row.released), []).append(row.backbone)
    return [
        {
            "channels": channels,
            "k": k,
            "formula": formula[channels],
            "networks": ", ".join(networks),
            "agrees": say("released, as the formula") if k == formula[channels] else say("released, set by hand"),
        }
        for (channels, k), networks in groups.items()
    ]


# ---------------------------------------------------------------- who listens to whom


def heat(interaction: Interaction) -> Chart:
    """Gates as rows, pooled features as columns; colour is how strongly the gate follows the feature."""
    matrix = np.array(interaction.matrix)
    size = len(matrix)
    cells = [
        {"gate": c, "feature": j, "gate_end": c + 1, "feature_end": j + 1, "slope": matrix[c, j]}
        for c, j in np.argwhere(matrix)
    ]
    reach = float(np.abs(matrix).max()) or 1.0
    domain = alt.Scale(domain=[0, size], nice=False)
    axis = alt.Axis(tickMinStep=1, grid=False)
    chart: alt.Chart = (
        alt.Chart(pd.DataFrame(cells, columns=["gate", "feature", "gate_end", "feature_end", "slope"]))
        .mark_rect(strokeWidth=0)
        .encode(
            x=alt.X("feature:Q", title=say("pooled feature of channel j"), scale=domain, axis=axis),
            x2="feature_end:Q",
            y=alt.Y("gate:Q", title=say("gate of channel c"), scale=alt.Scale(domain=[size, 0], nice=False), axis=axis),
            y2="gate_end:Q",
            color=alt.Color(
                "slope:Q",
                title=say("change of gate per change of feature"),
                scale=alt.Scale(scheme="blueorange", domain=[-reach, reach], domainMid=0),
                legend=alt.Legend(orient="top", gradientLength=200, format=".1~g", tickCount=3, titleLimit=300),
            ),
            tooltip=[
                alt.Tooltip("gate:Q", title=say("gate of channel c")),
                alt.Tooltip("feature:Q", title=say("pooled feature of channel j")),
                alt.Tooltip("slope:Q", title=say("slope"), format=".3g"),
            ],
        )
        .properties(height=520, usermeta={"embedOptions": {"renderer": "canvas"}})
    )
    return chart


# ---------------------------------------------------------------- three places


GAP = 1.4
"""Between the last block and the levels of a neck, in blocks."""


def places(network: Places) -> Chart:
    """The blocks of a network as bars as high as their maps, and every module of attention where it sits."""
    blocks = [place for place in network.places if place.position == "standard"]
    where = {(place.stage, place.block): number for number, place in enumerate(blocks)}
    bars: list[dict[str, Any]] = [
        {
            "what": say("block"),
            "name": say("block %(stage)s.%(block)s", stage=place.stage, block=place.block),
            "left": number + 0.08,
            "right": number + 0.72,
            "side": place.side,
            "channels": place.channels,
        }
        for number, place in enumerate(blocks)
    ]
    dashes = []
    end = len(blocks) + GAP
    for place in network.places:
        number = float(where.get((place.stage, place.block), len(blocks) - 1))
        if place.position == "branch":
            number, end = end, end + 1
            bars.append(
                {
                    "what": say("level of the neck"),
                    "name": say("level %(stage)s", stage=place.stage),
                    "left": number + 0.08,
                    "right": number + 0.72,
                    "side": place.side,
                    "channels": place.channels,
                }
            )
            start = where.get((place.stage, place.block), 0) + 0.72
            dashes.append({"left": start, "right": number + 0.08, "side": place.side})
        elif place.position == "tail":
            number = number + 0.5
        if place.filled:
            bars.append(
                {
                    "what": say("attention"),
                    "name": say(
                        "%(position)s of %(stage)s.%(block)s: %(parameters)s parameters",
                        position=place.position,
                        stage=place.stage,
                        block=place.block,
                        parameters=f"{place.parameters:,}",
                    ),
                    "left": number + 0.74,
                    "right": number + 0.98,
                    "side": place.side,
                    "channels": place.channels,
                }
            )
    first = {place.stage: number for number, place in reversed(list(enumerate(blocks)))}
    texts = [
        {"left": number, "side": one.side, "text": say("stage %(stage)s", stage=stage), "below": f"C = {one.channels}"}
        for stage, number in first.items()
        for one in (blocks[number],)
    ]
    return _network(bars, dashes, texts, max(end, len(blocks) + 1.0))


def _network(
    bars: list[dict[str, Any]], dashes: list[dict[str, Any]], texts: list[dict[str, Any]], end: float
) -> Chart:
    x = alt.X(
        "left:Q",
        title=say("from input (left) to output (right), one bar a block"),
        scale=alt.Scale(domain=[0, end], nice=False),
        axis=alt.Axis(labels=False, ticks=False, grid=False),
    )
    top = max(bar["side"] for bar in bars)
    y = alt.Y(
        "side:Q",
        title=say("side of the map, pixels"),
        scale=alt.Scale(domain=[0, top * 1.35], nice=False),
        axis=alt.Axis(grid=False, tickCount=4),
        stack=False,
    )
    kinds = [say("block"), say("level of the neck"), say("attention")]
    shown = [kind for kind in kinds if any(bar["what"] == kind for bar in bars)]
    drawn = (
        alt.Chart(pd.DataFrame(bars))
        .mark_rect(cornerRadius=1)
        .encode(
            x=x,
            x2="right:Q",
            y=y,
            y2=alt.Y2Datum(0),
            color=alt.Color(
                "what:N",
                title=None,
                scale=alt.Scale(domain=kinds, range=[PALE, "#7fb2e5", ORANGE]),
                legend=alt.Legend(orient="top", values=shown),
            ),
            tooltip=[
                alt.Tooltip("name:N", title=say("name")),
                alt.Tooltip("channels:Q", title=say("channels")),
                alt.Tooltip("side:Q", title=say("side, pixels")),
            ],
        )
    )
    base = alt.Chart(pd.DataFrame(texts)).encode(x="left:Q", y="side:Q")
    names = base.mark_text(align="left", dy=-19, color=theme.ink(), fontWeight="bold").encode(text="text:N")
    widths = base.mark_text(align="left", dy=-7, color=theme.ink()).encode(text="below:N")
    layers: list[Any] = [drawn, names, widths]
    if dashes:
        rules = alt.Chart(pd.DataFrame(dashes)).mark_rule(strokeDash=[4, 3], color="#7fb2e5")
        layers.insert(0, rules.encode(x="left:Q", x2="right:Q", y="side:Q"))
    return alt.layer(*layers).properties(height=260)


# ---------------------------------------------------------------- published results


def published(groups: Sequence[PublishedGroup]) -> list[Chart]:
    """Scores over added parameters, a picture a group; all have axes of the same length in points.

    What cannot be built here has no parameters to stand over, and stands in the table of the group alone.
    """
    spans = [max(r.score for r in group.results) - min(r.score for r in group.results) for group in groups]
    span = 1.25 * max(max(spans), 0.5)
    most = max((r.added_parameters or 0 for group in groups for r in group.results), default=0)
    return [_published(group, span, max(most, 1000)) for group in groups]


def _published(group: PublishedGroup, span: float, most: int) -> Chart:
    scores = [result.score for result in group.results]
    middle = (min(scores) + max(scores)) / 2
    rows: list[dict[str, Any]] = [
        {
            "name": result.name,
            "text": theme.called(result.attention) if result.attention in theme.MODULES else result.name,
            "attention": result.attention,
            "score": result.score,
            "added": result.added_parameters,
        }
        for result in sorted(group.results, key=lambda result: result.score)
        if result.added_parameters is not None
    ]
    hues = [theme.hue(row["attention"]) for row in rows]
    columns = ["name", "text", "attention", "score", "added"]
    base = alt.Chart(pd.DataFrame(rows, columns=columns)).encode(
        x=alt.X(
            "added:Q",
            title=say("parameters that attention adds (log scale from 100 up)"),
            scale=alt.Scale(type="symlog", constant=100, domain=[0, most * 8], nice=False),
            axis=alt.Axis(labelExpr=SHORT, values=[0, *(10**power for power in range(2, 9))]),
        ),
        y=alt.Y(
            "score:Q",
            title=translated(group.metric),
            scale=alt.Scale(domain=[middle - span / 2, middle + span / 2], nice=False, zero=False),
        ),
    )
    dots = base.mark_circle(size=150, opacity=1).encode(
        color=alt.Color("attention:N", legend=None, scale=alt.Scale(domain=[r["attention"] for r in rows], range=hues)),
        tooltip=[
            alt.Tooltip("name:N", title=say("name")),
            alt.Tooltip("score:Q", title=translated(group.metric), format=".2f"),
            alt.Tooltip("added:Q", title=say("added parameters"), format="+,d"),
        ],
    )
    texts = base.mark_text(align="left", dx=11, color=theme.ink()).encode(text="text:N")
    return alt.layer(dots, texts).properties(height=400)


# ---------------------------------------------------------------- a fresh module


def starts(modules: Sequence[ModuleEntry]) -> Chart:
    """How much of its input each fresh module leaves, by standard deviation."""
    rows = [
        {
            "module": theme.called(module.name),
            "kept": module.traits.std_ratio,
            "what": say("exactly the identity")
            if module.traits.identity
            else say("rescales")
            if module.traits.correlation > 0.5
            else say("gives something else"),
        }
        for module in sorted(modules, key=lambda module: (module.traits.std_ratio, module.name))
    ]
    kinds = [say("exactly the identity"), say("rescales"), say("gives something else")]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=alt.Y("module:N", sort=[str(row["module"]) for row in rows], title=None, axis=theme.named_axis()),
        x=alt.X("kept:Q", title=say("standard deviation after / before (no unit)"), scale=alt.Scale(domain=[0, 1.6])),
        tooltip=[
            alt.Tooltip("module:N", title=say("module")),
            alt.Tooltip("kept:Q", title=say("kept"), format=".3f"),
            alt.Tooltip("what:N", title=say("what")),
        ],
    )
    bars = base.mark_bar(height={"band": 0.7}).encode(
        color=alt.Color(
            "what:N",
            title=None,
            scale=alt.Scale(domain=kinds, range=[GREEN, PALE, PALETTE[7]]),
            legend=alt.Legend(orient="top"),
        )
    )
    texts = base.mark_text(align="left", dx=4, color=theme.ink()).encode(text=alt.Text("kept:Q", format=".2f"))
    one = alt.Chart(pd.DataFrame([{"kept": 1.0}])).mark_rule(strokeDash=[4, 3], color=GREY).encode(x="kept:Q")
    return alt.layer(bars, texts, one).properties(height=(STEP - 5) * len(rows) + 90)
