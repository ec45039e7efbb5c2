"""A page section about questions that are jobs: the one of the address, a form for a new one, and the earlier ones."""

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st
from pydantic import ValidationError

from attention.schemas import Job
from attention.spec import Plain, Request
from dashboard import connect
from dashboard.language import say
from dashboard.refusals import explained
from dashboard.widgets import forms, jobs

R = TypeVar("R", bound=Plain)


def desk(
    kind: type[Request[R]],
    title: str,
    described: Callable[[Any], str],
    show: Callable[[R, bool], None],
    form: Callable[[], Callable[[], Request[R]] | None],
    waiting: str = "",
) -> None:
    """Show the job of the page's address while it runs and when it is done, and let a new one be asked for.

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
    if job is not None:
        _job(job, kind, described, show, waiting)
    with st.expander(say("New: %(title)s", title=say(title)), expanded=job is None, icon=":material/add_circle:"):
        make = form()
        if make is not None and st.button(
            say("Start"), type="primary", icon=":material/play_arrow:", key=kind.analysis
        ):
            _start(make)
    if mine:
        with st.expander(say("Earlier (%(mine)s)", mine=len(mine)), icon=":material/history:", expanded=job is None):
            jobs.earlier(mine, lambda one: _line(one, kind, described))


def _start(make: Callable[[], Request[Any]]) -> None:
    try:
        request = make()
    except ValidationError as error:
        st.error(forms.sentence(error))
        return
    jobs.open_job(connect.client().submit(request).id)
    st.rerun()


def _line(job: Job, kind: type[Request[Any]], described: Callable[[Any], str]) -> str:
    try:
        return described(kind.model_validate(job.request))
    except ValidationError:
        return say("asked of another version of the service")


def _job(
    job: Job,
    kind: type[Request[R]],
    described: Callable[[Any], str],
    show: Callable[[R, bool], None],
    waiting: str,
) -> None:
    st.markdown(f"{say(jobs.BADGES[job.state]) if job.ended else ''} {_line(job, kind, described)}")
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
