"""Where networks look: Grad-CAM over a photo, one picture a network, with the score of the class under each."""

import base64
from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from attention.client import ServiceError
from attention.reports.cam import CamMap, CamPhoto, CamRequest
from attention.reports.compare import PhotoFit
from attention.schemas import Image
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing.marks import Chart
from dashboard.drawing.words import labels
from dashboard.language import say, show_caption
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.widgets import linked

ADDRESS = "cam"
"""In the page's address: whether heat maps are drawn."""
WIDE = 3
SIDE = 260
"""Longest side of a heat map, pixels."""
FRAME = 40
"""Of a chart's height, what Streamlit leaves free above and below the picture, pixels."""
PICTURE = 480
"""Longest side of the photo under a heat map, pixels."""


def where(image: Image, variants: Sequence[Variant], fit: PhotoFit | None) -> None:
    """A switch, and behind it a heat map for each network."""
    if not linked.switch(st.toggle, say("Where they look (Grad-CAM)"), ADDRESS):
        return
    typed = st.text_input(
        say("Class"),
        key="cam.class",
        placeholder=say("each network's first class"),
        help=say("A class by name or number."),
    ).strip()
    target = int(typed) if typed.isdecimal() else typed or None
    try:
        with st.spinner(say("Going backwards through the networks …")):
            report = connect.ask(CamRequest(images=(image.id,), variants=tuple(variants), target=target, fit=fit))
    except ServiceError as error:  # such as a class that is not there; the rest of the page stands
        st.error(explained(error), icon=":material/error:")
        return
    drawing.caveats(report.caveats)
    names = labels([network.name for network in report.networks])
    photo = next(item for item in report.photos if item.image == image.id)
    for start in range(0, len(report.maps), WIDE):
        for heat_map, column in zip(report.maps[start : start + WIDE], st.columns(WIDE), strict=False):
            with column:
                st.markdown(f"**{names[heat_map.network]}**")
                drawing.plot(
                    over(heat_map, photo, connect.picture(image, PICTURE)),
                    say("%(name)s: %(text)s", name=names[heat_map.network], text=caption(heat_map)),
                    width="content",  # stretched, the map would be wider than the photo below it
                )
                st.caption(caption(heat_map))
    show_caption(
        "Orange marks what speaks for the class, for each network by its own maximum; what speaks "
        "against it is left out. Look for networks that are right for another reason. %(method)s",
        method=translated(report.method),
    )


def caption(heat_map: CamMap) -> str:
    """The class of a map with its score, and the network's own first class where it is another."""
    target, first = heat_map.target, heat_map.first
    name = say(target.label) if target.label else say("class %(index)s", index=target.index)
    sentence = say("%(name)s: %(text)s", name=name, text=f"{target.probability:.1%}")
    if first.index != target.index:
        sentence += say(
            " (it says %(value)s, %(probability)s)",
            value=say(first.label) if first.label else first.index,
            probability=f"{first.probability:.0%}",
        )
    return sentence if heat_map.maximum > 0 else say("%(said)s; nothing speaks for it", said=sentence)


def over(heat_map: CamMap, photo: CamPhoto, picture: bytes) -> Chart:
    """The heat map over its photo, where the network saw it."""
    left, top, right, bottom = heat_map.crop
    rows, columns = len(heat_map.grid), len(heat_map.grid[0])
    cells = pd.DataFrame(
        [
            {
                "x": photo.width * (left + (right - left) * column / columns),
                "x2": photo.width * (left + (right - left) * (column + 1) / columns),
                "y": photo.height * (top + (bottom - top) * row / rows),
                "y2": photo.height * (top + (bottom - top) * (row + 1) / rows),
                "evidence": value,
            }
            for row, values in enumerate(heat_map.grid)
            for column, value in enumerate(values)
        ]
    )
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, photo.width], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[photo.height, 0], nice=False))
    url = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
    scale = SIDE / max(photo.width, photo.height)
    width, height = scale * photo.width, scale * photo.height
    under = alt.Chart(pd.DataFrame([{"x": photo.width / 2, "y": photo.height / 2, "url": url}])).mark_image(
        width=alt.expr("width"), height=alt.expr("height"), aspect=False
    )
    heat = alt.Chart(cells).mark_rect(color="#ff7a00", strokeWidth=0, clip=True)
    heat = heat.encode(
        x=x,
        x2="x2:Q",
        y=y,
        y2="y2:Q",
        opacity=alt.Opacity("evidence:Q", scale=alt.Scale(domain=[0, 1], range=[0, 0.75]), legend=None),
        tooltip=[alt.Tooltip("evidence:Q", format=".2f", title=say("evidence, by the maximum"))],
    )
    return alt.layer(under.encode(x=x, y=y, url="url:N"), heat).properties(width=width, height=height + FRAME)
