""":material/task: Job: one job of any kind, how far it is, why it failed, or what it found."""

import io
from functools import partial

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from attention.reports.export import ExportRequest
from attention.schemas import Job
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import words
from dashboard.language import say
from dashboard.refusals import explained
from dashboard.widgets import exports, jobs, links


def main() -> None:
    st.title(say("Job"), anchor=False)
    job = jobs.linked()
    if job is None:
        st.info(say("The address names no job."))
        links.to("stored", say("Stored"), ":material/inventory_2:")
        return
    st.markdown(f"{say(jobs.BADGES[job.state])} **{jobs.called(job)}** · :small[{jobs.made(job)} UTC]")
    if job.analysis == ExportRequest.analysis:
        exports.show(job)
    elif not job.ended:
        jobs.follow(job, lambda now: None)
    else:
        if job.error:
            st.error(explained(job.error), icon=":material/error:")
        if job.report == "final":
            report(job)
    if (variant := network(job)) is not None:
        text = say("%(network)s on a photo", network=words.network_label(variant.name))
        links.to("look", text, ":material/visibility:", {"variant": [variant.name]})


def report(job: Job) -> None:
    """The main table of a finished job's report, and the report in every form."""
    client, about = connect.client(), f"{job.analysis} {job.id[:8]}"
    st.dataframe(drawing.in_words(pd.read_csv(io.StringIO(client.export(job.id)))), hide_index=True, width="stretch")
    with st.container(horizontal=True):
        for form, (label, suffix, mime) in drawing.FILES.items():
            if form != "bib":
                drawing.save(say(label), partial(client.export, job.id, form), f"{about}.{suffix}", mime)


def network(job: Job) -> Variant | None:
    """The network that a job is about; None if it is about several or none."""
    try:
        return Variant.model_validate(job.request.get("variant"))
    except ValidationError:
        return None


main()
