""":material/school: Learn: how channel attention works, from the modules of this service themselves."""

import streamlit as st

from dashboard import connect
from dashboard.language import say, show_caption
from dashboard.views.learn import lesson0, lessons

st.title(say("Learn"), anchor=False)
show_caption(
    "Channel attention in seven lessons. Nothing is drawn by hand: every picture is computed by the modules that "
    "this service runs, or shows published numbers with their source."
)
lesson0.show()
lessons.gate()
lessons.operator()
lessons.kernel()
lessons.interaction()
lessons.places()
lessons.results()
lessons.starts(connect.catalog())
