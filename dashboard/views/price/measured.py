""":material/timer: Latency: how long a pass takes on this machine, and which networks fit your budget."""

import streamlit as st

from attention.reports.latency import LatencyRequest
from dashboard.language import say, show_text
from dashboard.views.price import measured_form as latency_form
from dashboard.views.price import measured_panels as latency_panels
from dashboard.widgets import job_desk

st.title(say("Latency"))
show_text(
    "How long does a forward pass take on the machine of the service, and which networks fit your budget? Measured "
    "alone and in turns, the baseline twice in every round. Where its own two timings disagree, no number is given."
)
job_desk.desk(
    LatencyRequest,
    "measurement",
    latency_form.described,
    latency_panels.show,
    latency_form.form,
    say("Numbers appear when all rounds are done: before, nobody knows whether they can be trusted."),
)
