"""HTML with links to other pages: real links, whose plain click changes the page without a new session."""

from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import streamlit as st
from streamlit.components import v2 as components

from dashboard.widgets import links

_markup = components.component(
    "linked_markup",
    html='<div class="markup"></div>',
    js=Path(__file__).with_name("markup.js").read_text("utf-8"),
    isolate_styles=False,
)


def draw(html: str, key: str) -> None:
    """Show HTML of ours, in which all that comes from users is escaped; go where a click on a link leads."""
    result = _markup(data={"html": html}, key=key, on_go_change=_nothing)
    address = getattr(result, "go", None)
    if address:
        parts = urlsplit(address)
        page = st.session_state.get(links.PAGES, {}).get(parts.path.strip("/"))
        if page is not None:
            st.switch_page(page, query_params=parse_qs(parts.query))


def href(address: str, **parameters: str | list[str]) -> str:
    """The address of a page with what it is to say, ready to stand in an attribute."""
    query = urlencode(parameters, doseq=True)
    return f"/{address}{'?' if query else ''}{query}".replace("&", "&amp;")


def _nothing() -> None:
    """A click only runs the page anew."""
