""":material/stacked_line_chart: Classes: how gates differ from class to class, and how much they look at the image."""

import streamlit as st

from dashboard import connect
from dashboard.language import say, show_text
from dashboard.views.look import class_form, class_panels
from dashboard.views.look import probes as probe_panels


def main() -> None:
    st.title(say("Classes"))
    show_text(
        "Does attention weigh channels differently for a cat than for a truck, or alike for every image? Curves "
        "show it class by class, stripes image by image."
    )
    class_panels.definitions()
    networks = class_form.networks(connect.catalog())
    subjects = class_form.subjects()
    if not networks or subjects is None:
        st.info(say("Choose a network, and photos or a data set."))
        return
    report = class_panels.curves(networks[0], subjects)
    stages = report.gates if report else ()
    class_panels.stripes(networks, subjects, stages)
    probe_panels.coupling(networks[0], subjects, stages)
    probe_panels.permutation(networks)
    probe_panels.scale(networks[0], subjects)


main()
