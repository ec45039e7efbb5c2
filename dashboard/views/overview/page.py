""":material/table_chart: Overview: does attention pay? What each module gains, what it costs, what it looks at."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from attention.reports.overview import SHIPPED, OverviewReport, OverviewRequest, OverviewRow
from attention.reports.study import StudyReport
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import theme
from dashboard.drawing.marks import Chart, named, place_names
from dashboard.language import marked, say, show_caption
from dashboard.service_sentences import translated
from dashboard.views.overview import table
from dashboard.widgets import jobs, linked, links, markup, networks
from dashboard.widgets.markup import href

EVIDENCE = "evidence"
GROUPS = ("timm_resnet33ts", "eca_resnet50", "timm_a1")
"""Published results that the page offers, those of one recipe and many modules first."""
TIME = "time"
PRICES = {
    "added_parameters": marked("parameters added"),
    "added_macs": marked("multiply-accumulates added"),
    "added_bytes": marked("bytes moved, added"),
    TIME: marked("time, by the plain network's"),
}


def main() -> None:
    st.title(say("Does attention pay?"), anchor=False)
    show_caption("What each attention module gains on the same network, what it costs, and what it looks at.")
    bodies = connect.ask(OverviewRequest()).bodies
    options = evidence(bodies)
    chosen = linked.choice(st.segmented_control, say("Evidence"), options, EVIDENCE, next(iter(options)), wrap=False)
    report = connect.ask(request(chosen, bodies))
    st.info(table.sentence(report), icon=":material/gavel:")
    catalog = connect.catalog()
    gates = {entry.name: entry.gates for entry in catalog.modules}
    study = "" if chosen in GROUPS else href("study", **({"report": chosen} if chosen in bodies else {"job": chosen}))
    markup.draw(table.html(report, gates, study), key="answer-table")
    st.caption(conditions(report))
    drawing.files(report, f"overview {report.evidence}")
    left, right = st.columns([2, 1], gap="large")
    with left:
        _price(report)
    with right:
        counts = {"modules": len(catalog.modules), "backbones": len(catalog.backbones)}
        _way("look", say("Look at a photo"), say("See what the networks answer and which channels they open."))
        about = say("Any of %(modules)s modules on any of %(backbones)s backbones.", **counts)
        _way("price", say("Price your network"), about)
        _way("study", say("Settle it on your data"), say("Upload folders of photos; the same seeds for all decide."))


def evidence(bodies: Mapping[str, str]) -> dict[str, str]:
    """Bodies of evidence: studies that come along, published results, and each finished study of this service."""
    keys = (*(key for key in bodies if key.startswith(SHIPPED)), *GROUPS)
    offered = {key: translated(bodies[key]) for key in keys if key in bodies}
    for job in networks.finished():
        offered[job.id] = f"{job.request.get('data', '')} · {jobs.made(job, '%m-%d %H:%M')}"
    return offered


def request(chosen: str, bodies: Mapping[str, str]) -> OverviewRequest:
    """The question for a body of evidence."""
    if chosen in bodies:
        return OverviewRequest(evidence=chosen)
    return OverviewRequest(study=connect.report(chosen, StudyReport))


def conditions(report: OverviewReport) -> str:
    """Data, recipe, runs and device, and what the marks are."""
    parts = [translated(report.conditions.rstrip(".") + ".")]
    if any(row.interval for row in report.rows):
        parts.insert(0, say("Bars: interval of the paired difference over seeds; the grey band is the margin."))
    if (time := next((row.time for row in report.rows if row.time), None)) is not None:
        parts.append(
            say(
                "Time: ratio to the plain network, measured on %(device)s, %(date)s (images a pass: %(batch)s, CPU "
                "threads: %(threads)s); in the plain network's own row, its second timing by its first.",
                **time.model_dump(include={"batch", "threads", "device", "date"}),
            )
        )
    if report.warning:
        parts.append(translated(report.warning))
    return " ".join(parts)


def _price(report: OverviewReport) -> None:
    st.subheader(say("Gain against price"), anchor=False)
    labels = {name: say(text) for name, text in PRICES.items()}
    price = linked.choice(
        st.segmented_control, say("Price"), labels, "price", "added_parameters", label_visibility="collapsed"
    )
    chart = scatter(report, price, labels[price])
    if chart is None:
        show_caption("No module of this evidence has both a gain and such a price.")
    else:
        drawing.draw(
            chart,
            f"gain-against-{price.removeprefix('added_')}",
            alt=say("Gain against %(price)s.", price=labels[price]),
        )


def scatter(report: OverviewReport, price: str, title: str) -> Chart | None:
    """Gain against a price on a log axis, a mark a module with its interval and its name in ink."""
    priced = [(row, _amount(row, price)) for row in report.rows if row.state != "baseline" and row.gain is not None]
    priced = [(row, amount) for row, amount in priced if amount > 0]
    if not priced:
        return None
    rows: list[dict[str, Any]] = [
        {
            "module": row.module,
            "name": table.called(row, report),
            "price": amount,
            "gain": row.gain,
            "low": row.interval.low if row.interval else row.gain,
            "high": row.interval.high if row.interval else row.gain,
        }
        for row, amount in priced
    ]
    amounts = [amount for _, amount in priced]
    modules: Sequence[str] = list(dict.fromkeys(row.module for row, _ in priced))
    ends = [min([1.0, *amounts]), 1.2 * max(amounts)] if price == TIME else [min(amounts) / 3, max(amounts) * 6]
    place_names(rows, [math.log(amount / ends[0]) / math.log(ends[1] / ends[0]) for amount in amounts])
    scale = alt.Scale(type="log", domain=ends, nice=False)
    axis = alt.Axis(format=".2~f" if price == TIME else "~s", tickCount=5)
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("price:Q", title=f"{title} ({say('log scale')})", scale=scale, axis=axis),
        color=alt.Color("module:N", scale=theme.colours(modules), legend=None),
        tooltip=[
            alt.Tooltip("name:N", title=say("name")),
            alt.Tooltip("gain:Q", title=say("gain"), format="+.2f"),
            alt.Tooltip("price:Q", title=say("price"), format=",.4~g"),
        ],
    )
    y = alt.Y("gain:Q", title=say("gain, points"))
    bars = base.mark_rule(strokeWidth=3, opacity=0.55).encode(y=alt.Y("low:Q", title=say("gain, points")), y2="high:Q")
    marks = base.mark_point(size=140, filled=True, opacity=1).encode(
        y=y, shape=alt.Shape("module:N", scale=theme.shapes(modules), legend=None)
    )
    zero = alt.Chart(pd.DataFrame([{"gain": 0.0}])).mark_rule(strokeDash=[3, 3], color=theme.ink()).encode(y=y)
    return alt.layer(zero, bars, marks, *named(base)).properties(height=280)


def _amount(row: OverviewRow, price: str) -> float:
    """What a row costs in one of `PRICES`; 0 where that is not known."""
    if price == TIME:
        return row.time.ratio.estimate if row.time else 0.0
    return float(getattr(row, price) or 0)


def _way(address: str, label: str, about: str) -> None:
    with st.container(border=True):
        links.to(address, label, ":material/arrow_forward:")
        st.caption(about)


main()
