""":material/school: Learn: how channel attention works, from the modules of this service themselves."""

import streamlit as st

from dashboard import connect
from dashboard.views.learn import lessons

st.title("Learn")
st.markdown(
    "Channel attention in six lessons. Nothing is drawn by hand: every picture is computed by the modules that this "
    "service runs, or shows published numbers with their source."
)
lessons.gate()
lessons.operator()
lessons.kernel()
lessons.interaction()
lessons.places()
lessons.results()
lessons.starts(connect.catalog())
