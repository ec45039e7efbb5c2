"""What the Gates page asks: which network, which replacement, which gates, which images."""

from collections.abc import Sequence

import streamlit as st

from attention.errors import AttentionError
from attention.reports.sweep import Site
from attention.schemas import Catalog, DataSet
from attention.spec import ABLATIONS, Variant
from dashboard.views.ablate import charts as gate_charts
from dashboard.widgets import forms

DEFAULT = "eca"
QUICK = ("mean", "scalar", "other_image", "shuffle")
"""Replacements that are shown before anybody chooses; the others are about scale, and must be asked for."""
MOST = 10_000
"""Images of a data set at most."""
PAIRED = "An interval of ±1 point takes about a thousand."


def network(catalog: Catalog, key: str = "network") -> Variant | None:
    """One network with attention: a shipped one, or any by its short name. It stands in the page's address."""
    shipped = [entry.name for entry in catalog.shipped if entry.card.variant.attention]
    linked = st.query_params.get(key, "")
    first = linked or next((name for name in shipped if f"/{DEFAULT}?" in name), shipped[0] if shipped else DEFAULT)
    if key not in st.session_state:
        st.session_state[key] = first
    offered = list(dict.fromkeys([*shipped, st.session_state[key] or first]))
    name = st.selectbox(
        "Network",
        offered,
        key=key,
        accept_new_options=True,
        format_func=lambda name: f"{name.partition('?')[0]} · trained" if "weights=shipped" in name else name,
        help=forms.NAMES,
        persist_state="session",
    )
    try:
        found = Variant.parse(name) if name else None
    except (AttentionError, ValueError) as error:
        st.error(str(error))
        return None
    if found is not None and found.attention is None:
        st.error(f"{found.name} has no attention, so there is nothing to replace. Choose one with a module.")
        return None
    if found is not None:
        st.query_params[key] = found.name
    return found


def kinds(key: str = "kinds") -> tuple[str, ...]:
    """Which replacements are tried, in the order of the list."""
    linked = [name for name in st.query_params.get_all(key) if name in ABLATIONS]
    picked = st.pills(
        "Gates replaced by",
        list(ABLATIONS),
        selection_mode="multi",
        default=linked or list(QUICK),
        format_func=gate_charts.kind,
        key=key,
    )
    chosen = [name for name in ABLATIONS if name in (picked or QUICK)]
    st.query_params[key] = chosen
    return tuple(chosen)


def switches(sites: Sequence[Site], tried: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Gates that are switched off, by path, and what replaces them."""
    labels = gate_charts.labelled(sites)
    linked = [path for path in st.query_params.get_all("off") if path in labels]
    left, right = st.columns([5, 1], gap="medium")
    off = left.pills(
        "What if these gates were off? (stage.block)",
        list(labels),
        selection_mode="multi",
        default=linked or [sites[-1].path],
        format_func=labels.__getitem__,
        key=f"off.{len(sites)}",
    )
    by = right.selectbox("Replaced by", tried, format_func=gate_charts.kind, key="by")
    st.query_params["off"] = list(off)
    return tuple(off), str(by)


def images(data: DataSet, start: int = 1000, why: str = PAIRED) -> int:
    """How many images of a data set are looked at. It stands in the page's address."""
    most = min(data.images or MOST, MOST)
    least, linked = min(10, most), st.query_params.get("limit", "")
    asked = int(linked) if linked.isdecimal() else start
    chosen = int(
        st.number_input(
            "Images",
            least,
            most,
            min(max(asked, least), most),
            step=10 if start < 1000 else 100,
            key="limit",
            help=f"Drawn evenly from the classes of the test split. {why}",
        )
    )
    st.query_params["limit"] = str(chosen)
    return chosen
