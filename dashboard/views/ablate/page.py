""":material/toggle_off: Gates: what a network loses without each of its gates, on a photo or a data set."""

import streamlit as st

from attention.reports.fold import FoldRequest
from attention.reports.sweep import SweepRequest
from dashboard import connect
from dashboard.language import say
from dashboard.views.ablate import fold as fold_panels
from dashboard.views.ablate import panels as gate_panels
from dashboard.widgets import gates, job_desk, jobs, linked, links, photos

PHOTO, DATA, FOLD = "photo", "data", "fold"
WAYS = {PHOTO: "A photo", DATA: "A data set", FOLD: "Fold it away"}


def main() -> None:
    st.title("Gates")
    st.markdown(
        "Replace a gate by something that knows nothing of the image, and see what is lost. Each replacement asks "
        "another question; letting everything through is not an honest “off”."
    )
    gate_panels.definitions()
    job = jobs.linked()
    if job is not None and linked.given(jobs.ADDRESS):
        st.session_state["on"] = FOLD if job.analysis == FoldRequest.analysis else DATA
        linked.write(jobs.ADDRESS, [job.id])
    way = linked.choice(st.segmented_control, "Look at", WAYS, "on", PHOTO)
    if way == DATA:
        job_desk.desk(SweepRequest, "sweep", gate_panels.sweep_described, gate_panels.show, gate_panels.sweep_form)
    elif way == FOLD:
        job_desk.desk(FoldRequest, "fold", fold_panels.described, fold_panels.show, fold_panels.form)
    else:
        jobs.open_job("")
        one_photo()
    links.to("disagreement", say("Find images on which networks differ"), ":material/difference:")


def one_photo() -> None:
    """One photo and one network: every gate at once, and switches for a set of one's own."""
    chosen = photos.choose()
    variant = gates.network(connect.catalog())
    if not chosen or variant is None:
        st.info("Choose a photo and a network.")
        return
    image = chosen[0]
    if len(chosen) > 1:
        st.caption(f"Only the first of the {len(chosen)} photos is looked at here; a data set takes many.")
    gate_panels.photo(image, variant)


main()
