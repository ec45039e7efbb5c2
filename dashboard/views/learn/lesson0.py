"""Lesson 0: one photo's way through one gate, stepped by hand, with the numbers of a trained network."""

from pathlib import Path

import streamlit as st
from streamlit.components import v2 as components

from attention.reports.trace import TraceReport, TraceRequest
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import theme
from dashboard.drawing.words import network_label
from dashboard.language import say, show_caption, show_text
from dashboard.widgets import linked, links, photos

FOLDER = Path(__file__).parent
ECA, SE = "https://arxiv.org/abs/1910.03151", "https://arxiv.org/abs/1709.01507"
MODULES = {"eca": "ECA", "se": "SE"}

_lesson = components.component(
    "gate_lesson",
    html='<div class="lesson"></div>',
    css=(FOLDER / "lesson0.css").read_text("utf-8"),
    js=(FOLDER / "lesson0.js").read_text("utf-8"),
)


def show() -> None:
    """A photo's way through a gate, and what a gate is."""
    _steps()
    _gate()


def _steps() -> None:
    """A photo, a module, and the five steps of its first gate; a channel is chosen by a click or the arrow keys."""
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


def _gate() -> None:
    """What a channel gate is."""
    show_text(
        "\nA convolutional network carries many **channels**: maps that each answer to something. "
        "Channel attention gives every\nchannel a weight, for this image, and multiplies the channel "
        "by it.\n\n1. **Squeeze.** Average every channel over the map: C numbers, the *pooled "
        "features*.\n2. **Decide.** Turn them into C weights, mostly between 0 and 1. This step is "
        "where the modules differ.\n3. **Scale.** Multiply channel c by weight c. We call the weight "
        "its **gate**.\n\n[SE](%(se)s) decides with two fully connected layers through a narrow middle "
        "of C / r numbers.\n[ECA](%(eca)s) decides with one short filter that slides along the "
        "channels. Look at what that means.\n",
        se=SE,
        eca=ECA,
    )


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
