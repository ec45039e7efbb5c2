"""Report on costs -> picture: pure functions, in the unit that is asked for."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
import pandas as pd

from attention.reports.cost import ConventionCount, CostReport, VariantCost
from attention.reports.court import CourtReport
from dashboard.drawing import theme
from dashboard.drawing.marks import AXES, PALETTE, SHORT, STEP, Chart, colour, coloured
from dashboard.drawing.words import called, human, unit
from dashboard.language import say

DECADES = [10.0**power for power in range(-9, 16)]
"""Ticks of a log axis."""
MANY = 8
"""More variants than this are named beside their dots: a legend of so many colours cannot be read."""
PREFIXES = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
FAR = 5
"""Amounts further apart than this factor are dots on a log axis; nearer ones are bars from 0."""
ORANGE, BLUE, GREY = PALETTE[1], PALETTE[2], "#9aa5b5"


def counted(bill: VariantCost, convention: str, quantity: str) -> ConventionCount:
    """A bill's parameters or work in one convention."""
    return next(count for count in bill.conventions if (count.name, count.quantity) == (convention, quantity))


def _in(one: ConventionCount, amount: float, reference: ConventionCount) -> float:
    """An amount in the unit of another bill: small networks are counted in Mi where large ones are in Gi."""
    return amount * PREFIXES[unit(one.unit)] / PREFIXES[unit(reference.unit)]


def scatter(report: CostReport, convention: str) -> Chart | None:
    """What each variant adds to its plain twin: parameters against work, both on log scales."""
    label = called(report)
    parameters, work = (counted(report.variants[0], convention, quantity) for quantity in ("parameters", "work"))
    rows: list[dict[str, Any]] = []
    for bill in report.variants:
        counts = [counted(bill, convention, quantity) for quantity in ("parameters", "work")]
        added = [
            _in(count, count.delta, reference) for count, reference in zip(counts, (parameters, work), strict=True)
        ]
        if min(added) > 0:
            rows.append({"variant": label[bill.name], "parameters": added[0], "work": added[1]})
    if not rows:
        return None
    many = len(rows) > MANY
    dots = (
        alt.Chart(pd.DataFrame(rows))
        .mark_circle(size=90 if many else 190, opacity=0.9)
        .encode(
            x=alt.X(
                "work:Q",
                title=say("added %(unit)s, one image (log scale)", unit=say(work.unit)),
                scale=_log([row["work"] for row in rows]),
                axis=alt.Axis(format="~g" if unit(work.unit) else "~s", values=DECADES),
            ),
            y=alt.Y(
                "parameters:Q",
                title=say("added %(unit)s (log scale)", unit=say(parameters.unit)),
                scale=_log([row["parameters"] for row in rows]),
                axis=alt.Axis(format="~g" if unit(parameters.unit) else "~s", values=DECADES),
            ),
            color=alt.value(BLUE) if many else coloured(report, (row["variant"] for row in rows)),
            tooltip=[
                alt.Tooltip("variant:N", title=say("variant")),
                alt.Tooltip("parameters:Q", format="+,.6~g", title=say("added %(unit)s", unit=say(parameters.unit))),
                alt.Tooltip("work:Q", format="+,.6~g", title=say("added %(unit)s", unit=say(work.unit))),
            ],
        )
    )
    return alt.layer(dots, *_names(rows)).properties(height=440) if many else dots.properties(height=400)


SPOTS = ((8, -6), (8, 7), (-8, -6), (-8, 7), (8, -20), (8, 20), (-8, -20), (-8, 20))
"""Where a name may stand, in pixels from its dot: right of it or left of it, a little above or below."""


def _names(rows: Sequence[dict[str, Any]]) -> list[alt.Chart]:
    """Names beside dots, none on top of another. Variants that cost nearly the same share one text."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((f"{row['parameters']:.1e}", f"{row['work']:.1e}"), []).append(row)
    across, down = (_pixels([row[axis] for row in rows], size) for axis, size in (("work", 400), ("parameters", -340)))
    taken: list[tuple[float, float, float, float]] = [
        (across(row["work"]) - 5, down(row["parameters"]) - 5, across(row["work"]) + 5, down(row["parameters"]) + 5)
        for row in rows
    ]
    placed: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for group in groups.values():
        text = ", ".join(row["variant"].partition("@")[0] for row in group)
        x, y, wide = across(group[0]["work"]), down(group[0]["parameters"]), 6.5 * len(text)
        lefts = [x + dx - (wide if dx < 0 else 0) for dx, _ in SPOTS]
        boxes = [(left, y + dy - 6, left + wide, y + dy + 6) for left, (_, dy) in zip(lefts, SPOTS, strict=True)]
        best = min(range(len(SPOTS)), key=lambda spot: (sum(_meet(boxes[spot], other) for other in taken), spot))
        taken.append(boxes[best])
        placed.setdefault(SPOTS[best], []).append({**group[0], "text": text})
    return [
        alt.Chart(pd.DataFrame(texts))
        .mark_text(align="left" if dx > 0 else "right", dx=dx, dy=dy, color=theme.ink())
        .encode(x="work:Q", y="parameters:Q", text="text:N")
        for (dx, dy), texts in placed.items()
    ]


def _pixels(values: Sequence[float], size: float) -> Callable[[float], float]:
    """About where a value stands on a log axis of so many pixels."""
    low, high = math.log(min(values) / 3), math.log(max(values) * 6)
    return lambda value: size * (math.log(value) - low) / (high - low)


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _log(values: Sequence[float], below: float = 3, above: float = 6) -> alt.Scale:
    """A log scale with room around the values, so that one dot alone has an axis too."""
    return alt.Scale(type="log", domain=[min(values) / below, max(values) * above], nice=False)


def traffic(report: CostReport) -> Chart | None:
    """Bytes that each variant moves beyond its plain twin, most first."""
    label = called(report)
    rows: list[dict[str, Any]] = [
        {"variant": label[bill.name], "bytes": bill.delta.bytes, "text": human(bill.delta.bytes, "B")}
        for bill in report.variants
        if bill.modules
    ]
    if not rows:
        return None
    amounts = sorted(max(row["bytes"], 1) for row in rows)
    far = amounts[-1] > FAR * amounts[0]
    ticks = [step * decade for decade in DECADES for step in (1, 2, 5)]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=alt.Y("variant:N", sort="-x", title=None, axis=theme.named_axis(labelLimit=260)),
        x=alt.X(
            "bytes:Q",
            title=say("added bytes read and written, one image") + (say(" (log scale)") if far else ""),
            scale=_log(amounts, 1.2, 2) if far else alt.Scale(domain=[0, 1.25 * amounts[-1]]),
            axis=alt.Axis(labelExpr=SHORT, values=ticks) if far else alt.Axis(format="~s", tickCount=5),
        ),
        tooltip=[
            alt.Tooltip("variant:N", title=say("variant")),
            alt.Tooltip("bytes:Q", format="+,d", title=say("added bytes")),
        ],
    )
    colours = alt.Color("variant:N", scale=colour(report), legend=None)
    drawn = (base.mark_circle(size=110, opacity=1) if far else base.mark_bar()).encode(color=colours)
    texts = base.mark_text(align="left", dx=9, color=theme.ink()).encode(text="text:N")
    return alt.layer(drawn, texts).properties(height=(18 if len(rows) > MANY else 2 * STEP) * len(rows) + AXES)


def bars(report: CostReport, convention: str, quantity: str) -> Chart:
    """Totals of each variant, with the attention modules' own part set off."""
    label = called(report)
    first = counted(report.variants[0], convention, quantity)
    name = say(first.unit)
    rows = [
        {"variant": label[bill.name], "part": part, "amount": _in(count, amount, first), "order": order}
        for bill in report.variants
        for count in (counted(bill, convention, quantity),)
        for order, (part, amount) in enumerate(
            ((say("backbone"), count.total - count.attention), (say("attention"), count.attention))
        )
    ]
    chart: alt.Chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar(height={"band": 0.7})
        .encode(
            y=alt.Y("variant:N", sort=list(label.values()), title=None, axis=theme.named_axis(labelLimit=260)),
            x=alt.X(
                "amount:Q",
                title=say("%(name)s, one image", name=name) if quantity == "work" else name,
                axis=alt.Axis(format="~s"),
            ),
            color=alt.Color(
                "part:N",
                scale=alt.Scale(domain=[say("backbone"), say("attention")], range=[GREY, ORANGE]),
                legend=alt.Legend(orient="top", title=None),
            ),
            order="order:Q",
            tooltip=[
                alt.Tooltip("variant:N", title=say("variant")),
                alt.Tooltip("part:N", title=say("part")),
                alt.Tooltip("amount:Q", format=",.6~g", title=name),
            ],
        )
        .properties(height=(34 if len(rows) <= 2 * MANY else 22) * len(report.variants) + 2 * AXES)
    )
    return chart


def spellings(report: CourtReport) -> Chart:
    """One ECA module, written in four ways, before every counter: what each reports."""
    rows: list[dict[str, Any]] = [
        {"counter": counter, "spelling": f"{spelling.pool}, {spelling.convolution}", "reported": amount}
        for spelling in report.spellings
        for counter, amount in spelling.reported.items()
    ]
    counters = list(dict.fromkeys(row["counter"] for row in rows))
    ways = list(dict.fromkeys(row["spelling"] for row in rows))
    truth = alt.Chart(pd.DataFrame([{"macs": report.spellings[0].macs}])).mark_rule(color=GREY, strokeDash=[4, 3])
    dots = (
        alt.Chart(pd.DataFrame(rows))
        .mark_point(size=110, filled=True, opacity=0.9)
        .encode(
            x=alt.X(
                "reported:Q",
                title=say("reported, in the counter's unit (log scale)"),
                scale=alt.Scale(type="symlog", constant=10, domain=[0, max(row["reported"] for row in rows) * 2]),
                axis=alt.Axis(labelExpr=SHORT, values=[0, *(10**power for power in range(1, 8))]),
            ),
            y=alt.Y("counter:N", sort=counters, title=None, axis=theme.named_axis(labelLimit=220, grid=True)),
            yOffset=alt.YOffset("spelling:N", sort=ways),
            color=alt.Color(
                "spelling:N",
                sort=ways,
                title=None,
                scale=alt.Scale(domain=ways, range=[PALETTE[2], PALETTE[5], PALETTE[1], PALETTE[4]]),
                legend=alt.Legend(orient="top", columns=1, labelLimit=360),
            ),
            tooltip=[
                alt.Tooltip("counter:N", title=say("counter")),
                alt.Tooltip("spelling:N", title=say("spelling")),
                alt.Tooltip("reported:Q", title=say("reported"), format=",d"),
            ],
        )
    )
    return alt.layer(truth.encode(x="macs:Q"), dots).properties(height=36 * len(counters) + 2 * AXES)
