"""The dashboard: ``streamlit run dashboard/app.py``. The frame of all pages, and in it the page of the address."""

import streamlit as st

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


main()
