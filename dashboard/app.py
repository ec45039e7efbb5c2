"""The dashboard: ``streamlit run dashboard/app.py``.

Every file below views/ whose docstring begins with an icon is a page: icon, title, and what it shows. So a new page is
one new file. A ``page.py`` has the address of its folder, any other page its own name. ::

    \"\"\":material/compare: Compare: what networks see in a photo, and what their attention does.\"\"\"
"""

import ast
from pathlib import Path

import streamlit as st

from attention.client import ServiceError, Unreachable
from dashboard import connect

FIRST = "look"


def pages(folder: Path) -> list[st.Page]:
    """The pages below a folder, the first one first and the others by address."""
    found = {}
    for file in folder.glob("*/*.py"):
        line = (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n")[0]
        icon, _, line = line.partition(" ")
        if icon.startswith(":material/"):
            title, _, about = line.partition(": ")
            address = file.parent.name if file.stem == "page" else file.stem
            found[address] = st.Page(
                file, title=title, icon=icon, help=about, url_path=address, default=address == FIRST
            )
    return [found[address] for address in sorted(found, key=lambda address: (address != FIRST, address))]


def main() -> None:
    st.set_page_config(page_title="Channel attention", page_icon="🔬", layout="wide")
    st.html("<style>.stMainBlockContainer { padding-top: 3rem; }</style>")
    page = st.navigation(pages(Path(__file__).parent / "views"))
    try:
        health = connect.client().health()
        st.sidebar.caption(f":green[●] API {health.version} on {health.device}")
        page.run()
    except Unreachable as error:
        st.sidebar.caption(":red[●] API not reachable")
        st.error(str(error), icon=":material/cloud_off:")
        st.button("Try again", icon=":material/refresh:")
    except ServiceError as error:
        st.error(str(error), icon=":material/error:")


main()
