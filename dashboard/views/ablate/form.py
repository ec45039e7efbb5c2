"""What Ablate asks: which network, which replacement, which gates, which images."""

from collections.abc import Sequence

import streamlit as st

from attention.reports.sweep import LabelledSite
from attention.spec import ABLATIONS
from dashboard.language import say
from dashboard.views.ablate import charts as gate_charts
from dashboard.widgets import linked

QUICK = ("mean", "scalar", "other_image", "shuffle")
"""Replacements that are shown before anybody chooses; the others are about scale, and must be asked for."""


def kinds(key: str = "kinds") -> tuple[str, ...]:
    """Which replacements are tried, in the order of the list."""
    offered = {name: gate_charts.kind(name) for name in ABLATIONS}
    chosen = linked.choices(st.pills, say("Gates replaced by"), offered, key, QUICK) or QUICK
    return tuple(name for name in ABLATIONS if name in chosen)


def switches(sites: Sequence[LabelledSite], tried: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Gates that are switched off, by path, and what replaces them."""
    labels = gate_charts.labelled(sites)
    left, right = st.columns([5, 1], gap="medium")
    off = linked.choices(
        left.pills,
        say("What if these gates were off? (stage.block)"),
        labels,
        "off",
        (sites[-1].path,),
        state=f"off.{len(sites)}",
    )
    offered = {name: gate_charts.kind(name) for name in tried}
    return off, linked.choice(right.selectbox, say("Replaced by"), offered, "by", tried[0])
