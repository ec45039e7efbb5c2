"""Does a selective kernel choose its larger branch when the object in the middle grows?

The picture of the SK paper (Fig. 3 and 4): the middle of each image is enlarged, and the mean over channels of the
largest kernel's weight minus the smallest's is followed, gate by gate. https://arxiv.org/abs/1903.06586
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.build import skeleton
from attention.data.preprocessing import preprocess
from attention.data.sampling import batches, how_many
from attention.errors import InvalidRequest
from attention.gate import sites
from attention.measuring.channel_gates import place, ran
from attention.measuring.statistics import paired_interval
from attention.reports.gates import GateSite
from attention.reports.parts.evidence import Interval
from attention.reports.parts.subjects import Ran
from attention.reports.scale import ScaleGate, ScalePoint, ScaleReport, ScaleRequest
from attention.spec import Variant

BATCH = 16
"""Images at a time."""

REDUCED = "Each channel's weight of the last branch minus that of the first."


@analyses.register("scale")
def scale(request: ScaleRequest, lab: AnyLab) -> ScaleReport:
    """Does a selective kernel choose its larger branch when the object in the middle grows?"""
    network = lab.describe(request.variant)
    subject, how = ran(network, lab), network.preprocess
    variant, factors = network.variant, sorted(set(request.factors))
    if len(factors) < 2:
        raise InvalidRequest("Name at least two different factors, such as 1 and 2.")
    choosing = _choosing(variant)
    total = how_many(request.pictures, lab.files)
    preferences: dict[str, list[torch.Tensor]] = {site.path: [] for site in choosing}  # (B, factors) each
    shapes: dict[str, torch.Size] = {}
    lab.progress(0, total, network.name)
    for some, _ in batches(request.pictures, how, lab.files, BATCH):
        grown = [preprocess(enlarged(example.image, factor), how) for example in some for factor in factors]
        gates = lab.forward(variant, torch.stack(grown)).gates
        for site in choosing:
            weights = gates[site.path].double().cpu()  # (B * factors, M, C, 1, 1)
            shapes[site.path] = weights.shape
            difference = (weights[:, -1] - weights[:, 0]).mean((1, 2, 3))
            preferences[site.path].append(difference.view(len(some), len(factors)))
        report = _report(request, subject, choosing, factors, preferences, shapes, total)
        lab.progress(report.images, total, network.name, report)
    return report


def enlarged(image: Image.Image, factor: float) -> Image.Image:
    """The middle 1 / factor of each side of an image, at the whole image's size; the same image for 1."""
    width, height = image.size
    left, top = (width - width / factor) / 2, (height - height / factor) / 2
    return image.resize(image.size, Image.Resampling.BICUBIC, box=(left, top, width - left, height - top))


def _choosing(variant: Variant) -> tuple[GateSite, ...]:
    """The gates of a network that choose among branches.

    Raises:
        InvalidRequest: it has none.
    """
    branch_sites = tuple(site for site in sites(skeleton(variant)) if site.kind == "branch")
    if not branch_sites:
        raise InvalidRequest(
            f"{variant.name} has no gate that chooses among branches. Ask for a network with selective kernels, such "
            f"as {variant.backbone}/sk."
        )
    return branch_sites


def _report(
    request: ScaleRequest,
    network: Ran,
    choosing: Sequence[GateSite],
    factors: Sequence[float],
    preferences: dict[str, list[torch.Tensor]],
    shapes: dict[str, torch.Size],
    total: int,
) -> ScaleReport:
    gates, count = [], 0
    for site in choosing:
        values = torch.cat(preferences[site.path]).numpy()  # (n, factors)
        count, shape = len(values), shapes[site.path]
        points = []
        for number, factor in enumerate(factors):
            column = values[:, number]
            change: Interval | None = None
            if number and count > 1:
                interval = paired_interval(column - values[:, 0])
                change = interval.model_copy(update={"method": "paired t over images"})
            points.append(
                ScalePoint(
                    factor=factor,
                    preference=float(column.mean()),
                    std=float(np.std(column, ddof=1)) if count > 1 else None,
                    change=change,
                )
            )
        where = {**dict(place(site, shape[2])), "reduced": REDUCED}
        gates.append(ScaleGate(**where, branches=shape[1], points=tuple(points)))
    caveats = [network.warning] if network.warning else []
    caveats.append(
        "Enlarging also blurs, and cuts off what is around the middle; no branch knows which of them moved its weight."
    )
    if count < 2:
        caveats.append("One image has no spread, so there are no intervals.")
    return ScaleReport(
        network=network,
        pictures=request.pictures,
        images=count,
        total=total,
        gates=tuple(gates),
        caveats=tuple(caveats),
    )
