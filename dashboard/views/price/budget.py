"""The budget first: how much more of each price a module takes, and which modules stay within it by every count."""

import altair as alt
import pandas as pd
import streamlit as st

from attention.reports.cost import CostReport, VariantCost
from dashboard.drawing import draw as drawing
from dashboard.drawing import theme, words
from dashboard.drawing.marks import AXES, STEP, Chart
from dashboard.drawing.words import human
from dashboard.language import listed, marked, say, show_caption
from dashboard.widgets import linked

KEY, MOST, START = "budget_percent", 100, 20
PRICES = {
    "parameters": marked("parameters"),
    "macs": marked("multiply-accumulates"),
    "bytes": marked("bytes moved"),
}
"""Counted prices by the name of their field."""
SMALL = 0.05
"""Per cent below which the amount itself is written."""


def show(report: CostReport) -> None:
    """A slider, three pictures on one axis, and which modules are within the budget."""
    bills = [bill for bill in report.variants if bill.modules]
    if not bills:
        return
    label = say("My budget: at most this much more of each price, per cent")
    budget = int(linked.number(st.slider, label, 0, MOST, KEY, START))
    called = words.labels([bill.name for bill in bills])
    shares = {bill.name: {price: share(bill, price) for price in PRICES} for bill in bills}
    reach = 1.3 * max(budget, *(value for prices in shares.values() for value in prices.values()))
    for column, (price, name) in zip(st.columns(3), PRICES.items(), strict=True):
        with column:
            st.markdown(f"**{say(name)}**")
            plain = getattr(bills[0].total, price) - getattr(bills[0].delta, price)
            show_caption("plain network: %(amount)s", amount=human(plain))
            text = say("Added %(price)s by module, per cent of the plain network.", price=say(name))
            drawing.plot(bars(bills, called, price, budget, reach), text)
    st.info(sentence([called[name] for name in within(shares, budget)], budget), icon=":material/savings:")


def share(bill: VariantCost, price: str) -> float:
    """What a network adds to a price of its plain twin, per cent."""
    added = float(getattr(bill.delta, price))
    return 100 * added / (float(getattr(bill.total, price)) - added)


def within(shares: dict[str, dict[str, float]], budget: float) -> list[str]:
    """Networks that add no more than the budget to any price."""
    return [name for name, prices in shares.items() if max(prices.values()) <= budget]


def sentence(names: list[str], budget: float) -> str:
    """Who is within the budget."""
    if not names:
        return say("Within %(budget)s %% by every count: none of these.", budget=f"{budget:g}")
    return say("Within %(budget)s %% by every count: **%(names)s**.", budget=f"{budget:g}", names=listed(names))


def bars(bills: list[VariantCost], called: dict[str, str], price: str, budget: float, reach: float) -> Chart:
    """What each network adds to one price; the grey area is the budget, and what exceeds it is pale."""
    rows = []
    for bill in bills:
        added = share(bill, price)
        amount = getattr(bill.delta, price)
        text = f"+{added:.1f} %" if abs(added) >= SMALL else f"+{amount:,}" if amount else "0"
        rows.append({"network": called[bill.name], "share": added, "text": text, "over": added > budget})
    names = [bill.name for bill in bills]
    axis = alt.Axis(title=None, labelExpr="datum.value + ' %'", tickCount=4)
    scale = alt.Scale(domain=[0, reach], nice=False)
    base = alt.Chart(pd.DataFrame(rows)).encode(
        y=alt.Y("network:N", sort=[called[name] for name in names], title=None, axis=theme.named_axis()),
        x=alt.X("share:Q", scale=scale, axis=axis),
    )
    area = alt.Chart(pd.DataFrame([{"low": 0, "high": budget}])).mark_rect(color=theme.band())
    area = area.encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q")
    drawn = base.mark_bar(cornerRadiusEnd=3, height={"band": 0.62}).encode(
        color=alt.Color("network:N", scale=theme.colours(names, called.values()), legend=None),
        opacity=alt.condition("datum.over", alt.value(0.35), alt.value(1)),
        tooltip=[
            alt.Tooltip("network:N", title=say("network")),
            alt.Tooltip("share:Q", format="+.3f", title="%"),
            alt.Tooltip("text:N", title=say("amount")),
        ],
    )
    amounts = base.mark_text(align="left", dx=5, color=theme.ink()).encode(text="text:N")
    return alt.layer(area, drawn, amounts).properties(height=1.4 * STEP * len(rows) + AXES)
