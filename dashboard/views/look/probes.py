"""What Classes shows when it is opened: what gates listen to, whether order matters, what branches follow."""

from collections.abc import Sequence

import streamlit as st

from attention.client import ServiceError
from attention.reports.coupling import CouplingRequest
from attention.reports.excitation import ExcitedGate
from attention.reports.permutation import PermutationRequest
from attention.reports.scale import ScaleRequest
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import words
from dashboard.language import say, show_caption
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.views.look import probe_charts
from dashboard.views.look.class_form import Subjects
from dashboard.widgets import linked, photos

MOST_GROWN = 100
"""Images that are enlarged at most; each is run once a factor."""


def coupling(variant: Variant, subjects: Subjects, stages: Sequence[ExcitedGate]) -> None:
    """The interaction matrix of a gate on a photo."""
    if (box := linked.opened(say("Which channels each gate listens to"), "listens", "hearing")) is None:
        return
    with box:
        offered = {image.id: photos.title(image) for image in subjects.photos or connect.client().images()}
        layers = words.gate_labels(stages)
        left, right = st.columns([1, 2], gap="large")
        with left:
            image = st.selectbox(
                say("Photo"), list(offered), format_func=offered.__getitem__, key=f"heard.{len(offered)}"
            )
            paths = list(layers)
            gate = st.selectbox(
                say("Gate (stage.block)"),
                paths,
                len(paths) - 1 if paths else None,
                format_func=layers.__getitem__,
                key=f"listening.{len(paths)}",
                placeholder=say("the last"),
            )
        try:
            with st.spinner(say("Differentiating …")):
                report = connect.ask(CouplingRequest(variant=variant, image=image, gate=gate, shown=probe_charts.SHOWN))
        except ServiceError as error:
            left.info(explained(error))
            return
        left.markdown(probe_charts.coupling_words(report))
        left.caption(translated(report.conditions))
        with right:
            drawing.draw(probe_charts.coupling(report), "coupling")
        right.caption(
            say(
                "Row c, column j: how channel c's gate answers to channel j's mean. Look for the shape: ECA's is a "
                "band around the diagonal, SE's is full and of low rank, a gate that does not look at the image has "
                "none."
            )
        )
        with left:
            drawing.files(report, f"coupling {words.network_label(report.network.name)}", device=report.network.device)


def permutation(variants: Sequence[Variant]) -> None:
    """Whether the order of channels matters to the modules of the networks."""
    if (box := linked.opened(say("Does the order of channels matter?"), "permuted", "shuffle")) is None:
        return
    with box:
        having = tuple(variant for variant in variants if variant.attention)
        modules = tuple(dict.fromkeys(str(variant.attention) for variant in having))
        request = PermutationRequest(modules=modules, variants=having[:4])
        try:
            with st.spinner(say("Permuting channels …")):
                report = connect.ask(request)
        except ServiceError as error:
            st.info(explained(error))
            return
        st.markdown("\n".join(f"- {sentence}" for sentence in probe_charts.permuted(report)))
        drawing.table(probe_charts.permuted_table(report), "permutation", index=False)
        st.caption(translated(report.conditions))
        drawing.files(report, f"permutation {' '.join(modules)}", device=say("the service's CPU"))


def scale(variant: Variant, subjects: Subjects) -> None:
    """Whether gates that choose among branches take the larger kernel as the object grows; else why there is none."""
    if (box := linked.opened(say("Branch choice against object scale"), "grown", "zoom_in")) is None:
        return
    with box:
        pictures = subjects.pictures
        if pictures.data is not None:
            pictures = pictures.model_copy(update={"limit": min(pictures.limit, MOST_GROWN)})
        try:
            with st.spinner(say("Enlarging what is in the middle …")):
                report = connect.ask(ScaleRequest(variant=variant, pictures=pictures))
        except ServiceError as error:
            st.info(explained(error))
            return
        drawing.draw(probe_charts.scale(report), "scale")
        show_caption(
            "A line is a gate, over %(images)s images; a bar is the 95 %% interval of its change from "
            "the smallest middle, paired by image. A rising line takes the larger kernel when the object "
            "is larger.",
            images=f"{report.images:,}",
        )
        drawing.caveats(report.caveats)
        drawing.files(report, f"scale {words.network_label(report.network.name)}", device=report.network.device)
