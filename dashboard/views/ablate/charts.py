"""What a network loses without its gates, as pictures: pure functions from report to chart."""

from collections.abc import Iterable, Sequence

import altair as alt
import numpy as np
import pandas as pd

from attention.reports.compare import ClassScore
from attention.reports.sweep import (
    Effect,
    Family,
    LabelledSite,
    PhotoEffect,
    Redundancy,
    Scope,
    SweepReport,
    WhatIfReport,
)
from dashboard.drawing import theme
from dashboard.drawing.marks import AXES, PALETTE, STEP, TEXT, Chart
from dashboard.language import marked, say
from dashboard.service_sentences import translated

KINDS = {
    "mean": marked("mean"),
    "scalar": marked("one number"),
    "other_image": marked("another image's"),
    "shuffle": marked("shuffled"),
    "constant": marked("a constant"),
    "neutral": marked("let through"),
}
"""What replaces a gate, in two words at most."""

ROWS: tuple[Family, ...] = ("gate", "stage", "all")
POINTS = 100
"""Probabilities are shares; differences of them are drawn in points of a hundred."""


def kind(name: str) -> str:
    """What a kind of replacement is called; one that has no words here is called by its own name."""
    return say(KINDS.get(name, name))


def photo_map(report: WhatIfReport, image: str) -> Chart:
    """Scope x kind for one photo: how the probability of its first class changes, with a dot where the class flips."""
    rows = [
        {
            "scope": translated(effect.label),
            "kind": kind(effect.kind),
            "change": POINTS * effect.change,
            "first": _named(effect),
            "kl": effect.kl,
            "flips": effect.flips,
        }
        for effect in report.effects
        if effect.image == image and effect.family in ROWS
    ]
    first = next(photo for photo in report.photos if photo.image == image).top[0]
    title = say(
        "change of P(%(value)s), points",
        value=class_label(first),
    )
    tips = [alt.Tooltip("first:N", title=say("says now")), alt.Tooltip("kl:Q", title=say("KL, nats"), format=".3~g")]
    return _heat_map(rows, _labels(report.scopes), [kind(name) for name in report.kinds], title, tips, dots="flips")


def sweep_map(report: SweepReport) -> Chart:
    """Gate x kind over many images: change of accuracy, or where nothing is labelled how many first classes stay."""
    effects = [effect for effect in report.effects if effect.family in ROWS and not effect.reestimated]
    rows = [{"scope": translated(effect.label), "kind": kind(effect.kind), **_effect(effect)} for effect in effects]
    title = say("change of top-1 accuracy, points") if report.labelled else say("images with the same first class, %")
    tips = [
        alt.Tooltip("interval:N", title=say("interval")),
        alt.Tooltip("p:N", title=say("p (Holm)")),
        alt.Tooltip("kl:Q", title=say("kl"), format=".3~g"),
    ]
    names = [kind(name) for name in report.kinds]
    return _heat_map(rows, _labels(report.scopes), names, title, tips, agreement=not report.labelled)


def _effect(effect: Effect) -> dict[str, object]:
    change = effect.accuracy_change
    return {
        "change": change.estimate if change else POINTS * effect.agreement,
        "interval": change.text() if change else say("no labels"),
        "p": "" if effect.p_holm is None else f"{effect.p_holm:.2g}",
        "kl": effect.kl,
    }


def _labels(scopes: Sequence[Scope]) -> list[str]:
    return [translated(scope.label) for family in ROWS for scope in scopes if scope.family == family]


def _heat_map(
    rows: list[dict[str, object]],
    order: list[str],
    kinds: list[str],
    title: str,
    tips: list[alt.Tooltip],
    dots: str | None = None,
    agreement: bool = False,
) -> Chart:
    """Cells with a change in points, or with an agreement from 0 to 100 % in which nothing is lost at 100."""
    frame, signed = pd.DataFrame(rows), "" if agreement else "+"
    reach = POINTS if agreement else max(float(frame["change"].abs().max()), 0.5)
    scale = theme.agreement() if agreement else theme.change(reach)
    base = alt.Chart(frame).encode(
        x=alt.X("kind:N", sort=kinds, title=say("gates replaced by"), axis=alt.Axis(orient="top", labelAngle=0)),
        y=alt.Y(
            "scope:N",
            sort=order,
            title=say("which gates (stage.block), from input to output"),
            axis=theme.named_axis(),
        ),
    )
    cells = base.mark_rect(stroke=theme.faint(), strokeWidth=1).encode(
        color=alt.Color(
            "change:Q",
            title=title,
            scale=scale,
            legend=alt.Legend(orient="bottom", gradientLength=260, titleLimit=400, format=f"{signed}.2~f"),
        ),
        tooltip=[
            alt.Tooltip("scope:N", title=say("scope")),
            alt.Tooltip("kind:N", title=say("kind")),
            alt.Tooltip("change:Q", title=title, format=f"{signed}.2f"),
            *tips,
        ],
    )
    figures = base.mark_text(fontSize=11).encode(
        text=alt.Text("change:Q", format=f"{signed}.1f"),
        color=theme.legible("change"),
    )
    layers = [cells, figures]
    if dots:
        flipped = base.transform_filter(f"datum.{dots}")
        marks = flipped.mark_point(filled=True, size=40, color="#f2b134", stroke="#26303d", strokeWidth=1, xOffset=34)
        layers.append(marks)
    return alt.layer(*layers).properties(height=STEP * len(order) + 2 * AXES)


def before_after(report: WhatIfReport, effect: PhotoEffect) -> Chart:
    """The classes of the untouched prediction: a ring as gates are, a disc with gates replaced, a line between."""
    photo = next(photo for photo in report.photos if photo.image == effect.image)
    rows = [
        {"class": class_label(score), "before": score.probability, "after": after}
        for score, after in zip(photo.top, effect.probabilities, strict=True)
    ]
    hue = theme.hue(report.network)
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=alt.Y("class:N", sort=[str(row["class"]) for row in rows], title=None, axis=theme.named_axis()),
        tooltip=[
            alt.Tooltip("class:N", title=say("class")),
            alt.Tooltip("before:Q", format=".1%", title=say("as they are")),
            alt.Tooltip("after:Q", format=".1%", title=say("replaced")),
        ],
    )
    title = say("probability")
    lines = base.mark_rule(color=hue, opacity=0.5, strokeWidth=2).encode(
        x=theme.percent_axis(title, shorthand="before:Q"), x2="after:Q"
    )
    rings = base.mark_point(size=130, strokeWidth=2.5, color=hue, fill=theme.paper()).encode(
        x=theme.percent_axis(title, shorthand="before:Q")
    )
    discs = base.mark_point(size=130, filled=True, color=hue, opacity=1).encode(
        x=theme.percent_axis(title, shorthand="after:Q")
    )
    return alt.layer(lines, rings, discs).properties(height=1.4 * STEP * len(photo.top) + AXES)


def class_label(score: ClassScore) -> str:
    """A class in the reader's language; its number where it has no name."""
    return say(score.label) if score.label else say("class %(index)s", index=score.index)


def stages(report: SweepReport) -> Chart | None:
    """What every stage, and all of them, are worth: change of accuracy with its interval, for each kind."""
    effects = [e for e in report.effects if e.family in ("stage", "all") and e.accuracy_change and not e.reestimated]
    if not effects:
        return None
    rows = [
        {"scope": translated(e.label), "kind": kind(e.kind), "change": c.estimate, "low": c.low, "high": c.high}
        for e in effects
        if (c := e.accuracy_change)
    ]
    order = list(dict.fromkeys(translated(effect.label) for effect in effects))
    y = alt.Y("scope:N", sort=order, title=say("which gates"), axis=theme.named_axis())
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=y, yOffset=alt.YOffset("kind:N", sort=[kind(k) for k in report.kinds]), color=_hue(report.kinds)
    )
    points = base.mark_point(filled=True, size=50).encode(
        x=alt.X("change:Q", title=say("change of top-1 accuracy, points, with 95 % interval")),
        tooltip=[
            alt.Tooltip("scope:N", title=say("which gates")),
            alt.Tooltip("kind:N", title=say("replaced by")),
            *(
                alt.Tooltip(f"{name}:Q", title=say(title), format="+.2f")
                for name, title in (("change", "change, points"), ("low", "low"), ("high", "high"))
            ),
        ],
    )
    bars = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    zero = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(color=TEXT, strokeDash=[4, 3]).encode(x="x:Q")
    return alt.layer(zero, bars, points).properties(height=STEP * len(order) * max(len(report.kinds), 2) / 1.4 + AXES)


def cumulative(report: SweepReport) -> Chart | None:
    """Accuracy (or agreement) as more and more gates are replaced, from the input on and from the output back."""
    families: dict[str, str] = {"first_to_last": say("from the input on"), "last_to_first": say("from the output back")}
    start = report.accuracy if report.labelled else float(POINTS)
    rows = []
    for family, words in families.items():
        for name in report.kinds:
            effects = [e for e in report.effects if e.family == family and e.kind == name and not e.reestimated]
            rows += [{"gates": 0, "value": start, "kind": kind(name), "direction": words}] if effects else []
            rows += [
                {
                    "gates": effect.gates,
                    "value": effect.accuracy if report.labelled else POINTS * effect.agreement,
                    "kind": kind(name),
                    "direction": words,
                }
                for effect in effects
            ]
    if not rows:
        return None
    title = say("top-1 accuracy, %") if report.labelled else say("images with the same first class, %")
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("gates:Q", title=say("gates replaced"), axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=False)),
        color=_hue(report.kinds),
        detail="direction:N",
        tooltip=[
            alt.Tooltip("direction:N", title=say("order")),
            alt.Tooltip("kind:N", title=say("replaced by")),
            alt.Tooltip("gates:Q", title=say("gates replaced")),
            alt.Tooltip("value:Q", title=say("value"), format=".2f"),
        ],
    )
    legend = alt.Legend(orient="bottom", title=None, columns=1, symbolSize=400, symbolStrokeColor=theme.ink())
    dashes = alt.StrokeDash("direction:N", sort=list(families.values()), legend=legend)
    lines = base.mark_line().encode(strokeDash=dashes)  # a mark with points has a legend of discs, which show no dash
    return alt.layer(lines, base.mark_point(filled=True, opacity=1)).properties(height=400)


def _hue(kinds: Iterable[str]) -> alt.Color:
    names = [kind(name) for name in kinds]
    return alt.Color(
        "kind:N",
        scale=alt.Scale(domain=names, range=list(np.resize(PALETTE[1:], len(names)))),
        legend=alt.Legend(orient="top", title=say("replaced by"), columns=2),
    )


def redundancy(rows: Sequence[Redundancy]) -> pd.DataFrame:
    """The effect of gates together beside the sum of their single effects, ready for a table."""
    return pd.DataFrame(
        [
            {
                "gates": f"{row.label} ({row.gates})",
                "replaced by": kind(row.kind),
                "measured in": {"accuracy": "points", "true_probability": "probability", "kl": "nats"}[row.measure],
                "together": f"{row.joint:+.3g}",
                "sum of singles": f"{row.sum:+.3g}",
                "excess": f"{row.excess:+.3g}"
                + ("" if row.low is None or row.high is None else f" [{row.low:+.3g}, {row.high:+.3g}]"),
                "reading": row.reading,
            }
            for row in rows
        ]
    )


def labelled(sites: Sequence[LabelledSite]) -> dict[str, str]:
    """Path of each gate -> its short name."""
    return {site.path: site.label for site in sites}


def _named(effect: PhotoEffect) -> str:
    return f"{class_label(effect.first)} ({effect.first.probability:.0%})"
