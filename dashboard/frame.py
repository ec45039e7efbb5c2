"""The frame of all pages: name and six pages in the top bar, and at its right running jobs, language, and a menu.

Every file below views/ whose docstring begins with an icon is a page: icon, title, and what it shows. So a new page is
one new file. A ``page.py`` has the address of its folder, any other page its own name. The six of `ORDER` stand in the
bar; others are reached by links. ::

    \"\"\":material/visibility: Look: one photo, the same backbone, different attention.\"\"\"
"""

import ast
from functools import cache
from pathlib import Path

import streamlit as st
from streamlit.components import v2 as components

from attention.client import ServiceError
from attention.reports.fetch import FetchRequest
from attention.schemas import Job
from dashboard import connect, language
from dashboard.drawing import theme
from dashboard.language import marked, say
from dashboard.widgets import jobs, linked, links, networks, weights

ORDER = ("overview", "look", "ablate", "price", "study", "learn")
"""Addresses of the pages in the bar, as a visit goes; the first that exists is the home page."""
VIEWS = Path(__file__).parent / "views"
LOGO = Path(__file__).with_name("logo.svg")
ICON = Path(__file__).with_name("icon.svg")
STYLE = Path(__file__).with_name("frame.css")
SILENT, LOOKED_AT = "frame.silent", "frame.looked_at"
NAME = marked("Attention lab")

_html = components.component("frame_html", js="export default ({ data }) => { document.documentElement.lang = data }")


def pages(folder: Path = VIEWS) -> dict[str, st.Page]:
    """The pages below a folder by address: those of the bar in its order, then hidden ones."""
    described: dict[str, tuple[Path, str, str, str]] = {}
    for file in folder.glob("*/*.py"):
        icon, _, words = _first_line(file, file.stat().st_mtime_ns).partition(" ")
        if icon.startswith(":material/"):
            title, _, about = words.partition(": ")
            described[file.parent.name if file.stem == "page" else file.stem] = (file, icon, title, about)
    shown = [address for address in ORDER if address in described]
    return {
        address: st.Page(
            described[address][0],
            title=say(described[address][2]),
            help=say(described[address][3]),
            url_path=address,
            default=address == shown[0],
            visibility="visible" if address in ORDER else "hidden",
        )
        for address in (*shown, *sorted(set(described) - set(shown)))
    }


@cache
def _first_line(file: Path, changed: int) -> str:
    """The first line of a file's docstring, which every run of every page asks for; ``changed`` is in ns since 1970."""
    return (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n")[0]


def draw() -> st.Page:
    """Draw the frame; gives the page to run inside it."""
    st.html(f"<style>:root {{ --lab-on-primary: {theme.paper()} }} {STYLE.read_text('utf-8')}</style>")
    with st.container(key="frame", horizontal=True, vertical_alignment="center", wrap=False):
        chip, switch, menu = (
            st.container(key=key, width="content") for key in ("frame-jobs", "frame-language", "frame-menu")
        )
    with switch:
        _language()
    with st.container(key="frame-html"):
        _html(data=language.LOCALES[language.current()], key="frame-html-lang")
    all_pages = pages()
    page = st.navigation(list(all_pages.values()), position="top")
    name = say(NAME)
    st.set_page_config(page_title=f"{page.title} · {name}", page_icon=str(ICON), layout="wide")
    st.logo(_logo(), size="large")
    links.register(all_pages)
    with menu.popover("", icon=":material/person:", help=say("What is stored, and your key")):
        links.to("stored", say("Stored"), ":material/inventory_2:")
        links.to("login", say("Logged in") if connect.logged_in() else say("Log in"), ":material/key:")
    with chip:
        st.fragment(_jobs, run_every=connect.LOOK_EVERY_S)()
    return page


def _language() -> None:
    """The switch between languages; it decides before any other word is said."""
    linked.choice(
        st.segmented_control,
        "Language · 语言",
        language.LANGUAGES,
        language.KEY,
        language.preferred(),
        label_visibility="collapsed",
    )


def _logo() -> str:
    """The mark and name in the colours of the visitor's page."""
    text = LOGO.read_text("utf-8").replace("INK", "#e6eaf0" if theme.dark() else "#1f2733")
    for mark, module in (("SE", "se"), ("ECA", "eca"), ("CA", "coord"), ("SK", "sk")):
        text = text.replace(f'"{mark}"', f'"{theme.hue(module)}"')
    return text


def _jobs() -> None:
    """Running jobs, failures that nobody has looked at, or that the API is silent."""
    try:
        all_jobs = connect.client().jobs()
    except ServiceError as error:
        if error.status == 401:
            return  # the page asks for a key
        st.session_state[SILENT] = True
        st.badge(say("API silent"), icon=":material/cloud_off:", color="red")
        return
    if st.session_state.pop(SILENT, False):
        st.rerun()  # the page, which may have said that it got no answer
    looked_at: set[str] = st.session_state.setdefault(LOOKED_AT, {job.id for job in all_jobs if job.ended})
    looked_at.update(linked.words(jobs.ADDRESS))
    failed = [job for job in all_jobs if job.state == "failed" and job.id not in looked_at]
    running = [job for job in all_jobs if not job.ended]
    if failed:
        text = say("%(analysis)s failed", analysis=jobs.called(failed[0]))
        _chip(failed[0], f":red[{text}]", ":material/error:")
    elif running:
        text = say("%(count)s jobs", count=len(running)) if len(running) > 1 else _progress(running[0])
        _chip(running[-1], text, "spinner")


def _progress(job: Job) -> str:
    percent = min(100, 100 * job.done // job.total) if job.total else 0
    return say("%(analysis)s %(percent)s %%", analysis=jobs.called(job), percent=percent)


def _chip(job: Job, text: str, icon: str) -> None:
    """A link to the page that shows a job; published networks that are fetched are shown where they are chosen."""
    state = {networks.SOURCE: networks.IMAGENET, weights.PUBLISHED: str(job.request.get("name"))}
    more = state if job.analysis == FetchRequest.analysis else {}
    links.to(jobs.HOMES.get(job.analysis, (jobs.PAGE,))[0], text, icon, {**more, jobs.ADDRESS: job.id})
