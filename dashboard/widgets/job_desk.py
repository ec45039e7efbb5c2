"""A page section about questions that are jobs: the one of the address, a form for a new one, and the earlier ones."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import streamlit as st
from pydantic import ValidationError

from attention.schemas import SHIPPED, Job, StoredReport
from attention.spec import Plain, Request
from dashboard import connect
from dashboard.language import say
from dashboard.refusals import explained
from dashboard.widgets import forms, jobs, linked

R = TypeVar("R", bound=Plain)

REPORT = "report"
"""In the page's address: the id of a report that comes with the service, where it is not the first of its kind."""
CHOICES = ("network", "variant", "data", "size")
"""In the address of a link to a page: what it fills into the form."""


def desk(
    kind: type[Request[R]],
    title: str,
    described: Callable[[Any], str],
    show: Callable[[R, bool], None],
    form: Callable[[], Callable[[], Request[R]] | None],
    waiting: str = "",
) -> None:
    """Show the job of the page's address, or a report that comes along; let a new one be asked for.

    Args:
        kind: the question.
        title: what one such job is called on the page.
        described: a request as a line.
        show: draws a report, and says whether it is final.
        form: draws the form; gives what makes the request once it is asked for, or None while something is missing.
        waiting: what to say of a job that runs and has nothing to show yet.
    """
    mine = [job for job in connect.client().jobs() if job.analysis == kind.analysis]
    job = jobs.linked()
    if job is not None and job.analysis != kind.analysis:
        job = None  # another section of the page, or another page, has left it in the address
    open_form = f"form.{kind.analysis}"
    if any(map(linked.given, CHOICES)):
        st.session_state[open_form] = True
    top = st.container()
    if job is not None:
        _job(job, kind, described, show, waiting)
    shown = job is not None or _shipped(kind, described, show)
    wanted = not shown or (job is None and st.session_state.get(open_form, False))
    with top.expander(say("New: %(title)s", title=say(title)), expanded=wanted, icon=":material/add_circle:"):
        make = form()
        if make is not None and st.button(
            say("Start"), type="primary", icon=":material/play_arrow:", key=kind.analysis
        ):
            _start(make)
    if mine:
        with st.expander(say("Earlier (%(mine)s)", mine=len(mine)), icon=":material/history:", expanded=not shown):
            jobs.earlier(mine, lambda job: _line(job.request, kind, described))


def _start(make: Callable[[], Request[Any]]) -> None:
    try:
        request = make()
    except ValidationError as error:
        st.error(forms.sentence(error))
        return
    linked.write(REPORT, [])
    jobs.open_job(connect.client().submit(request).id)
    st.rerun()


def _shipped(kind: type[Request[R]], described: Callable[[Any], str], show: Callable[[R, bool], None]) -> bool:
    """Show the report that the address names, or the first of its kind, of those that come along; False without one."""
    named = "".join(linked.words(REPORT)[-1:]).removeprefix(SHIPPED)
    shipped = connect.shipped(kind, named)
    if shipped is None and named:
        st.warning(linked.missing(SHIPPED + named), icon=":material/link_off:")
        shipped = connect.shipped(kind)
    if shipped is None:
        return False
    stored, report = shipped
    about = _line(stored.request, kind, described)
    device = stored.conditions.device if stored.conditions else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(provenance(stored, device, about, getattr(report, "n", None)))
        if st.button(say("Ask this here"), icon=":material/replay:", type="tertiary", key=f"again.{stored.id}"):
            _start(lambda: kind.model_validate(stored.request))
    show(report, True)
    return True


def provenance(stored: StoredReport, device: str, about: str, n: int | None) -> str:
    """What a report that comes along is about, on how many images or seeds, where and when it was made, in a line."""
    torch = f"torch {stored.conditions.torch}" if stored.conditions else ""
    counted = "" if n is None else f"n = {n:,}"
    parts = (about, counted, device, torch, stored.finished.date().isoformat(), say("comes with the service"))
    return " · ".join(filter(None, parts))


def _line(request: Mapping[str, Any], kind: type[Request[Any]], described: Callable[[Any], str]) -> str:
    try:
        return described(kind.model_validate(request))
    except ValidationError:
        return say("asked of another version of the service")


def _job(
    job: Job,
    kind: type[Request[R]],
    described: Callable[[Any], str],
    show: Callable[[R, bool], None],
    waiting: str,
) -> None:
    st.markdown(f"{say(jobs.BADGES[job.state]) if job.ended else ''} {_line(job.request, kind, described)}")
    if not job.ended:
        jobs.follow(job, lambda now: _partial(now, kind, show, waiting))
        return
    if job.state == "failed":
        st.error(explained(job.error), icon=":material/error:")
    if job.report == "none":
        st.info(say("Nothing was finished before it ended."))
        return
    show(connect.client().report(job.id, kind.report), True)  # type: ignore[arg-type]


def _partial(job: Job, kind: type[Request[R]], show: Callable[[R, bool], None], waiting: str) -> None:
    if job.report == "none":
        st.caption(say(waiting or "The first numbers appear after the first images."))
        return
    show(connect.client().report(job.id, kind.report), False)  # type: ignore[arg-type]
