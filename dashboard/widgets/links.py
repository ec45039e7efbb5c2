"""Links from page to page that carry the state along, without a new session."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import streamlit as st

PAGES = "links.pages"
"""In the session: every page by its address, as the frame registered it."""

Parameters = Mapping[str, str | Sequence[str]]


def register(pages: Mapping[str, st.Page]) -> None:
    """Let links know the pages of the dashboard."""
    st.session_state[PAGES] = dict(pages)


def to(address: str, label: str, icon: str | None = None, parameters: Parameters | None = None) -> None:
    """Draw a link to a page, with what its address is to say; a page that runs by itself has plain links."""
    page, fields = st.session_state.get(PAGES, {}).get(address), dict(parameters or {})
    if page is None:
        query = urlencode(fields, doseq=True)
        st.markdown(f"[{label}](/{address}{'?' if query else ''}{query})")
    else:
        st.page_link(page, label=label, icon=icon, query_params=fields)
