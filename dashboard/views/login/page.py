""":material/key: Log in: ask with an API key of your own, for as long as this session lasts."""

import streamlit as st

from dashboard.language import say
from dashboard.widgets import login


def main() -> None:
    st.title(say("Log in"), anchor=False)
    login.form()


main()
