""":material/visibility: Look: one photo, the same backbone, different attention."""

import streamlit as st
from pydantic import ValidationError

from attention.client import ServiceError, Unreachable
from attention.reports.compare import CompareRequest, Comparison
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import words
from dashboard.language import say
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.views.look import answers, cam, layers, panels, places
from dashboard.widgets import forms, gallery, links, networks

TOP = 10
"""Classes that are asked for: all of the shipped networks."""


def main() -> None:
    st.title(say("Look"), anchor=False)
    st.caption(say("One photo, the same backbone, different attention."))
    image = gallery.choose()
    variants = networks.choose(connect.catalog())
    if image is None or not variants:
        st.info(say("Choose a photo and at least one network."))
        return
    report = compared(image.id, variants)
    if report is None:
        return
    for warning, names in answers.warned(report).items():
        st.warning(f"**{', '.join(names)}.** {translated(warning)}", icon=":material/warning:")
    answers.show(report, image)
    fresh = [variant.name for variant in report.variants if variant.state == "untrained"]
    if fresh:
        said = ", ".join(words.labels(fresh).values())
        text = say("%(networks)s: random weights, which show where gates sit and not what they learn.", networks=said)
        st.caption(f":material/info: {translated(text)}")
        arms = [name for name in fresh if not name.partition("?")[0].endswith("/none")]
        links.to("study", say("Train it"), ":material/science:", {"arm": arms})
    layers.show(report, image)
    places.show(report, image)
    with st.expander(say("Where they look, statistics of every gate, numbers"), icon=":material/query_stats:"):
        cam.where(image, tuple(variant.variant for variant in report.variants))
        panels.statistics(report, image)
        panels.downloads(report)
    _onward(image.id, report)


def compared(image: str, variants: tuple[Variant, ...]) -> Comparison | None:
    """The comparison; networks that the service refuses are named with its sentence, and the others are shown."""
    try:
        return connect.ask(request(image, variants))
    except ValidationError as error:
        st.error(forms.sentence(error))
        return None
    except Unreachable:
        raise
    except ServiceError as error:
        if error.status is None or len(variants) == 1:
            st.error(explained(error), icon=":material/error:")
            return None
    good = tuple(variant for variant in variants if _answers(image, variant))
    return connect.ask(request(image, good)) if good else None


def _answers(image: str, variant: Variant) -> bool:
    try:
        connect.ask(request(image, (variant,)))
    except Unreachable:
        raise
    except ServiceError as error:
        st.error(f"`{variant.name}`: {explained(error)}", icon=":material/error:")
        return False
    return True


def request(image: str, variants: tuple[Variant, ...]) -> CompareRequest:
    """All that the page draws, in one question."""
    return CompareRequest(images=(image,), variants=variants, top_k=TOP, gates="base64")


def _onward(image: str, report: Comparison) -> None:
    """Links to go on with this photo and these networks."""
    attended = [variant.name for variant in report.variants if variant.variant.attention]
    with st.container(horizontal=True):
        if attended:
            state = {"image": image, "network": attended[-1]}
            links.to("ablate", say("Take gates away from this photo"), ":material/toggle_off:", state)
        links.to("learn", say("How a gate is computed"), ":material/school:", {"image": image})
        links.to("classes", say("How gates differ from class to class"), ":material/stacked_line_chart:")


main()
