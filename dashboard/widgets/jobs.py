"""Jobs on a page: which one the address names, how far it is, stopping it, and the earlier ones."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import streamlit as st
from pydantic import ValidationError

from attention.client import ServiceError
from attention.schemas import Job
from attention.spec import Plain, Request
from dashboard import connect
from dashboard.language import marked, say, show_caption, show_text
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.widgets import linked as address

R = TypeVar("R", bound=Plain)

ADDRESS = "job"
"""The page's address holds the job's id, so a page that is closed loses nothing, and a link shows the same job."""
SHOWN = 12

BADGES = {
    "queued": marked(":gray-badge[:material/schedule: waits]"),
    "running": marked(":blue-badge[:material/autorenew: runs]"),
    "done": marked(":green-badge[:material/check: done]"),
    "failed": marked(":red-badge[:material/error: failed]"),
    "cancelled": marked(":orange-badge[:material/cancel: cancelled]"),
}


PAGE = "job"
"""Address of the page that shows a job of any kind."""
HOMES = {
    "study": ("study", marked("study")),
    "sweep": ("ablate", marked("sweep")),
    "fold": ("ablate", marked("fold")),
    "diagnose": ("ablate", marked("diagnosis")),
    "disagreement": ("disagreement", marked("search")),
    "latency": ("measured", marked("measurement")),
    "excitation": ("classes", marked("class curves")),
    "stripe": ("classes", marked("stripes")),
    "exemplars": (PAGE, marked("a data set read")),
    "export": (PAGE, marked("export")),
    "weights/fetch": ("look", marked("download")),
}
"""Kind of a job -> the page that shows it, and what the kind is called; any other has `PAGE` and its own name."""


def called(job: Job) -> str:
    """A kind of job in a word or two, as the reader's language has it."""
    return kind(job.analysis)


def kind(analysis: str) -> str:
    """The name of an analysis as its jobs are listed: that of its page, such as Study, or its own where it has none."""
    return say(HOMES[analysis][1]) if analysis in HOMES else analysis


def made(job: Job, form: str = "%Y-%m-%d %H:%M") -> str:
    """When a job was asked for, in figures that both languages read."""
    return f"{job.created:{form}}"


def linked() -> Job | None:
    """The job that the page's address names. One that is not here is said so, and there is none."""
    job_id = "".join(address.words(ADDRESS)[-1:])
    if not job_id:
        return None
    try:
        return connect.client().job(job_id)
    except ServiceError as error:
        if error.status != 404:
            raise
        st.warning(
            say("The link names a job that is not stored here: %(job_id)s.", job_id=f"{job_id[:80]!r}"),
            icon=":material/link_off:",
        )
        return None


def open_job(job_id: str) -> None:
    """Let the page's address name a job; an empty id names none."""
    address.write(ADDRESS, [job_id] if job_id else [])


def newest_of(request: Request[Any]) -> Job | None:
    """The newest job of this very question, also one that was stopped or failed: a page that asks by its address."""
    for job in connect.client().jobs():
        with suppress(ValidationError):  # a question of another version is another question
            if job.analysis == request.analysis and type(request).model_validate(job.request) == request:
                return job
    return None


def follow(job: Job, show: Callable[[Job], None], key: str = "cancel") -> None:
    """How far a job is, again and again until it has ended, with what ``show`` draws of it.

    Args:
        key: of the button that stops it, where a page follows several jobs.
    """

    def look() -> None:
        now = connect.client().job(job.id)
        if now.ended:
            st.rerun()  # the whole page, which then shows the report
        _progress(now, key)
        show(now)

    st.fragment(look, run_every=connect.LOOK_EVERY_S)()


def _progress(job: Job, key: str) -> None:
    left, right = st.columns([6, 1], vertical_alignment="bottom")
    share = job.done / job.total if job.total else 0.0
    text = translated(job.note) or (
        say("It waits for jobs that came before it.") if job.state == "queued" else say("It begins.")
    )
    left.progress(min(share, 1.0), text=f"{say(BADGES[job.state])} {share:.0%} · {remaining(job)}{text}")
    if right.button(say("Cancel"), icon=":material/stop_circle:", key=key, width="stretch"):
        try:
            connect.client().cancel(job.id)
        except ServiceError as error:
            if error.status != 409:  # it ended in the meantime, which is as good
                raise
        st.rerun()
    if job.error:
        st.caption(f":material/restart_alt: {explained(job.error)}")


def answered(request: Request[R], many: bool, what: str, show: Callable[[R, bool], None]) -> R | None:
    """Ask a question at once or, where that takes long, as a job; draw the report, and give it once it is whole.

    The job is found again by its question, which stands in the address.

    Args:
        many: whether it runs as a job.
        what: what is done, in words.
        show: draws a report; whether it is the whole of it.
    """
    if not many:
        with st.spinner(f"{what} …"):
            report = connect.ask(request)
        show(report, True)
        return report
    job, key = newest_of(request), request.analysis
    if job is not None and not job.ended:
        follow(job, lambda now: _running(request, now, show), f"cancel.{key}")
        return None
    if job is not None and job.state == "done":
        report = _report(request, job)
        show(report, True)
        return report
    if job is None:
        show_text("This takes more than a moment, so it runs as a job. This page shows it while it runs.")
    elif job.error:
        st.error(explained(job.error), icon=":material/error:")
    if st.button(say("Start: %(work)s", work=what), type="primary", icon=":material/play_arrow:", key=f"start.{key}"):
        connect.client().submit(request)
        st.rerun()
    return None


def _report(request: Request[R], job: Job) -> R:
    return connect.report(job.id, request.report)  # type: ignore[return-value]


def _running(request: Request[R], job: Job, show: Callable[[R, bool], None]) -> None:
    if job.report == "none":
        show_caption("There is nothing to show yet.")
    else:
        show(connect.client().report(job.id, request.report), False)  # type: ignore[arg-type]


def remaining(job: Job) -> str:
    """When a job will be done, if anybody knows."""
    return "" if job.eta_s is None else say("about %(duration)s left · ", duration=duration(job.eta_s))


def duration(seconds: float) -> str:
    """3725 -> '1 h 2 min'."""
    if seconds < 90:
        return say("%(seconds)s s", seconds=max(1, round(seconds)))
    minutes = round(seconds / 60)
    if minutes < 120:
        return say("%(minutes)s min", minutes=minutes)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return (
            say("%(hours)s h %(minutes)s min", hours=hours, minutes=minutes)
            if minutes
            else say("%(hours)s h", hours=hours)
        )
    return say("%(days)s d %(hours)s h", days=hours // 24, hours=hours % 24)


def age(created: str | None, now: datetime | None = None) -> str:
    """How long ago something was stored; empty where that is not known."""
    if created is None:
        return ""
    passed = (now or datetime.now(UTC)) - datetime.fromisoformat(created)
    return duration(passed.total_seconds())


def earlier(jobs: Sequence[Job], about: Callable[[Job], str]) -> None:
    """Jobs to open again, newest first, each with what it was about."""
    current = address.words(ADDRESS)[-1:]
    for job in jobs[:SHOWN]:
        left, middle, right = st.columns([1, 6, 1], vertical_alignment="center")
        left.markdown(say(BADGES[job.state]))
        middle.markdown(f"{about(job)}  \n:small[{made(job)} UTC]")
        right.button(
            say("Shown") if [job.id] == current else say("Open"),
            key=f"open.{job.id}",
            disabled=[job.id] == current,
            on_click=open_job,
            args=(job.id,),
            width="stretch",
        )
