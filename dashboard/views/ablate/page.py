""":material/toggle_off: Ablate: replace gates by something that knows nothing of the image, and see what is lost."""

import streamlit as st

from attention.reports.diagnose import DiagnoseRequest
from attention.reports.fold import FoldRequest
from attention.reports.sweep import SweepRequest
from dashboard import connect
from dashboard.language import marked, say, show_caption
from dashboard.views.ablate import diagnosis
from dashboard.views.ablate import fold as fold_panels
from dashboard.views.ablate import panels as gate_panels
from dashboard.widgets import gallery, gates, job_desk, jobs, linked, links

PHOTO, DATA, WHY, FOLD = "photo", "data", "why", "fold"
WAYS = {
    PHOTO: marked("This photo"),
    DATA: marked("A data set"),
    WHY: marked("Why does it not help?"),
    FOLD: marked("Fold it away"),
}
OF_JOBS = {FoldRequest.analysis: FOLD, DiagnoseRequest.analysis: WHY}
"""Analysis of a job -> the section that shows it, where it is not that of a data set."""


def main() -> None:
    st.title(say("Ablate"), anchor=False)
    show_caption(
        "Replace gates by something that knows nothing of the image, and see what is lost. Each replacement asks "
        "another question; letting everything through is not an honest “off”."
    )
    gate_panels.definitions()
    job = jobs.linked()
    if job is not None and linked.given(jobs.ADDRESS):
        st.session_state["on"] = OF_JOBS.get(job.analysis, DATA)
        linked.write(jobs.ADDRESS, [job.id])
    way = linked.choice(
        st.segmented_control,
        say("Look at"),
        {name: say(label) for name, label in WAYS.items()},
        "on",
        PHOTO,
        wrap=False,
    )
    if way == DATA:
        job_desk.desk(SweepRequest, "sweep", gate_panels.sweep_described, gate_panels.show, gate_panels.sweep_form)
    elif way == WHY:
        job_desk.desk(DiagnoseRequest, "diagnosis", gates.described, diagnosis.show, diagnosis.form)
    elif way == FOLD:
        job_desk.desk(FoldRequest, "fold", gates.described, fold_panels.show, fold_panels.form)
    else:
        jobs.open_job("")
        one_photo()
    if way == PHOTO:
        looked_at: links.Parameters = {"image": linked.words("image"), "variant": linked.words("network")}
        with st.container(horizontal=True):
            links.to("look", say("Look at these gates"), ":material/visibility:", looked_at)
            links.to("price", say("Their price on your network"), ":material/payments:")
    links.to("disagreement", say("Find images on which networks differ"), ":material/difference:")


def one_photo() -> None:
    """One photo and one network: every gate at once, and switches for a set of one's own."""
    image = gallery.choose()
    variant = gates.network(connect.catalog())
    if image is None or variant is None:
        st.info(say("Choose a photo and a network."))
        return
    gate_panels.photo(image, variant)


main()
