"""The dashboard: ``streamlit run dashboard/app.py``.

Every file in views/ is a page. The first line of its docstring is its icon, its title and what it shows, so a new page
is one new file. (In a folder called pages/ Streamlit would run them past this file.) ::

    \"\"\":material/compare: Compare: what networks see in a photo, and what their attention does.\"\"\"
"""

import ast
from pathlib import Path

import streamlit as st

from attention.client import ServiceError, Unreachable
from dashboard import connect

FIRST = "compare"


def pages(folder: Path) -> list[st.Page]:
    """The pages in a folder, the first one first and the others by name."""
    files = [file for file in folder.glob("*.py") if not file.name.startswith("_")]
    found = []
    for file in sorted(files, key=lambda file: (file.stem != FIRST, file.stem)):
        icon, _, line = (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or file.stem).partition(" ")
        title, _, about = line.splitlines()[0].partition(": ")
        found.append(st.Page(file, title=title, icon=icon, help=about, default=file.stem == FIRST))
    return found


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
