""":material/payments: Price: four prices of a module: parameters, multiply-accumulates, bytes moved, measured time."""

import streamlit as st
from pydantic import ValidationError

from attention.reports.cost import CostReport, CostRequest
from attention.reports.modules import FitRequest
from attention.spec import Placement
from dashboard import connect
from dashboard.drawing import theme, words
from dashboard.language import say, show_caption
from dashboard.views.price import budget
from dashboard.views.price import counted as bills
from dashboard.widgets import forms, linked

DEFAULT_BACKBONE = "resnet50"
FIRST = ("se", "eca")
"""Modules that the page opens with."""


st.title(say("Price"), anchor=False)
show_caption("What a network costs for one image, and what attention adds to its plain twin. Counted, not measured.")
catalog = connect.catalog()

left, second, right = st.columns([3, 2, 8])
names = words.backbones(entry.name for entry in catalog.backbones)
kinds = {entry.name: theme.called(entry.name) for entry in catalog.modules}
picked = linked.choice(left.selectbox, say("Backbone"), names, "backbone", DEFAULT_BACKBONE)
backbone = next(entry for entry in catalog.backbones if entry.name == picked)
label = say("Input size, pixels")
size = linked.size(second.text_input, label, "size", backbone.input_size, state=f"size.{picked}")
attention = linked.choices(right.multiselect, say("Attention"), kinds, "attention", FIRST)


def take_all() -> None:
    st.session_state["attention"] = list(kinds)


right.button(say("All %(count)s modules", count=len(kinds)), on_click=take_all, icon=":material/select_all:")
with st.expander(say("Another place, further networks"), icon=":material/tune:"):
    position = forms.position(st.container(), catalog, backbone, f"place.{picked}")
    more = forms.variants(
        catalog, (), "more", say("More networks"), say("To compare options, places or other backbones.")
    )

try:
    placement = Placement.model_validate(position)
    request = FitRequest(backbone=picked, modules=tuple(attention), placement=placement, input_size=size)
    other = CostRequest(variants=more, input_size=size) if more else None
except ValidationError as error:
    st.info(forms.sentence(error))
    st.stop()
with st.spinner(say("Counting …")):
    fit = connect.ask(request)
    extra = connect.ask(other).variants if other else ()
known = {bill.name for bill in fit.costs.variants}
report: CostReport = fit.costs.model_copy(
    update={"variants": (*fit.costs.variants, *(bill for bill in extra if bill.name not in known))}
)

budget.show(report)
convention = bills.convention(report)
bills.table(report, fit, convention)
bills.pictures(report, convention)
bills.timed(report)
bills.conditions(report, convention)
bills.court(report)
bills.downloads(report)
