"""Gates that know where, drawn over the photo: places, rows and columns, whom a place listens to, choice of kernel."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attention.client import gate_values
from attention.reports.compare import Comparison, GateSummary, PhotoFit, Prediction, VariantSummary
from attention.reports.maps import MapsRequest
from attention.reports.seen import Crop, SeenRequest
from attention.schemas import Image
from dashboard import connect
from dashboard.drawing import overlay, theme, words
from dashboard.drawing.overlay import Overlay
from dashboard.drawing.words import about
from dashboard.language import say, show_caption
from dashboard.widgets import gallery

MOST = 9
"""Layers that one network shows at most, evenly spaced."""
WHERE = ("spatial", "rows", "columns", "full", "matrix", "branch")


def show(report: Comparison, image: Image, fit: PhotoFit | None) -> None:
    """A row of pictures for each chosen network whose gates know places."""
    called = words.labels([variant.name for variant in report.variants])
    rows = [
        (variant, prediction)
        for variant, prediction in zip(report.variants, about(report, image.id), strict=True)
        if any(gate.kind in WHERE for gate in prediction.gates)
    ]
    if not rows:
        return
    st.subheader(say("Gates that know where, drawn over the photo"), anchor=False)
    show_caption(
        "Bright lets most through, dark is held back. Each picture has its own scale: its smallest and its largest "
        "weight stand below it."
    )
    for variant, prediction in rows:
        left, right = st.columns([1, 6], gap="small")
        left.html(
            f'<div class="lab-head"><span style="color:{theme.hue(variant.name)}" aria-hidden="true">'
            f"{theme.sign(variant.name)}</span> <b>{called[variant.name]}</b><br>"
            f"<small>{kind(prediction.gates)}</small></div>"
        )
        with right:
            _network(variant, prediction, image, called[variant.name], fit)


def kind(gates: Sequence[GateSummary]) -> str:
    """What the gates of a network run over, in a few words."""
    kinds = {gate.kind for gate in gates}
    if "matrix" in kinds:
        return say("click a place: whom it listens to")
    if {"rows", "columns"} & kinds:
        return say("row weight × column weight")
    if "branch" in kinds:
        return say("share of the larger kernel")
    return say("one weight a place")


def _network(variant: VariantSummary, prediction: Prediction, image: Image, name: str, fit: PhotoFit | None) -> None:
    hue, key = theme.hue(variant.name), f"overlay.{variant.name}"
    kinds = {gate.kind for gate in prediction.gates}
    if "matrix" in kinds:
        _listening(variant, prediction, image, name, fit)
        return
    if "branch" in kinds:
        st.html(_branches(prediction, hue))
        return
    photo, crop = gallery.source(image, 320), _crop(image, variant, fit)
    overlay.draw(photo, crop, _even(places(prediction, name)), key, hue)


def _crop(image: Image, variant: VariantSummary, fit: PhotoFit | None) -> Crop:
    """The part of the photo that a network saw."""
    (picture,) = connect.ask(SeenRequest(image=image.id, variants=(variant.variant,), fit=fit)).pictures
    return picture.crop


def _even(items: Sequence[Overlay]) -> list[Overlay]:
    at = np.linspace(0, len(items) - 1, min(MOST, len(items))).round().astype(int)
    return [items[index] for index in at]


def places(prediction: Prediction, name: str) -> list[Overlay]:
    """One picture a layer: a map of places, the product of rows and columns, or the mean over channels."""
    values, drawn = gate_values(prediction), []
    by_block: dict[tuple[int, int], list[GateSummary]] = {}
    for gate in prediction.gates:
        if gate.kind in ("spatial", "rows", "columns", "full") and gate.path in values:
            by_block.setdefault((gate.stage, gate.block), []).append(gate)
    for (stage, block), gates in by_block.items():
        weights = product({gate.kind: values[gate.path].reshape(gate.shape) for gate in gates})
        low, high = float(weights.min()), float(weights.max())
        caption = f"{stage}.{block} · {low:.2g} … {high:.2g}"
        text = say(
            "Weights of %(network)s in layer %(layer)s over the photo, from %(low)s to %(high)s",
            network=name,
            layer=f"{stage}.{block}",
            low=f"{low:.2g}",
            high=f"{high:.2g}",
        )
        rows, columns = weights.shape
        drawn.append(Overlay(caption, text, rows, columns, weights.flatten().tolist(), low, high))
    return drawn


def product(gates: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Weights of places (H, W), as a mean over channels, from the gates of one layer by their kind."""
    if "rows" in gates and "columns" in gates:
        return np.asarray((gates["rows"] * gates["columns"]).mean(0))  # (C, H, 1) x (C, 1, W)
    only = next(gates[kind] for kind in ("spatial", "full", "rows", "columns") if kind in gates)
    mean = only.mean(0)  # (1, H, W) or (C, H, W), (C, H, 1), (C, 1, W)
    side = max(mean.shape)
    return np.broadcast_to(
        mean, (side if mean.shape[0] == 1 else mean.shape[0], side if mean.shape[1] == 1 else mean.shape[1])
    )


def _listening(variant: VariantSummary, prediction: Prediction, image: Image, name: str, fit: PhotoFit | None) -> None:
    """Whom the clicked place listens to, in each layer whose gate is between places."""
    key = f"overlay.{variant.name}"
    clicked = (st.session_state.get(key) or {}).get("place") or st.session_state.get(f"{key}.place")
    if clicked:
        st.session_state[f"{key}.place"] = clicked
    drawn = []
    for gate in [gate for gate in prediction.gates if gate.kind == "matrix"]:
        side = round(gate.shape[0] ** 0.5)
        if side * side != gate.shape[0] or "channel" in gate.path:
            continue
        row, column = (side // 2, side // 2)
        if clicked:
            row, column = clicked["row"] * side // clicked["rows"], clicked["column"] * side // clicked["columns"]
        place = (row, column)
        request = MapsRequest(
            image=image.id, variant=variant.variant, gate=gate.path, channels=(), place=place, fit=fit
        )
        weights = connect.ask(request).listening
        if weights is None:
            continue
        low, high = min(weights.shares), max(weights.shares)
        text = say("Whom the framed place listens to, in layer %(layer)s", layer=f"{gate.stage}.{gate.block}")
        caption = f"{gate.stage}.{gate.block} · {low:.2g} … {high:.2g}"
        drawn.append(Overlay(caption, text, weights.height, weights.width, weights.shares, low, high, place))
        if len(drawn) == MOST // 2:
            break
    if drawn:
        crop = _crop(image, variant, fit)
        overlay.draw(gallery.source(image, 320), crop, drawn, key, theme.hue(variant.name), asks=True)
    else:
        show_caption("%(network)s has no gate between places here.", network=name)


def _branches(prediction: Prediction, hue: str) -> str:
    """The share of the larger kernel in each layer, mean over channels, as a filled box."""
    values, boxes = gate_values(prediction), []
    for gate in prediction.gates:
        if gate.kind == "branch" and gate.path in values:
            share = float(values[gate.path].reshape(gate.shape)[-1].mean())
            boxes.append(
                f'<figure><div class="lab-share" role="img" aria-label="{gate.stage}.{gate.block}: {share:.2f}">'
                f'<div style="height:{100 * share:.0f}%;background:{hue}"></div></div>'
                f"<figcaption>{gate.stage}.{gate.block} · <b>{share:.2f}</b></figcaption></figure>"
            )
    return f'<div class="lab-maps">{"".join(boxes)}</div>'
