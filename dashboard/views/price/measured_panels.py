"""What Measured time shows of a report: which networks fit, the pictures, the numbers, the conditions, the files."""

import streamlit as st

from attention.reports.latency import FITS, Fit, LatencyReport
from dashboard.drawing import draw as drawing
from dashboard.drawing import words
from dashboard.language import listed, say, show_caption, show_text
from dashboard.service_sentences import translated
from dashboard.views.price import measured_charts as latency_charts
from dashboard.widgets import linked

BUDGET = "budget"
"""In the page's address: milliseconds that a pass may take."""
LONGEST_MS = 1e9
BADGES: dict[Fit, str] = {"fits": "green", "at times": "orange", "too slow": "red", "withheld": "gray"}


def show(report: LatencyReport, final: bool) -> None:
    """What may be said first, then how it was found."""
    if report.withheld:
        st.warning(translated(report.withheld), icon=":material/timer_off:")
    else:
        st.markdown(words.relabelled(translated(report.headline), latency_charts.called(report)))
    budget_ms = budget()
    if budget_ms is not None:
        st.markdown(fitting(report, budget_ms))
    left, right = st.columns(2, gap="large")
    if report.withheld:
        with left:
            ratios(report)
        with right:
            extras(report)
        conditions(report)
    else:
        with left:
            times(report, budget_ms)
        with right:
            ratios(report)
        left, right = st.columns(2, gap="large")
        with left:
            extras(report)
        with right:
            conditions(report)
    drawing.table(latency_charts.table(report, budget_ms), "latency")
    if final:
        downloads(report)


def budget() -> float | None:
    """How long a pass may take, milliseconds; None if nobody said. It stands in the page's address."""
    chosen = linked.number(
        st.columns([1, 3])[0].number_input,
        say("My budget, milliseconds a pass"),
        0.0,
        LONGEST_MS,
        BUDGET,
        None,
        format="%g",
        step=0.5,
        placeholder=say("none"),
        help=say("A network fits if three of four passes take no longer."),
    )
    return float(chosen) if chosen else None


def fitting(report: LatencyReport, budget_ms: float) -> str:
    """Which networks fit a budget, in a line for each kind of answer."""
    label, lines = latency_charts.called(report), []
    for kind, meaning in FITS.items():
        names = [label[timing.name] for timing in report.timings if timing.fit(budget_ms) == kind]
        if names:
            lines.append(
                f":{BADGES[kind]}-badge[{say(kind)}] "
                + say("%(name)s: %(text)s", name=listed(names), text=say(meaning))
                + say(".")
            )
    return "  \n".join(
        [
            say("**Within %(budget_ms)s ms a pass of %(batch)s:**", budget_ms=f"{budget_ms:g}", batch=report.batch),
            *lines,
        ]
    )


def times(report: LatencyReport, budget_ms: float | None) -> None:
    """Every network's time beside both of the baseline's."""
    show_text("**Time of a pass**")
    if (chart := latency_charts.times(report, budget_ms)) is not None:
        drawing.draw(chart, "latency")
    show_caption(
        "A dot is the median, the thick bar its interval, the thin line the middle half of the "
        "passes. The grey band holds both timings of %(baseline)s. A machine drifts from round to "
        "round; ratios, taken within one, tell finer.",
        baseline=_baseline(report),
    )


def ratios(report: LatencyReport) -> None:
    """Every network's time by the baseline's, and the baseline's by its own."""
    show_text("**Ratio to the baseline**")
    drawing.draw(latency_charts.ratios(report), "latency-ratios")
    twice = say(
        "%(baseline)s timed twice: how far two timings of the very same network are apart.", baseline=_baseline(report)
    )
    if report.withheld:
        show_caption(
            "%(twice)s Numbers are given when all of the bar is in the grey band, which is what was allowed.",
            twice=twice,
        )
    else:
        show_caption(
            "The first row is %(twice)s The grey band is what was allowed. A bar clear of 1 whose dot is "
            "further from it than the first row reaches is a difference.",
            twice=twice,
        )


def extras(report: LatencyReport) -> None:
    """What the ledger's bytes predict beside what was measured."""
    show_text("**What the ledger expected**")
    drawing.draw(latency_charts.extras(report), "latency-extras")
    predicted = say(
        "Predicted is extra bytes by %(bandwidth)s GB/s, which copying a large tensor reached here.",
        bandwidth=f"{report.bandwidth / 1000000000.0:.1f}",
    )
    if report.withheld:
        show_caption("%(predicted)s What was measured is withheld.", predicted=predicted)
    else:
        show_caption(
            "%(predicted)s Where measured is far right of it, starting many small operations costs more "
            "than moving bytes; where it is left of it, bytes stayed in a cache, or were never moved.",
            predicted=predicted,
        )


def conditions(report: LatencyReport) -> None:
    """What has to be known beside every number."""
    st.markdown(f"**{say('Conditions')}**")
    st.caption(words.relabelled(translated(report.conditions), latency_charts.called(report)))
    drawing.caveats(report.caveats)


def _baseline(report: LatencyReport) -> str:
    return latency_charts.called(report)[report.baseline]


def downloads(report: LatencyReport) -> None:
    """The measurement as files."""
    drawing.files(report, f"latency {report.device} {words.network_label(report.baseline)}")
