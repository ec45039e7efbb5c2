""":material/difference: Disagree: the images on which networks differ, or change their mind without attention."""

import streamlit as st

from attention.reports.disagreement import DisagreementRequest
from dashboard.language import say, show_text
from dashboard.views.ablate import disagreement_panels as disagree_panels
from dashboard.widgets import job_desk

st.title(say("Disagree"))
show_text(
    "Two networks of the same accuracy may be wrong on different images. Here are the images on which they "
    "differ, and those on which a network changes its answer once its attention is taken away."
)
job_desk.desk(DisagreementRequest, "search", disagree_panels.described, disagree_panels.show, disagree_panels.form)
