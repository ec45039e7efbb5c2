""":material/science: Study: train networks on your data with the same seeds, and learn whether attention helps."""

import streamlit as st
from pydantic import ValidationError

from attention.reports.overview import SHIPPED, OverviewRequest
from attention.reports.study import StudyReport, StudyRequest
from attention.schemas import SHIPPED as PREFIX
from attention.schemas import Job
from dashboard import connect
from dashboard.drawing import theme
from dashboard.language import listed, say, show_caption
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.views.study import form as study_form
from dashboard.views.study import panels as study_panels
from dashboard.views.study import wizard
from dashboard.widgets import exports, job_desk, jobs, linked, links, networks


def main() -> None:
    st.title(say("Study"), anchor=False)
    show_caption("Is the gain of attention real on this data, and what does it cost? Trained here, decided by pairs.")
    with st.container(horizontal=True, vertical_alignment="center"):
        wizard.offer()
        links.to("judge", say("Judge my seeds"), ":material/balance:")
        links.to("stored", say("Stored"), ":material/inventory_2:")
    mine = [job for job in connect.client().jobs() if job.analysis == StudyRequest.analysis]
    job = jobs.linked()
    if job is not None and job.analysis != StudyRequest.analysis:
        st.warning(
            say("The link names a job of another kind (%(analysis)s).", analysis=job.analysis),
            icon=":material/link_off:",
        )
        links.to(jobs.PAGE, jobs.called(job), ":material/task:", {jobs.ADDRESS: job.id})
        job = None
    for other in [candidate for candidate in mine if not candidate.ended and (job is None or candidate.id != job.id)]:
        running(other)
    shown = show_job(job) if job is not None else show_shipped()
    if not shown and not mine:
        study_form.about()
    if mine:
        with st.expander(
            say("Studies of this service (%(mine)s)", mine=len(mine)), icon=":material/history:", expanded=not shown
        ):
            jobs.earlier(mine, described)


def running(job: Job) -> None:
    """A study that runs and is not the one shown: what it is, how far, and the way to what it knows so far."""
    with st.container(border=True):
        st.markdown(described(job))
        jobs.follow(job, lambda now: None, key=f"cancel.{job.id}")
        st.button(say("So far"), on_click=jobs.open_job, args=(job.id,), key=f"so_far.{job.id}")


def onward(job: Job, report: StudyReport) -> None:
    """Links to go on with the networks of a study."""
    with st.container(horizontal=True):
        state = {networks.SOURCE: networks.YOURS, networks.STUDY: job.id}
        links.to("look", say("Look at a photo with these"), ":material/visibility:", state)
        gated = next((run for run in report.runs if run.weights and "/none" not in run.arm), None)
        if gated is not None:
            arm = next(arm for arm in report.arms if arm.name == gated.arm)
            network = arm.variant.model_copy(update={"weights": gated.weights, "seed": 0})
            links.to("ablate", say("Take its gates away"), ":material/toggle_off:", {"network": network.name})
        links.to("overview", say("In the answer table"), ":material/table_chart:", {"evidence": job.id})


def show_job(job: Job) -> bool:
    """The job of the address: how far it is while it runs, and what it has found."""
    st.markdown(f"{say(jobs.BADGES[job.state]) if job.ended else ''} {described(job)}")
    if not job.ended:
        jobs.follow(job, show_running)
        return True
    if job.state == "failed":
        st.error(explained(job.error), icon=":material/error:")
    if job.state in ("failed", "cancelled"):
        go_on(job)
    if job.report == "none":
        st.info(say("Nothing was finished before it ended."))
    else:
        report = connect.client().report(job.id, StudyReport)
        show_report(report)
        if job.report == "final":
            trained = networks.of_study(report).variants.values()
            if trained:
                exports.offer(list(trained))
            onward(job, report)
    return True


def show_running(job: Job) -> None:
    if job.report == "none":
        show_caption("The first curve appears after the first epoch.")
        return
    report = connect.client().report(job.id, StudyReport)
    study_panels.verdict(report)
    study_panels.curves(report, "live")
    study_panels.details(report)


def show_report(report: StudyReport) -> None:
    study_panels.verdict(report)
    study_panels.details(report)
    if box := linked.opened(say("Curves"), "study.curves", "show_chart"):
        with box:
            study_panels.curves(report)
    if report.classes and (box := linked.opened(say("Class by class"), "study.classes", "category")):
        with box:
            study_panels.classes(report)
    if box := linked.opened(say("All %(rows)s runs", rows=len(report.runs)), "study.runs", "list"):
        with box:
            study_panels.runs(report)
    study_panels.downloads(report)


def show_shipped() -> bool:
    """One of the studies that come with the service, where there are any."""
    bodies = connect.ask(OverviewRequest()).bodies
    titles = {key: translated(title) for key, title in bodies.items() if key.startswith(SHIPPED)}
    if not titles:
        return False
    chosen = next(iter(titles))
    if len(titles) > 1:
        label = say("Studies that come along")
        chosen = linked.choice(
            st.segmented_control, label, titles, job_desk.REPORT, chosen, label_visibility="collapsed"
        )
    shipped = connect.shipped(StudyRequest, "" if chosen == SHIPPED else chosen.removeprefix(PREFIX))
    if shipped is None:
        return False
    stored, report = shipped
    seeds = max((arm.n for arm in report.arms), default=0)
    st.caption(job_desk.provenance(stored, report.device, say(report.data.name), seeds))
    show_report(report)
    offers = networks.shipped(connect.catalog())
    source = next((key for key, offer in offers.items() if offer.title == report.data.name), None)
    if source is not None:
        with st.container(horizontal=True):
            links.to("look", say("Look at a photo with these"), ":material/visibility:", {networks.SOURCE: source})
            links.to("overview", say("In the answer table"), ":material/table_chart:", {"evidence": chosen})
    return True


def go_on(job: Job) -> None:
    """A button that asks for the same study again: what is trained stays so."""
    try:
        request = StudyRequest.model_validate(job.request)
    except ValidationError:
        return  # asked of another version
    if st.button(
        say("Go on"), icon=":material/resume:", key="go_on", help=say("Finished runs are kept; the rest is trained.")
    ):
        study_form.start(request)


def described(job: Job) -> str:
    """What a study was about, in a line."""
    try:
        request = StudyRequest.model_validate(job.request)
    except ValidationError:
        return str(job.request.get("data", ""))
    arms = [theme.called(arm.attention or theme.PLAIN) for arm in request.arms()]
    few = listed(dict.fromkeys(arms))
    return say(
        "**%(data)s**: %(few)s · %(arms)s networks × %(seeds)s seeds × %(epochs)s epochs",
        data=request.data,
        few=few,
        arms=len(arms),
        seeds=request.seeds,
        epochs=request.recipe.epochs,
    )


main()
