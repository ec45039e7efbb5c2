"""Lesson 0: one photo's way through one gate, stepped by hand, with the numbers of a trained network."""

from pathlib import Path

import streamlit as st
from streamlit.components import v2 as components

from attention.reports.trace import TraceReport, TraceRequest
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import theme
from dashboard.drawing.words import network_label
from dashboard.language import say, show_caption
from dashboard.widgets import linked, links, photos

FOLDER = Path(__file__).parent
MODULES = {"eca": "ECA", "se": "SE"}

_lesson = components.component(
    "gate_lesson",
    html='<div class="lesson"></div>',
    css=(FOLDER / "lesson0.css").read_text("utf-8"),
    js=(FOLDER / "lesson0.js").read_text("utf-8"),
)


def show() -> None:
    """A photo, a module, and the five steps of its first gate; a channel is chosen by a click or the arrow keys."""
    st.subheader(say("0. One photo's way through one gate"), anchor=False)
    show_caption("Choose a channel by a click or with the arrow keys, and follow its number.")
    samples = [image for image in connect.client().images() if image.sample]
    if not samples:
        return
    titles = {image.id: photos.title(image) for image in samples}
    left, right = st.columns([2, 1], gap="medium")
    image = linked.choice(left.selectbox, say("Photo"), titles, "photo", next(iter(titles)))
    module = linked.choice(right.segmented_control, say("Module"), MODULES, "by", "eca")
    variant = network(module)
    report = connect.ask(TraceRequest(image=image, variant=variant))
    _lesson(
        data={"trace": report.model_dump(mode="json"), "words": words(report), "colour": theme.hue(module)},
        key="lesson0",
    )
    show_caption(
        "%(network)s, layer %(layer)s. Every number comes from that network; nothing is drawn by hand.",
        network=network_label(report.network),
        layer=f"{report.stage}.{report.block}",
    )
    with st.container(horizontal=True):
        parameters: links.Parameters = {"image": image, "net": ["none", module]}
        links.to("look", say("See this layer on your photo"), ":material/visibility:", parameters)
        links.to(
            "ablate", say("Take this gate away"), ":material/toggle_off:", {"image": image, "network": variant.name}
        )
        links.to("module", MODULES[module], ":material/extension:", {"name": module})


def network(module: str) -> Variant:
    """The shipped network with a module; with random weights where none is shipped."""
    shipped = Variant.parse(module)
    names = {entry.name for entry in connect.catalog().shipped}
    return shipped if shipped.name in names else shipped.model_copy(update={"weights": None})


def words(report: TraceReport) -> dict[str, str]:
    """What the steps are called."""
    last = report.steps[-1]
    shared = ", ".join(f"{weight:.2f}" for weight in last.weight[:9]).replace("-", "−")
    return {
        "channels": say("Channels"),
        "channel": say("channel"),
        "hidden": say("hidden number"),
        "edge": say("beyond the edge"),
        "shared": say("the same weights for every channel: %(weights)s", weights=shared),
        "everyone": say("each hidden number has heard every channel"),
        "map": say("1 The map"),
        "squeeze": say("2 Squeeze: its mean"),
        "decide": say("3 Decide: weights times what it hears"),
        "sigmoid": say("4 Sigmoid: a weight from 0 to 1"),
        "scale": say("5 Scale: the map times its weight"),
        "formula": "σ(x) = 1 / (1 + e⁻ˣ)",
    }
