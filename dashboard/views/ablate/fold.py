"""Folding attention away: the form, and what became of the network."""

from collections.abc import Callable

import altair as alt
import pandas as pd
import streamlit as st

from attention.reports.fold import FoldReport, FoldRequest
from attention.spec import Pictures
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing.marks import AXES, PALETTE, STEP, Chart
from dashboard.widgets import data_sets, gates

STATES = {"trained": "as trained", "mean": "mean gates", "folded": "folded: plain"}


def form() -> Callable[[], FoldRequest] | None:
    """Which network on which data."""
    st.markdown(
        "Where a channel gate ends a block's branch, its mean over calibration images can be worked into the "
        "normalisation before it. What is left is the plain backbone at the plain price, and the report says what "
        "that costs in accuracy."
    )
    variant = gates.network(connect.catalog())
    data = data_sets.data_set()
    if variant is None or data is None:
        return None
    limit = gates.images(data)
    return lambda: FoldRequest(variant=variant, images=Pictures(data=data.name, limit=limit))


def described(request: FoldRequest) -> str:
    """A fold in a line."""
    return f"**{request.variant.name.partition('?')[0]}** on {request.images.data or 'photos'}"


def show(report: FoldReport, final: bool) -> None:
    """The finding, the three states, the gates, and the network to take away."""
    st.subheader(report.headline, anchor=False)
    for caveat in report.caveats:
        st.warning(caveat, icon=":material/warning:")
    st.table(states(report), hide_index=True)
    st.caption(
        f"{report.network.name} on {report.images}, n = {report.n:,}; means over {report.calibration}. Mean gates and "
        f"folded differ by at most {report.error:.1e} of the largest logit, which is rounding. {report.methods}"
    )
    _timing(report)
    st.markdown("**What each gate gave up**")
    drawing.draw(spreads(report), "what-gates-gave-up")
    st.caption(
        "Kept: how much the mean gates of a layer's channels differ. Left out: how much a channel's gate varies with "
        "the image. Where the second is small beside the first, the gate was nearly a constant."
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
                "network": STATES[arm.kind],
                "top-1, %": "no labels" if arm.accuracy is None else f"{arm.accuracy:.2f}",
                "change, points": ""
                if change is None
                else f"{change.estimate:+.2f} [{change.low:+.2f}, {change.high:+.2f}]",
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
        st.info(timing.withheld or "No time is given.", icon=":material/timer_off:")
        return
    ratio = timing.ratio
    st.markdown(
        f"**Time**: {timing.before_ms:.2f} → {timing.after_ms:.2f} ms of {timing.clock} a pass of {timing.batch}, "
        f"ratio {ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}], n = {ratio.n}; the trained network against "
        f"itself {timing.control.estimate:.3f} [{timing.control.low:.3f}, {timing.control.high:.3f}]."
    )


def spreads(report: FoldReport) -> Chart:
    """For each gate, what the fold keeps of it and what it leaves out."""
    rows = [
        {"layer": f"{gate.stage}.{gate.block}", "gate": gate.gate, "part": part, "spread": value}
        for gate in report.gates
        for part, value in (
            ("kept: over channels", gate.over_channels),
            ("left out: over images", gate.over_images),
        )
        if value is not None
    ]
    order = [f"{gate.stage}.{gate.block}" for gate in report.gates]
    parts = ["kept: over channels", "left out: over images"]
    chart: alt.Chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=alt.Y("layer:N", sort=order, title="layer (stage.block)"),
            yOffset=alt.YOffset("part:N", sort=parts),
            x=alt.X("spread:Q", title="standard deviation of the gate (no unit)"),
            color=alt.Color(
                "part:N",
                scale=alt.Scale(domain=parts, range=[PALETTE[2], PALETTE[1]]),
                legend=alt.Legend(orient="top", title=None),
            ),
            tooltip=["gate:N", "part:N", alt.Tooltip("spread:Q", format=".4f")],
        )
        .properties(height=STEP * len(order) * 1.2 + AXES)
    )
    return chart


def _downloads(report: FoldReport) -> None:
    if report.kept is not None:
        kept = report.kept
        st.success(
            f"The folded network is kept: `{kept.name}` can be asked about like any other.",
            icon=":material/inventory_2:",
        )
    with st.container(horizontal=True):
        if report.kept is not None:
            st.download_button(
                f"Plain network ({report.kept.bytes / 1e6:.1f} MB, safetensors)",
                lambda: connect.client().checkpoint(report.kept.checkpoint) if report.kept else b"",
                f"{report.kept.checkpoint}.safetensors",
                on_click="ignore",
                icon=":material/download:",
            )
        for label, data, file in (
            ("Report (JSON)", report.model_dump_json(indent=1), "fold.json"),
            ("Table (CSV)", report.csv(), "fold.csv"),
        ):
            st.download_button(label, data, file, on_click="ignore", icon=":material/download:", key=file)
