"""Choosing one photo: the samples and uploads in a row that is one tab stop, and an upload box beside it."""

import base64
from pathlib import Path

import streamlit as st
from streamlit.components import v2 as components

from attention.schemas import Image
from dashboard import connect
from dashboard.language import say
from dashboard.widgets import linked, photos

FOLDER = Path(__file__).parent
PICTURE = 160
"""Longest side of a photo in the row, pixels."""
KEY, ROW = "image", "gallery.row"

_row = components.component(
    "photo_gallery",
    html='<div class="row" role="radiogroup"></div>',
    css=(FOLDER / "gallery.css").read_text("utf-8"),
    js=(FOLDER / "gallery.js").read_text("utf-8"),
)


def choose() -> Image | None:
    """The photo to look at; before any choice, the first sample. None where there is no photo at all."""
    stored = {image.id: image for image in connect.client().images()}
    left, right = st.columns([5, 1], gap="medium", vertical_alignment="center")
    with right:
        photos.upload(stored, KEY)
    photos.start(stored, KEY, 1)
    chosen = next((stored[id] for id in st.session_state[KEY] if id in stored), None)
    if chosen is None:
        return None
    uploads = [stored[id] for id in st.session_state[photos.UPLOADS] if id in stored]
    shown = [*uploads, *(image for image in stored.values() if image.sample)]
    with left:
        _row(
            data={
                "label": say("Photos"),
                "chosen": chosen.id,
                "photos": [
                    {
                        "id": image.id,
                        "title": photos.title(image),
                        "src": source(image, PICTURE),
                        "unknown": image.label == "",
                    }
                    for image in shown
                ],
            },
            key=ROW,
            on_chosen_change=_clicked,
        )
    linked.write(KEY, [chosen.id])
    return chosen


def _clicked() -> None:
    st.session_state[KEY] = [st.session_state[ROW]["chosen"]]


def source(image: Image, size: int) -> str:
    """A small picture of a photo as the source of an ``<img>``."""
    return f"data:image/jpeg;base64,{base64.b64encode(connect.picture(image, size)).decode()}"
