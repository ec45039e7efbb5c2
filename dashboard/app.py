"""The dashboard: ``streamlit run dashboard/app.py``. The frame of all pages, and in it the page of the address."""

import gc

import streamlit as st
from altair.utils import schemapi

from attention.client import ServiceError, Unreachable
from dashboard import connect, frame
from dashboard.language import say
from dashboard.refusals import explained
from dashboard.widgets import login


def main() -> None:
    page = frame.draw()
    try:
        connect.client().health()
        page.run()
        _spare_collector(page.url_path)
    except Unreachable as error:
        st.error(explained(error), icon=":material/cloud_off:")
        st.button(say("Try again"), icon=":material/refresh:")
    except ServiceError as error:
        if error.status == 401:
            if connect.logged_in():  # the key was revoked
                connect.log_out()
                st.error(explained(error), icon=":material/error:")
            login.form()
            return
        st.error(explained(error), icon=":material/error:")


@st.cache_resource(show_spinner=False)
def _spare_collector(page: str) -> None:
    """Let Python's garbage collector look no more at what a page has loaded, which stays as long as the process.

    Streamlit starts it after each run of a page and of a part of it: half a million objects are 0.2 seconds each time.
    """
    gc.freeze()


schemapi.disable_debug_mode()  # parts of charts are not checked as they are made; the tests check whole charts
main()
