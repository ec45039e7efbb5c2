""":material/calculate: Cost: parameters and multiply-accumulates, and how much of them is the attention."""

import streamlit as st
from pydantic import ValidationError

from attention.reports import CostRequest
from attention.spec import Variant
from dashboard import charts, connect, forms, tables
from server.schemas import BackboneEntry

DEFAULT_BACKBONE = "resnet50"


def linked_size(backbone: BackboneEntry) -> int:
    """The input size that the page's address names, or else the backbone's own."""
    size = st.query_params.get("size", "")
    named = st.query_params.get("backbone") == backbone.name and size.isdigit() and 1 <= int(size) <= 2048
    return int(size) if named else backbone.input_size


st.title("Cost")
st.markdown("What a network costs for one image, and what attention adds to its plain twin. Counted, not measured.")
catalog = connect.catalog()


left, middle, right = st.columns([2, 1, 4])
names = [entry.name for entry in catalog.backbones]
if "backbone" not in st.session_state:
    linked = st.query_params.get("backbone", DEFAULT_BACKBONE)
    st.session_state["backbone"] = linked if linked in names else names[0]
picked = left.selectbox("Backbone", names, key="backbone", persist_state="session")
backbone = next(entry for entry in catalog.backbones if entry.name == picked)
size = middle.number_input(
    "Input size, pixels", 1, 2048, linked_size(backbone), key=f"size.{picked}", help="Height and width."
)
kinds = [forms.PLAIN, *(entry.name for entry in catalog.modules)]
trio = [variant.attention or forms.PLAIN for variant in CostRequest.model_fields["variants"].default]
attention = right.multiselect(
    "Attention", kinds, default=[kind for kind in trio if kind in kinds], key="attention", persist_state="session"
)
more = forms.variants(catalog, (), "more", "More networks", "To compare options, places or other backbones.")
st.query_params["backbone"], st.query_params["size"] = picked, str(size)

variants = [Variant(backbone=picked, attention=None if kind == forms.PLAIN else kind) for kind in attention]
try:
    request = CostRequest(variants=tuple(dict.fromkeys([*variants, *more])), input_size=int(size))
except ValidationError as error:
    st.info("Choose at least one network." if not variants and not more else forms.sentence(error))
    st.stop()
with st.spinner("Counting …"):
    report = connect.ask(request)

st.subheader("The bill, for one image")
st.table(tables.costs_text(report))
st.caption(
    "Δ is the network minus its plain twin: the same backbone without attention. Traffic is bytes read and written in "
    "float32 if nothing is fused; on a GPU it says more about speed than MACs do."
)
left, right = st.columns(2, gap="large")
with left:
    st.subheader("What attention adds")
    if (scatter := charts.cost_scatter(report)) is not None:
        st.altair_chart(scatter, width="stretch")
        st.caption("Lower left is cheaper. Both axes are logarithmic: one grid step is a factor, not a sum.")
    else:
        st.info("None of these networks adds both parameters and MACs to its plain twin.")
with right:
    st.subheader("Whole networks")
    st.altair_chart(charts.cost_bars(report, "parameters", "trainable parameters"), width="stretch")
    st.altair_chart(charts.cost_bars(report, "macs", "multiply-accumulates, one image"), width="stretch")
    st.caption("Where no orange end is visible, attention is too small a share of the network to see.")

st.caption(f"**Convention.** {report.convention}")
missed = sorted({name for bill in report.variants for name in bill.not_counted})
st.caption(
    f"**Not counted:** {', '.join(missed)}." if missed else "**Not counted:** nothing; every operation has a rule."
)
with st.container(horizontal=True):
    icon = ":material/download:"
    st.download_button("Numbers (CSV)", tables.costs_csv(report), "cost.csv", on_click="ignore", icon=icon)
    st.download_button(
        "Whole report (JSON)", report.model_dump_json(indent=1), "cost.json", on_click="ignore", icon=icon
    )
