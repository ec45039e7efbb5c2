"""Report on latency -> picture or table: pure functions. The baseline's own two timings are the yardstick in each."""

from typing import Any

import altair as alt
import pandas as pd

from attention.reports.latency import LatencyReport
from attention.reports.parts.evidence import Interval
from dashboard.drawing.marks import AXES, PALETTE, STEP, TEXT, Chart
from dashboard.drawing.words import human, labels
from dashboard.language import marked, say

ROW = 34
"""Height of a network in a picture, pixels."""
BAND = "#8a94a6"
COLOURS = {
    "baseline": BAND,
    "slower": PALETTE[7],
    "faster": PALETTE[3],
    "no difference": PALETTE[2],
    "undecided": PALETTE[6],
    "withheld": PALETTE[6],
}
LIMIT = PALETTE[5]
"""Colour of the budget."""
NARROW = "\u202f"
"""Between a number and its unit, where no line may end."""
PREDICTED, MEASURED = marked("predicted by the ledger"), marked("measured")


def called(report: LatencyReport) -> dict[str, str]:
    """Name -> label of the baseline and of every network."""
    return labels(list(dict.fromkeys([report.baseline, *(one.name for one in report.timings)])))


def times(report: LatencyReport, budget_ms: float | None = None) -> Chart | None:
    """Median of each network with its interval and the middle half of its passes; a band where the baseline's lie."""
    if report.baseline_pair is None or report.withheld:
        return None
    label = called(report)
    base = label[report.baseline]
    rows: list[dict[str, Any]] = [
        {"network": f"{base} · {which}", **_interval(pair), "verdict": say("baseline")}
        for which, pair in zip((say("first"), say("again")), report.baseline_pair, strict=True)
    ]
    rows += [
        {
            "network": label[timing.name],
            **_interval(timing.median),
            "verdict": say(timing.verdict),
            "quarter": timing.low_ms,
            "three quarters": timing.high_ms,
        }
        for timing in report.timings
        if timing.median is not None
    ]
    order = [row["network"] for row in rows]
    title = say("milliseconds a pass, batch %(batch)s", batch=report.batch)
    y = alt.Y("network:N", sort=order, title=None, axis=_NAMES)
    x = alt.X("low:Q", title=title, scale=alt.Scale(zero=False, nice=True))
    low, high = min(pair.low for pair in report.baseline_pair), max(pair.high for pair in report.baseline_pair)
    chart = alt.Chart(pd.DataFrame(rows)).encode(y=y, color=_verdicts(rows), tooltip=_TIMES)
    quartiles = chart.transform_filter("isValid(datum.quarter)").mark_rule(strokeWidth=1.5, opacity=0.55)
    layers: list[alt.Chart] = [
        alt.Chart(pd.DataFrame([{"low": low, "high": high}]))
        .mark_rect(color=BAND, opacity=0.25)
        .encode(x=x, x2="high:Q"),
        quartiles.encode(x=alt.X("quarter:Q", title=title), x2="three quarters:Q"),
        chart.mark_rule(strokeWidth=5, opacity=0.7).encode(x=x, x2="high:Q"),
        chart.mark_point(filled=True, size=80, opacity=1).encode(x=alt.X("median:Q", title=title)),
    ]
    if budget_ms is not None:
        line = alt.Chart(
            pd.DataFrame([{"budget": budget_ms, "text": say("budget %(budget_ms)s ms", budget_ms=f"{budget_ms:g}")}])
        )
        at = alt.X("budget:Q", title=title)
        layers += [
            line.mark_rule(color=LIMIT, strokeDash=[5, 3], strokeWidth=2).encode(x=at),
            line.mark_text(color=LIMIT, align="left", dx=5, dy=-6, baseline="bottom").encode(
                x=at, y=alt.value(0), text="text:N"
            ),
        ]
    return alt.layer(*layers).properties(height=ROW * len(rows) + 2 * AXES + STEP)


def ratios(report: LatencyReport) -> Chart:
    """Each network's time by the baseline's in the same round, and the baseline's by its own."""
    label = called(report)
    rows: list[dict[str, Any]] = [
        {
            "network": say("%(label)s, by itself", label=label[report.baseline]),
            **_interval(report.control),
            "verdict": say("baseline"),
        }
    ]
    rows += [
        {"network": label[timing.name], **_interval(timing.ratio), "verdict": say(timing.verdict)}
        for timing in report.timings
        if timing.ratio is not None
    ]
    title = say("time by that of %(label)s", label=label[report.baseline])
    x = alt.X("low:Q", title=title, scale=alt.Scale(zero=False, nice=True))
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=alt.Y("network:N", sort=[row["network"] for row in rows], title=None, axis=_NAMES),
        color=_verdicts(rows),
        tooltip=_RATIOS,
    )
    layers: list[alt.Chart] = []
    if report.tolerance is not None:
        allowed = [{"low": 1 - report.tolerance, "high": 1 + report.tolerance}]
        layers.append(alt.Chart(pd.DataFrame(allowed)).mark_rect(color=BAND, opacity=0.25).encode(x=x, x2="high:Q"))
    layers += [
        alt.Chart(pd.DataFrame([{"one": 1.0}]))
        .mark_rule(color=BAND, strokeWidth=1.5)
        .encode(x=alt.X("one:Q", title=title)),
        base.mark_rule(strokeWidth=4, opacity=0.7).encode(x=x, x2="high:Q"),
        base.mark_point(filled=True, size=80, opacity=1).encode(x=alt.X("median:Q", title=title)),
    ]
    return alt.layer(*layers).properties(height=ROW * len(rows) + 2 * AXES + STEP)


def extras(report: LatencyReport) -> Chart:
    """What each network takes beyond the baseline: by the ledger's bytes, and by the clock."""
    label = called(report)
    rows = [
        {"network": label[timing.name], "how": how, "extra": value}
        for timing in report.timings
        for how, value in ((say(PREDICTED), timing.predicted_extra_ms), (say(MEASURED), timing.measured_extra_ms))
        if value is not None
    ]
    ways = [say(PREDICTED), say(MEASURED)]
    hues = alt.Scale(domain=ways, range=[PALETTE[2], PALETTE[1]])
    shapes = alt.Scale(domain=ways, range=["diamond", "circle"])
    there = [way for way in ways if any(row["how"] == way for row in rows)]
    legend = alt.Legend(orient="top", title=None, labelLimit=300, values=there)
    marks = (
        alt.Chart(pd.DataFrame(rows))
        .mark_point(filled=True, size=110, opacity=0.9)
        .encode(
            y=alt.Y("network:N", sort=list(label.values()), title=None, axis=_NAMES),
            x=alt.X("extra:Q", title=say("milliseconds beyond %(label)s", label=label[report.baseline])),
            color=alt.Color("how:N", scale=hues, legend=legend),
            shape=alt.Shape("how:N", scale=shapes, legend=legend),
            tooltip=[
                alt.Tooltip("network:N", title=say("network")),
                alt.Tooltip("how:N", title=say("measured in")),
                alt.Tooltip("extra:Q", format="+.4f", title=say("extra, ms")),
            ],
        )
    )
    zero = alt.Chart(pd.DataFrame([{"zero": 0.0}])).mark_rule(color=TEXT, strokeDash=[4, 3]).encode(x="zero:Q")
    return alt.layer(zero, marks).properties(height=ROW * len(report.timings) + 2 * AXES)


def table(report: LatencyReport, budget_ms: float | None = None) -> pd.DataFrame:
    """Every network in numbers, the clock's beside the ledger's, the baseline first."""
    label = called(report)
    fits = {} if budget_ms is None else {f"within {budget_ms:g} ms": ""}
    rows: list[dict[str, str]] = [
        {
            "network": label[report.baseline],
            "median, ms": "withheld" if report.withheld else f"{report.baseline_ms:.4g}",
            "ratio": "withheld" if report.withheld else "1",
            "verdict": "baseline",
            **fits,
            "MACs": _human(report.baseline_macs),
            "bytes": _human(report.baseline_bytes, "B"),
            "extra MACs": "",
            "extra bytes": "",
            "predicted extra, ms": "",
            "measured extra, ms": "",
        }
    ]
    for timing in report.timings:
        rows.append(
            {
                "network": label[timing.name],
                "median, ms": _shown(timing.median) if timing.median else "withheld",
                "ratio": _shown(timing.ratio) if timing.ratio else "withheld",
                "verdict": timing.verdict,
                **({} if budget_ms is None else {f"within {budget_ms:g} ms": timing.fit(budget_ms)}),
                "MACs": _human(timing.macs),
                "bytes": _human(timing.bytes, "B"),
                "extra MACs": _human(timing.extra_macs),
                "extra bytes": _human(timing.extra_bytes, "B"),
                "predicted extra, ms": f"{timing.predicted_extra_ms:+.3f}",
                "measured extra, ms": "withheld"
                if timing.measured_extra_ms is None
                else f"{timing.measured_extra_ms:+.3f}",
            }
        )
    return pd.DataFrame(rows).set_index("network")


_NAMES = alt.Axis(labelLimit=260, ticks=False, domain=False, labelOverlap=False, labelFlush=False)
_NUMBERS: list[Any] = [alt.Tooltip(f"{name}:Q", format=".4f") for name in ("median", "low", "high")]
_QUARTILES: list[Any] = [alt.Tooltip(f"{name}:Q", format=".4f") for name in ("quarter", "three quarters")]
_RATIOS: list[Any] = ["network:N", "verdict:N", *_NUMBERS]
_TIMES: list[Any] = [*_RATIOS, *_QUARTILES]


def _verdicts(rows: list[dict[str, Any]]) -> alt.Color:
    """A colour for each verdict, and a legend of those that are there."""
    there = [say(name) for name in COLOURS if any(row["verdict"] == say(name) for row in rows)]
    return alt.Color(
        "verdict:N",
        scale=alt.Scale(domain=[say(name) for name in COLOURS], range=list(COLOURS.values())),
        legend=alt.Legend(orient="top", title=None, values=there, columns=2),
    )


def _interval(interval: Interval | None) -> dict[str, float | None]:
    return {} if interval is None else {"median": interval.estimate, "low": interval.low, "high": interval.high}


def _shown(interval: Interval) -> str:
    return f"{interval.estimate:.4g} [{interval.low:.4g}, {interval.high:.4g}]"


def _human(number: int | None, unit: str = "") -> str:
    return "" if number is None else human(number, unit).replace(" ", NARROW)
