""":material/visibility: Look: one photo, the same backbone, different attention."""

import streamlit as st
from pydantic import ValidationError

from attention.client import ServiceError, Unreachable
from attention.reports.compare import CompareRequest, Comparison, PhotoFit
from attention.schemas import Image
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import words
from dashboard.language import listed, say, show_caption
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.views.look import answers, cam, layers, panels, places
from dashboard.widgets import exports, forms, gallery, linked, links, networks

TOP = 10
"""Classes that are asked for: all of the shipped networks."""


def main() -> None:
    st.title(say("Look"), anchor=False)
    show_caption("One photo, the same backbone, different attention.")
    image = gallery.choose()
    variants = networks.choose(connect.catalog())
    if image is None or not variants:
        st.info(say("Choose a photo and at least one network."))
        return
    fit = _fit(image)
    report = compared(image.id, variants, fit)
    if report is None:
        return
    for warning, names in answers.warned(report).items():
        st.warning(f"**{listed(names)}.** {translated(warning)}", icon=":material/warning:")
    called = words.labels([variant.name for variant in report.variants])
    drawing.caveats(report.caveats, called)
    answers.show(report, image, fit)
    fresh = [variant.name for variant in report.variants if variant.state == "untrained"]
    if fresh:
        network_names = listed(words.labels(fresh).values())
        text = say(
            "%(networks)s: random weights, which show where gates sit and not what they learn.", networks=network_names
        )
        st.caption(f":material/info: {translated(text)}")
        arms = [
            variant.variant.model_copy(update={"classes": None}).name
            for variant in report.variants
            if variant.name in fresh and variant.variant.attention
        ]
        links.to("study", say("Train it"), ":material/science:", {"arm": arms})
    layers.show(report, image, fit)
    places.show(report, image, fit)
    title = say("Where they look, statistics of every gate, numbers")
    if box := linked.opened(title, "numbers", "query_stats", bool(linked.words(cam.ADDRESS))):
        with box:
            cam.where(image, tuple(variant.variant for variant in report.variants), fit)
            panels.statistics(report, image)
            panels.downloads(report)
    exports.offer([variant.variant for variant in report.variants])
    _onward(image.id, report)


def _fit(image: Image) -> PhotoFit | None:
    """What is done with a photo that is not square; None leaves it to the networks' publishers."""
    options = {
        "": say("as published"),
        "crop": say("ends cut off"),
        "pad": say("padded"),
        "stretch": say("stretched"),
    }
    if image.width == image.height:
        return None
    chosen = linked.choice(st.segmented_control, say("How the photo becomes a square"), options, "fit", "")
    return chosen or None  # type: ignore[return-value]


def compared(image: str, variants: tuple[Variant, ...], fit: PhotoFit | None) -> Comparison | None:
    """The comparison; networks that the service refuses are named with its sentence, and the others are shown."""
    try:
        with st.spinner(say("Loading networks and asking them …"), show_time=True):
            return connect.ask(request(image, variants, fit))
    except ValidationError as error:
        st.error(forms.sentence(error))
        return None
    except Unreachable:
        raise
    except ServiceError as error:
        if error.status is None or len(variants) == 1:
            st.error(explained(error), icon=":material/error:")
            return None
    good = tuple(variant for variant in variants if _answers(image, variant, fit))
    return connect.ask(request(image, good, fit)) if good else None


def _answers(image: str, variant: Variant, fit: PhotoFit | None) -> bool:
    try:
        connect.ask(request(image, (variant,), fit))
    except Unreachable:
        raise
    except ServiceError as error:
        st.error(f"`{variant.name}`: {explained(error)}", icon=":material/error:")
        return False
    return True


def request(image: str, variants: tuple[Variant, ...], fit: PhotoFit | None) -> CompareRequest:
    """All that the page draws, in one question."""
    return CompareRequest(images=(image,), variants=variants, top_k=TOP, gates="base64", fit=fit)


def _onward(image: str, report: Comparison) -> None:
    """Links to go on with this photo and these networks."""
    attended = [variant.name for variant in report.variants if variant.variant.attention]
    with st.container(horizontal=True):
        if attended:
            state = {"image": image, "network": attended[-1]}
            links.to("ablate", say("Take gates away from this photo"), ":material/toggle_off:", state)
        links.to("learn", say("How a gate is computed"), ":material/school:", {"lesson": "0", "photo": image})
        links.to("classes", say("How gates differ from class to class"), ":material/stacked_line_chart:")


main()
