"""Attention weights drawn over a photo, as brightness of the photo itself: what is held back is dark."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streamlit.components import v2 as components

from attention.reports.seen import Crop

_overlays = components.component(
    "weight_overlays",
    html='<div class="overlays"></div>',
    css=".overlays { display: flex; flex-wrap: wrap; gap: 0.6rem 0.8rem; } figure { margin: 0; }"
    " canvas { width: 132px; height: 132px; border-radius: 0.5rem; display: block; }"
    " canvas:focus-visible { outline: 2px solid var(--st-primary-color); }"
    " figcaption { font: 0.8rem var(--st-font); color: var(--st-text-color); opacity: 0.85; }",
    js=Path(__file__).with_name("overlay.js").read_text("utf-8"),
)


@dataclass(frozen=True)
class Overlay:
    """Weights of the places of one picture, row by row, on a scale of their own.

    Args:
        place: row and column of the place that is framed.
    """

    caption: str
    alt: str
    rows: int
    columns: int
    weights: Sequence[float]
    low: float
    high: float
    place: tuple[int, int] | None = None


def draw(photo: str, crop: Crop, overlays: Sequence[Overlay], key: str, colour: str, asks: bool = False) -> Any:
    """Draw weights over a photo; gives the place that was clicked, as ``place``, where ``asks``.

    Args:
        photo: source of the photo's ``<img>``.
        crop: the part of the photo that the network saw, as `SeenPicture` gives it.
        colour: of the frame around a place.
    """
    data = {
        "photo": photo,
        "crop": crop,
        "colour": colour,
        "asks": asks,
        "items": [
            {**asdict(item), "weights": [round(float(weight), 4) for weight in item.weights]} for item in overlays
        ],
    }
    return _overlays(data=data, key=key, on_place_change=_nothing)


def _nothing() -> None:
    """A click only runs the page anew."""
