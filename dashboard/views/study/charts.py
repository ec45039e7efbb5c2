"""Report on a study -> picture or table: pure functions. Every arm keeps its colour from picture to picture."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from attention.reports.parts.evidence import KIND_WORDS
from attention.reports.study import Arm, StudyReport
from attention.reports.writing.captions import p_text
from dashboard.drawing import theme, verdicts, words
from dashboard.drawing.marks import PALETTE, SHORT, Chart, named, place_names
from dashboard.drawing.words import human
from dashboard.language import marked, say
from dashboard.views.study.paired import MARGIN, paired


def called(report: StudyReport) -> dict[str, str]:
    """Short name -> what people call each arm, in the report's order."""
    return words.labels([arm.name for arm in report.arms])


def colours(report: StudyReport, drawn: Sequence[str] = ()) -> alt.Color:
    """A colour for each arm, and a legend of those that are drawn; none where names stand beside the marks."""
    label = called(report)
    scale = theme.colours(label, label.values())
    shown = alt.Legend(
        orient="top",
        title=None,
        labelLimit=300,
        columns=4 if len(label) <= 4 else 2,  # long names beside each other are cut off on a phone
        values=list(dict.fromkeys(drawn)),
        symbolOpacity=1,
        symbolType="circle",
    )
    legend = shown if drawn else None
    return alt.Color("arm:N", scale=scale, legend=legend)


def compared(report: StudyReport) -> list[Arm]:
    """The arms that have differences to the baseline to show."""
    return [arm for arm in report.arms if arm.differences and arm.name != report.baseline]


def differences(report: StudyReport) -> Chart | None:
    """Each arm's differences to the baseline: a dot a seed, a bar for the interval of the mean, the margin shaded."""
    arms, label = compared(report), called(report)
    if not arms:
        return None
    order = [label[arm.name] for arm in arms]
    seeds = shared_seeds(report)
    dots = [
        {"arm": label[arm.name], "seed": seed, "difference": difference}
        for arm in arms
        for seed, difference in zip(seeds[arm.name], arm.differences, strict=True)
    ]
    bars = [
        {"arm": label[arm.name], "low": interval.low, "high": interval.high, "mean": interval.estimate, "n": interval.n}
        for arm in arms
        if arm.verdict and (interval := arm.verdict.difference)
    ]
    title = say("accuracy − %(label)s, same seed (points)", label=label[report.baseline])
    return paired(dots, bars, order, report.margin, title, colours(report))


def shared_seeds(report: StudyReport) -> dict[str, list[int]]:
    """Arm -> the seeds that it shares with the baseline, in the order of its differences."""
    finished: dict[str, set[int]] = {arm.name: set() for arm in report.arms}
    for run in report.runs:
        if run.test_accuracy is not None:
            finished.setdefault(run.arm, set()).add(run.seed)
    base = finished[report.baseline]
    return {name: sorted(seeds & base) for name, seeds in finished.items()}


def gains(report: StudyReport, cost: str) -> Chart | None:
    """What each arm adds in ``extra_parameters`` or ``extra_macs``, against what it gains, with its interval."""
    label = called(report)
    rows: list[dict[str, Any]] = [
        {
            "arm": label[arm.name],
            "name": label[arm.name],
            "cost": getattr(arm, cost),
            "amount": human(getattr(arm, cost)),
            "gain": difference.estimate,
            "low": difference.low,
            "high": difference.high,
        }
        for arm in compared(report)
        if arm.verdict and (difference := arm.verdict.difference)
    ]
    if not rows:
        return None
    unit = {"extra_parameters": say("parameters"), "extra_macs": say("MACs of one image")}[cost]
    reach = max(abs(row["cost"]) for row in rows)
    # symlog, because a module may add nothing at all; wide enough that a name beside the last dot has room.
    constant, ends = max(1.0, reach / 1000), _wide([row["cost"] for row in rows])
    place_names(rows, [_position(row["cost"], ends, constant) for row in rows])
    scale = alt.Scale(type="symlog", constant=constant, domain=ends)
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X(
            "cost:Q",
            title=say("added %(unit)s (log scale with 0)", unit=unit),
            scale=scale,
            axis=alt.Axis(labelExpr=SHORT, values=_ticks(reach)),
        ),
        color=colours(report),
        tooltip=[
            alt.Tooltip("arm:N", title=say("arm")),
            alt.Tooltip("amount:N", title=say("added %(unit)s", unit=unit)),
            alt.Tooltip("gain:Q", format="+.2f", title=say("gain, points")),
            alt.Tooltip("low:Q", title=say("low"), format="+.2f"),
            alt.Tooltip("high:Q", title=say("high"), format="+.2f"),
        ],
    )
    gain = alt.Y("low:Q", title=say("gain over the baseline (points)"))
    whiskers = base.mark_rule(strokeWidth=2, opacity=0.55).encode(y=gain, y2="high:Q")
    dots = base.mark_circle(size=150, opacity=1).encode(y="gain:Q")
    zero = alt.Chart(pd.DataFrame([{"low": 0.0}])).mark_rule(color=MARGIN, strokeDash=[4, 3]).encode(y=alt.Y("low:Q"))
    return alt.layer(zero, whiskers, dots, *named(base)).properties(height=340)


def _wide(costs: Sequence[float]) -> list[float]:
    low, high = min(0.0, *costs), max(0.0, *costs)
    return [low * 3, max(1.0, high * 6)]


def _position(cost: float, ends: Sequence[float], constant: float) -> float:
    """The position of a cost on a symmetric-log axis: 0 at its left end, 1 at its right end."""
    low, high, here = (math.copysign(math.log1p(abs(one) / constant), one) for one in (*ends, cost))
    return (here - low) / (high - low)


def _ticks(reach: float) -> list[float]:
    powers = [10.0**power for power in range(13) if 10.0**power <= 6 * max(reach, 1) and 10**power >= reach / 1000]
    return [0.0, *powers, *(-power for power in powers)]


def curves(report: StudyReport, kind: str = "accuracy") -> Chart | None:
    """Accuracy or training loss after each epoch: a thin line a run, a thick one the mean of an arm's seeds.

    The accuracy is that of the validation images, or of the test images where the study has none.
    """
    label = called(report)
    rows = [
        {"arm": label[run.arm], "seed": run.seed, "epoch": point.epoch, "value": value}
        for run in report.runs
        for point in run.curve
        if (value := point.loss if kind == "loss" else _points(point.accuracy)) is not None
    ]
    if not rows:
        return None
    drawn = list(dict.fromkeys(str(row["arm"]) for row in rows))
    images = marked("test") if report.data.validation == "off" else marked("validation")
    title = say("training loss") if kind == "loss" else say("%(images)s accuracy (%%)", images=say(images))
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("epoch:Q", title=say("epoch"), axis=alt.Axis(tickMinStep=1, format="d")),
        color=colours(report, drawn),
    )
    y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(format=".4~g"))
    runs = base.mark_line(strokeWidth=1, opacity=0.35, point={"size": 14, "opacity": 0.35}).encode(
        y=y,
        detail="seed:N",
        tooltip=[
            alt.Tooltip("arm:N", title=say("arm")),
            alt.Tooltip("seed:O", title=say("seed")),
            alt.Tooltip("epoch:Q", title=say("epoch")),
            alt.Tooltip("value:Q", format=".2f", title=title),
        ],
    )
    mean = base.mark_line(strokeWidth=3).encode(y=alt.Y("mean(value):Q", title=title))
    return alt.layer(runs, mean).properties(height=320)


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def sweeps(report: StudyReport) -> dict[str, Chart]:
    """For each option of which one module has three values or more: accuracy against the option, with intervals."""
    families: dict[str, list[tuple[Any, Arm]]] = {}
    for arm in report.arms:
        for option, value in arm.variant.options.items():
            if arm.accuracy and isinstance(value, int | float) and not isinstance(value, bool):
                rest = {name: other for name, other in arm.variant.options.items() if name != option}
                twin = arm.variant.model_copy(update={"options": rest, "classes": None})
                families.setdefault(f"{twin.name}: {option}", []).append((value, arm))
    return {title: _sweep(points) for title, points in families.items() if len(points) >= 3}


def _sweep(points: Sequence[tuple[Any, Arm]]) -> Chart:
    rows = [
        {"value": value, "mean": arm.accuracy.estimate, "low": arm.accuracy.low, "high": arm.accuracy.high, "n": arm.n}
        for value, arm in sorted(points, key=lambda pair: pair[0])
        if arm.accuracy
    ]
    order = [row["value"] for row in rows]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("value:O", sort=order, title=say("value of the option"), axis=alt.Axis(labelAngle=0))
    )
    low = alt.Y("low:Q", title=say("test accuracy, mean and 95 % interval (%)"), scale=alt.Scale(zero=False))
    bars = base.mark_rule(strokeWidth=2, opacity=0.6, color=PALETTE[2]).encode(y=low, y2="high:Q")
    line = base.mark_line(point={"size": 90}, color=PALETTE[2]).encode(
        y="mean:Q",
        tooltip=[
            alt.Tooltip("value:O", title=say("value")),
            alt.Tooltip("mean:Q", title=say("mean"), format=".2f"),
            alt.Tooltip("n:Q", title=say("n")),
        ],
    )
    return alt.layer(bars, line).properties(height=260)


def table(report: StudyReport) -> pd.DataFrame:
    """The arms to be read: accuracy with spread, interval and n, difference with interval and p, what it costs."""
    label, rows = called(report), []
    for arm in report.arms:
        mean = report.mean_accuracy(arm)
        row = {
            "network": label[arm.name],
            "accuracy, %": "" if mean is None else f"{mean:.2f}",
            "spread": f"{arm.spread:.2f}" if arm.spread is not None else "",
            "95 % interval": f"{arm.accuracy.low:.2f} … {arm.accuracy.high:.2f}" if arm.accuracy else "",
            "n": str(arm.n),
            "difference": "baseline",
            "interval of it": "",
            "p": "",
            "verdict": "",
        }
        if arm.name != report.baseline:
            row |= _difference(arm)
        row["added parameters"] = "" if arm.name == report.baseline else f"{arm.extra_parameters:+,}"
        row["added MACs"] = "" if arm.name == report.baseline else f"{arm.extra_macs:+,}"
        rows.append(row)
    return pd.DataFrame(rows).set_index("network")


def _difference(arm: Arm) -> dict[str, str]:
    verdict = arm.verdict
    if verdict is None:
        return {"difference": ""}
    difference = verdict.difference
    return {
        "difference": verdicts.points(difference.estimate) if difference else "",
        "interval of it": verdicts.interval(difference, verdict.margin) if difference else "",
        "p": "" if verdict.p_adjusted is None else p_text(verdict.p_adjusted),
        "verdict": KIND_WORDS[verdict.kind],
    }
