"""Who hears whom: which channels and places each gate of a module depends on, beside SE's."""

import base64
from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from attention.client import ServiceError
from attention.reports.influence import GateInfluence, InfluenceReport, InfluenceRequest
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import theme
from dashboard.drawing.words import GATES
from dashboard.language import say
from dashboard.refusals import explained
from dashboard.service_sentences import translated

LEVELS = 20
"""Shades of a picture."""
BESIDE = "se"
"""The module that every other one is shown beside."""


def show(name: str) -> None:
    """Pictures and sentences for every gate of the module, and for SE's."""
    st.subheader(say("Who hears whom"), anchor=False)
    report = None
    for module in dict.fromkeys((name, BESIDE)):
        try:
            answer = connect.ask(InfluenceRequest(module=module))
        except ServiceError as error:
            st.caption(explained(error))
            continue
        report = report or answer
        st.html("".join(_gate(module, gate, answer) for gate in answer.gates))
    if report is not None:
        st.caption(translated(report.conditions))
        drawing.files(report, f"who-hears-whom-{name}")


def _gate(module: str, gate: GateInfluence, report: InfluenceReport) -> str:
    """One gate: its sentence, its channels and its places."""
    text, hue = sentence(gate, report), theme.hue(module)
    places = say("places that the gate in the middle hears")
    pictures = [picture(gate.by_place, hue, say("Places: %(what)s", what=text), places)]
    if len(gate.by_channel) > 1:
        channels = say("gate c (down) by channel j (across)")
        pictures.insert(0, picture(gate.by_channel, hue, say("Channels: %(what)s", what=text), channels))
    kind = say(GATES[gate.kind])
    which = f" · <code>{escape(gate.path)}</code>" if len(report.gates) > 1 else ""
    head = (
        f'<div class="lab-head"><span style="color:{hue}" aria-hidden="true">{theme.sign(module)}</span> '
        f"<b>{escape(theme.called(module))}</b> <small>{escape(kind)}{which}</small></div>"
    )
    return f'{head}<p class="lab-said">{escape(text)}</p><div class="lab-maps lab-heard">{"".join(pictures)}</div>'


def sentence(gate: GateInfluence, report: InfluenceReport) -> str:
    """How many channels and places a gate hears, and through how many numbers if these are fewer."""
    if not gate.channels_heard:
        return say("It hears nothing: the gate does not look at the image.")
    range_text = say(
        "It hears %(channels)s of %(all)s channels at %(places)s of %(every)s places.",
        channels=gate.channels_heard,
        all=report.channels,
        places=gate.places_heard,
        every=report.side**2,
    )
    narrow = gate.channels_heard > 1 and gate.rank < gate.channels_heard and len(gate.by_channel) > 1
    through = say("All channels together pass through %(rank)s numbers.", rank=gate.rank) if narrow else ""
    return f"{range_text} {through}".strip()


def picture(rows: Sequence[Sequence[float]], hue: str, alt: str, below: str = "") -> str:
    """A matrix of shares as an image: nothing is the page, 1 is the colour; roots, so that what is small is seen."""
    levels = (LEVELS * np.sqrt(np.array(rows))).round().astype(int)
    height, width = levels.shape
    paths = []
    for level in range(1, LEVELS + 1):
        cells = "".join(f"M{column} {row}h1v1h-1z" for row, column in np.argwhere(levels == level))
        if cells:
            paths.append(f'<path d="{cells}" fill="{hue}" fill-opacity="{level / LEVELS:.3f}"/>')
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" shape-rendering="crispEdges">'
        f"{''.join(paths)}</svg>"
    )
    source = base64.b64encode(svg.encode()).decode()
    caption = f"<figcaption>{escape(below)}</figcaption>" if below else ""
    return f'<figure><img src="data:image/svg+xml;base64,{source}" alt="{escape(alt)}">{caption}</figure>'
