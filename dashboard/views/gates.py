""":material/toggle_off: Gates: what a network loses without each of its gates, on a photo or a data set."""

import streamlit as st

from dashboard import connect, gate_form, gate_panels, jobs, photos

PHOTO, DATA = "A photo", "A data set"


def main() -> None:
    st.title("Gates")
    st.markdown(
        "Replace a gate by something that knows nothing of the image, and see what is lost. Each replacement asks "
        "another question; letting everything through is not an honest “off”."
    )
    gate_panels.definitions()
    job = jobs.linked()
    start = DATA if job is not None or st.query_params.get("on") == "data" else PHOTO
    on = st.segmented_control("Look at", [PHOTO, DATA], default=start, key="on", required=True)
    st.query_params["on"] = "data" if on == DATA else "photo"
    if on == DATA:
        gate_panels.sweeps(job)
    else:
        jobs.open_job("")
        one_photo()


def one_photo() -> None:
    """One photo and one network: every gate at once, and switches for a set of one's own."""
    chosen = photos.choose()
    variant = gate_form.network(connect.catalog())
    if not chosen or variant is None:
        st.info("Choose a photo and a network.")
        return
    image = chosen[0]
    if len(chosen) > 1:
        st.caption(f"Only the first of the {len(chosen)} photos is looked at here; a data set takes many.")
    gate_panels.photo(image, variant)


main()
