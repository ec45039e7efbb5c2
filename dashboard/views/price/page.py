""":material/calculate: Cost: what attention adds to a network, in the unit you choose, and what other counters say."""

import streamlit as st
from pydantic import ValidationError

from attention.reports.cost import CostReport, CostRequest
from attention.reports.modules import FitRequest
from attention.schemas import BackboneEntry
from attention.spec import Placement
from dashboard import connect
from dashboard.views.price import counted as bills
from dashboard.widgets import forms

DEFAULT_BACKBONE = "resnet50"
FIRST = ("se", "eca")
"""Modules that the page opens with."""


def linked_size(backbone: BackboneEntry) -> int:
    """The input size that the page's address names, or else the backbone's own."""
    size = st.query_params.get("size", "")
    named = st.query_params.get("backbone") == backbone.name and size.isdigit() and 1 <= int(size) <= 2048
    return int(size) if named else backbone.input_size


st.title("Cost")
st.markdown("What a network costs for one image, and what attention adds to its plain twin. Counted, not measured.")
catalog = connect.catalog()

left, second, third, right = st.columns([3, 2, 3, 8])
names, kinds = [entry.name for entry in catalog.backbones], [entry.name for entry in catalog.modules]
if "backbone" not in st.session_state:
    linked = st.query_params.get("backbone", DEFAULT_BACKBONE)
    st.session_state["backbone"] = linked if linked in names else names[0]
if "attention" not in st.session_state:
    st.session_state["attention"] = [name for name in FIRST if name in kinds]
picked = left.selectbox("Backbone", names, key="backbone", persist_state="session")
backbone = next(entry for entry in catalog.backbones if entry.name == picked)
size = second.number_input(
    "Input size, pixels", 1, 2048, linked_size(backbone), key=f"size.{picked}", help="Height and width."
)
position = forms.position(third, catalog, backbone, f"place.{picked}")
attention = right.multiselect("Attention", kinds, key="attention", persist_state="session")


def take_all() -> None:
    st.session_state["attention"] = kinds


right.button(f"All {len(kinds)} modules", on_click=take_all, icon=":material/select_all:")
more = forms.variants(catalog, (), "more", "More networks", "To compare options, places or other backbones.")
st.query_params["backbone"], st.query_params["size"] = picked, str(size)

try:
    placement = Placement.model_validate(position)
    request = FitRequest(backbone=picked, modules=tuple(attention), placement=placement, input_size=int(size))
    other = CostRequest(variants=more, input_size=int(size)) if more else None
except ValidationError as error:
    st.info(forms.sentence(error))
    st.stop()
with st.spinner("Counting …"):
    fit = connect.ask(request)
    extra = connect.ask(other).variants if other else ()
known = {bill.name for bill in fit.costs.variants}
report: CostReport = fit.costs.model_copy(
    update={"variants": (*fit.costs.variants, *(bill for bill in extra if bill.name not in known))}
)

convention = bills.convention(report)
bills.table(report, fit, convention)
bills.pictures(report, convention)
bills.timed(report)
bills.conditions(report, convention)
bills.court(report)
bills.downloads(report)
