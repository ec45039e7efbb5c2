"""Choosing one picture of a row that is one tab stop; photos are such a row, with an upload box beside it."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class Picture:
    """One picture of a row.

    Args:
        title: what a screen reader says of it.
        src: source of its ``<img>``.
        unknown: whether it carries a question mark.
        caption: what stands below it.
        shade: its brightness, 0 to 1.
        frame: colour of its frame; empty for none.
        after_gap: whether pictures before it are left out.
    """

    id: str
    title: str
    src: str
    unknown: bool = False
    caption: str = ""
    shade: float = 1.0
    frame: str = ""
    after_gap: bool = False


def row(pictures: Sequence[Picture], chosen: str, label: str, key: str, on_change: Callable[[], None]) -> None:
    """Show pictures of which one is chosen; ``st.session_state[key]["chosen"]`` has the id of the one clicked.

    Args:
        chosen: id of the chosen one; empty for none yet.
    """
    data = {"label": label, "chosen": chosen, "photos": [asdict(picture) for picture in pictures]}
    _row(data=data, key=key, on_chosen_change=on_change)


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
        pictures = [
            Picture(image.id, photos.title(image), source(image, PICTURE), unknown=image.label == "") for image in shown
        ]
        row(pictures, chosen.id, say("Photos"), ROW, _clicked)
    linked.write(KEY, [chosen.id])
    return chosen


def _clicked() -> None:
    st.session_state[KEY] = [st.session_state[ROW]["chosen"]]


def source(image: Image, size: int) -> str:
    """A small picture of a photo as the source of an ``<img>``."""
    return f"data:image/jpeg;base64,{base64.b64encode(connect.picture(image, size)).decode()}"
