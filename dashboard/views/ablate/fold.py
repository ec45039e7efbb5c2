"""Folding attention away: the form, and what became of the network."""

from collections.abc import Callable

import altair as alt
import pandas as pd
import streamlit as st

from attention.reports.fold import FoldReport, FoldRequest
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import theme, words
from dashboard.drawing.marks import AXES, PALETTE, STEP, Chart
from dashboard.language import marked, say, show_caption, show_text
from dashboard.service_sentences import translated
from dashboard.widgets import exports, gates

STATES = {"trained": marked("as trained"), "mean": marked("mean gates"), "folded": marked("folded: plain")}


def form() -> Callable[[], FoldRequest] | None:
    """Which network on which data."""
    show_text(
        "Where a channel gate ends a block's branch, its mean over calibration images can be worked into the "
        "normalisation before it. What is left is the plain backbone at the plain price, and the report says what "
        "that costs in accuracy."
    )
    chosen = gates.network_and_images()
    return chosen and (lambda: FoldRequest(variant=chosen[0], images=chosen[1]))


def show(report: FoldReport, final: bool) -> None:
    """The finding, the three states, the gates, and the network to take away."""
    st.subheader(translated(report.headline), anchor=False)
    drawing.caveats(report.caveats)
    drawing.table(states(report), "folded", index=False)
    show_caption(
        "%(name)s on %(images)s, n = %(n)s; means over %(calibration)s. Mean gates and folded differ "
        "by at most %(error)s of the largest logit, which is rounding. %(methods)s",
        name=words.network_label(report.network.name),
        images=translated(report.images),
        n=f"{report.n:,}",
        calibration=translated(report.calibration),
        error=f"{report.error:.1e}",
        methods=translated(report.methods),
    )
    _timing(report)
    show_text("**What each gate gave up**")
    drawing.draw(spreads(report), "what-gates-gave-up")
    show_caption(
        "Kept: how much the mean gates of a layer's channels differ. Left out: how much a channel's gate varies "
        "with the image. Where the second is small beside the first, the gate was nearly a constant."
    )
    if final:
        _downloads(report)


def states(report: FoldReport) -> pd.DataFrame:
    """The network as trained, with mean gates, and folded, ready for a table."""
    rows = []
    for arm in report.arms:
        change = arm.change
        rows.append(
            {
                "network": say(STATES[arm.kind]),
                "top-1, %": say("no labels") if arm.accuracy is None else f"{arm.accuracy:.2f}",
                "change, points": "" if change is None else change.text(),
                "same first class": f"{arm.agreement:.1%}",
                "parameters": f"{arm.parameters:,}",
                "MACs": f"{arm.macs:,}",
                "elementwise": f"{arm.elementwise:,}",
                "pooled": f"{arm.pooling:,}",
            }
        )
    return pd.DataFrame(rows)


def _timing(report: FoldReport) -> None:
    timing = report.timing
    if timing is None:
        return
    if timing.ratio is None or timing.withheld:
        st.info(timing.withheld or say("No time is given."), icon=":material/timer_off:")
        return
    ratio = timing.ratio
    show_text(
        "**Time**: %(before_ms)s → %(after_ms)s ms of %(clock)s a pass of %(batch)s, ratio "
        "%(estimate)s [%(low)s, %(high)s], n = %(n)s; the trained network against itself "
        "%(estimate_2)s [%(low_2)s, %(high_2)s].",
        before_ms=f"{timing.before_ms:.2f}",
        after_ms=f"{timing.after_ms:.2f}",
        clock=translated(timing.clock),
        batch=timing.batch,
        estimate=f"{ratio.estimate:.3f}",
        low=f"{ratio.low:.3f}",
        high=f"{ratio.high:.3f}",
        n=ratio.n,
        estimate_2=f"{timing.control.estimate:.3f}",
        low_2=f"{timing.control.low:.3f}",
        high_2=f"{timing.control.high:.3f}",
    )


def spreads(report: FoldReport) -> Chart:
    """For each gate, what the fold keeps of it and what it leaves out."""
    rows = [
        {"layer": f"{gate.stage}.{gate.block}", "gate": gate.gate, "part": part, "spread": value}
        for gate in report.gates
        for part, value in (
            (say("kept: over channels"), gate.over_channels),
            (say("left out: over images"), gate.over_images),
        )
        if value is not None
    ]
    order = [f"{gate.stage}.{gate.block}" for gate in report.gates]
    parts = [say("kept: over channels"), say("left out: over images")]
    chart: alt.Chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=alt.Y("layer:N", sort=order, title=say("layer (stage.block)"), axis=theme.named_axis()),
            yOffset=alt.YOffset("part:N", sort=parts),
            x=alt.X("spread:Q", title=say("standard deviation of the gate (no unit)")),
            color=alt.Color(
                "part:N",
                scale=alt.Scale(domain=parts, range=[PALETTE[2], PALETTE[1]]),
                legend=alt.Legend(orient="top", title=None),
            ),
            tooltip=[
                alt.Tooltip("gate:N", title=say("gate")),
                alt.Tooltip("part:N", title=say("part")),
                alt.Tooltip("spread:Q", title=say("spread"), format=".4f"),
            ],
        )
        .properties(height=STEP * len(order) * 1.2 + AXES)
    )
    return chart


def _downloads(report: FoldReport) -> None:
    if report.kept is not None:
        folded_network = report.kept
        st.success(
            say("The folded network is kept: `%(name)s` can be asked about like any other.", name=folded_network.name),
            icon=":material/inventory_2:",
        )
    with st.container(horizontal=True):
        if report.kept is not None:
            st.download_button(
                say("Plain network (%(bytes)s MB, safetensors)", bytes=f"{report.kept.bytes / 1000000.0:.1f}"),
                lambda: connect.client().checkpoint(report.kept.checkpoint) if report.kept else b"",
                f"{report.kept.checkpoint}.safetensors",
                on_click="ignore",
                icon=":material/download:",
            )
    drawing.files(report, f"fold {words.network_label(report.network.name)}")
    if report.kept is None and not report.caveats:
        show_caption("The folded network does not come along with this report: ask it here, and the job keeps it.")
    if report.kept is not None:
        exports.offer([report.kept.variant])
