"""The log-in: a visitor's API key, which the session keeps and nothing else."""

import streamlit as st

from attention.client import ServiceError
from dashboard import connect
from dashboard.language import say, show_text
from dashboard.refusals import explained

TYPED, REFUSED = "login.typed", "login.refused"


def form() -> None:
    """Ask for an API key, or show that one is in use."""
    if connect.logged_in():
        st.success(say("You are logged in. What you keep belongs to your key."), icon=":material/key:")
        st.button(say("Log out"), key="login.out", icon=":material/logout:", on_click=connect.log_out)
        return
    if not connect.asks_for_key():
        st.info(say("This service asks for no key: what is stored here is everybody's."), icon=":material/key_off:")
        return
    show_text(
        "This service asks for an API key. Photos, data sets, checkpoints, jobs and reports belong to the key that "
        "made them. Your key stays in this session: it is neither stored nor put into addresses, and is gone when "
        "this page is loaded anew."
    )
    with st.form("login", border=False):
        st.text_input(say("API key"), type="password", key=TYPED, autocomplete="off", placeholder="att_…")
        st.form_submit_button(say("Log in"), type="primary", on_click=_log_in)
    if refusal := st.session_state.pop(REFUSED, None):
        st.error(refusal, icon=":material/error:")


def _log_in() -> None:
    try:
        connect.log_in(st.session_state[TYPED].strip())
    except ServiceError as error:
        st.session_state[REFUSED] = explained(error)
