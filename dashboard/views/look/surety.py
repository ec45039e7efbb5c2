"""Whether a photo is of any of the networks' classes: how sure they are of it beside photos that are."""

from collections.abc import Sequence

import streamlit as st

from attention.reports.out_of_distribution import OutOfDistributionReport, OutOfDistributionRequest
from attention.schemas import Image
from attention.spec import Pictures, Variant
from dashboard import connect
from dashboard.language import say, show_caption

MOST = 6
"""Networks that are asked at once."""


def show(image: Image, class_names: Sequence[str], variants: Sequence[Variant]) -> None:
    """Say of an upload where it lies among photos of the classes, and how well that tells foreign photos apart.

    Nothing is said where no photos of the classes come along.
    """
    if image.label in class_names or not class_names or not variants:
        return
    shipped = [data for data in connect.client().datasets() if data.shipped and data.classes]
    data_name = next((data.name for data in shipped if set(data.classes or ()) == set(class_names)), None)
    if data_name is None:
        return
    if image.label is None:
        _said(_asked(variants, data_name, [image.id]), len(class_names))
    samples = [sample for sample in connect.client().images() if sample.label is not None]
    foreign = [sample.id for sample in samples if sample.label not in class_names]
    separations = _asked(variants, data_name, foreign).networks
    areas = [separation.energy_area for separation in separations]
    show_caption(
        "Free energy tells %(own)s photos of these classes from %(foreign)s of the gallery that show none: area "
        "under the curve %(low)s to %(high)s (1 tells all apart, 0.5 none).",
        own=separations[0].own,
        foreign=separations[0].photos,
        low=f"{min(areas):.2f}",
        high=f"{max(areas):.2f}",
    )


def _asked(variants: Sequence[Variant], data_name: str, photos: Sequence[str]) -> OutOfDistributionReport:
    question = OutOfDistributionRequest(
        variants=tuple(variants[:MOST]), photos=Pictures(images=tuple(photos)), own=Pictures(data=data_name)
    )
    return connect.ask(question)


def _said(report: OutOfDistributionReport, classes: int) -> None:
    """Where an upload lies among the networks' own photos."""
    surest = max(surety.energy_quantile for surety in report.photos)
    softmax = max(surety.softmax_quantile for surety in report.photos)
    if all(surety.probably_none for surety in report.photos):
        st.info(
            say("Probably none of these %(count)s. Read the answers as “most like”.", count=classes),
            icon=":material/help:",
        )
    show_caption(
        "The surest of these networks is surer of it than of %(energy)s %% (free energy) and %(softmax)s %% "
        "(largest probability) of photos that do show these classes.",
        energy=f"{100 * surest:.0f}",
        softmax=f"{100 * softmax:.0f}",
    )
