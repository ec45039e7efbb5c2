"""What Price shows of a report: the bills, pictures of them, their conventions, the counter court."""

import streamlit as st

from attention.names import short_size
from attention.reports.cost import CostReport
from attention.reports.court import CourtRequest
from attention.reports.modules import FitReport
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import tables, words
from dashboard.language import listed, say, show_caption, show_text
from dashboard.service_sentences import translated
from dashboard.views.price import counted_charts as cost_charts
from dashboard.widgets import linked, links

TIMED = 12
"""Networks that one measurement of time takes at most."""


def convention(report: CostReport) -> str:
    """Which way to count is shown."""
    names = {rule.name: words.convention(rule.name) for rule in report.conventions}
    return linked.choice(st.segmented_control, say("Count in"), names, "convention", next(iter(names)))


def table(report: CostReport, fit: FitReport, convention: str) -> None:
    """Every bill in one convention, and the modules that have none because they do not fit."""
    st.subheader(say("The bill, for one image"))
    drawing.table(tables.costs_text(report, convention), "cost")
    rule = next(rule for rule in report.conventions if rule.name == convention)
    show_caption(
        "**%(convention)s.** %(rule)s Used by: %(source)s  \nΔ is the network minus its plain twin: "
        "the same backbone without attention. Traffic is bytes read and written in float32 if "
        "nothing is fused.",
        convention=words.convention(convention),
        rule=translated(rule.rule),
        source=translated(rule.source),
    )
    if fit.refused:
        show_text("**Not counted, because they do not fit here: %(refused)s**", refused=len(fit.refused))
        drawing.table(tables.refusals(fit), "refused")


def pictures(report: CostReport, convention: str) -> None:
    """What attention adds, in parameters and work and in bytes; whole networks below."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader(say("Parameters and work"))
        if (scatter := cost_charts.scatter(report, convention)) is not None:
            drawing.plot(scatter)
            show_caption(
                "Lower left is cheaper. Both axes are logarithmic: one grid step is a factor, not a sum. Networks "
                "that add nothing on one of the axes are in the table only."
            )
        else:
            st.info(say("None of these networks adds both parameters and work to its plain twin."))
    with right:
        st.subheader(say("Bytes moved"))
        if (traffic := cost_charts.traffic(report)) is not None:
            drawing.plot(traffic)
            show_caption(
                "Look at how close modules are here that lie far apart in the other picture. Every gate reads the map "
                "to pool it, reads it again to scale it, and writes it. On a GPU these three passes decide the extra "
                "time; multiply-accumulates hardly matter."
            )
        else:
            st.info(say("Choose a network with attention."))
    if box := linked.opened(say("Whole networks"), "whole", "bar_chart"):
        with box:
            for quantity in ("parameters", "work"):
                drawing.plot(cost_charts.bars(report, convention, quantity))
            show_caption("Where no orange end is visible, attention is too small a share of the network to see.")


def conditions(report: CostReport, convention: str) -> None:
    """What counts as one, and what was not counted."""
    show_caption("**Convention of traffic and files.** %(convention)s", convention=translated(report.convention))
    missed = sorted({name for bill in report.variants for name in bill.not_counted})
    st.caption(
        say("**Not counted:** %(words)s.", words=listed(missed))
        if missed
        else say("**Not counted:** nothing; every operation has a rule.")
    )


def court(report: CostReport) -> None:
    """What other counters would report for one of the networks, and for one ECA module in four spellings."""
    if box := linked.opened(say("What other counters say"), "counters", "gavel"):
        with box:
            _witnesses(report)


def _witnesses(report: CostReport) -> None:
    show_text(
        "Tools disagree about the same network: they use other units, skip operations, or count by how a line of "
        "code is spelled. Here is what each reports, beside the ledger above."
    )
    called = words.called(report)
    candidates = [bill for bill in report.variants if bill.modules] or list(report.variants)
    name = st.selectbox(say("Network"), [bill.name for bill in candidates], format_func=called.__getitem__, key="court")
    bill = next((bill for bill in candidates if bill.name == name), candidates[0])
    with st.spinner(say("Counting with other tools …")):
        court_report = connect.ask(CourtRequest(variant=bill.variant, input_size=bill.input_size))
    drawing.table(tables.court(court_report), "counters")
    ran = [witness.counter for witness in court_report.witnesses if witness.how == "run"]
    st.caption(
        say("%(words)s was run. Of the others the rules are restated from their sources: ", words=listed(ran))
        + listed(f"[{w.counter}]({w.source.partition(',')[0]})" for w in court_report.witnesses if w.how == "restated")
        + say(".")
    )
    show_text(
        "**One ECA module** (C = %(channels)s, k = %(kernel_size)s, a map of %(side)s × %(side_2)s), "
        "written in four ways that compute the same",
        channels=court_report.channels,
        kernel_size=court_report.kernel_size,
        side=court_report.side,
        side_2=court_report.side,
    )
    drawing.plot(cost_charts.spellings(court_report))
    show_caption(
        "The dashed line is the truth in multiply-accumulates, k · C = %(macs)s. Look for dots of "
        "one row that lie far apart: that counter measures the spelling, not the module.",
        macs=f"{court_report.spellings[0].macs:,}",
    )


def timed(report: CostReport) -> None:
    """A link to the page that measures how long these networks take."""
    names = [bill.name for bill in report.variants if bill.modules] or [bill.name for bill in report.variants]
    size = str(short_size(report.variants[0].input_size))
    parameters: dict[str, str | list[str]] = {"variant": names[:TIMED], "size": size}
    links.to("measured", say("Counts are not time: measure how long these take"), ":material/timer:", parameters)


def downloads(report: CostReport) -> None:
    """The numbers behind the pictures."""
    first = report.variants[0]
    drawing.files(report, f"cost {first.variant.backbone} {first.input_size} px")
