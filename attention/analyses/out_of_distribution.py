"""How sure are networks that photos are of any of their classes, beside the images that they were tested on?

A softmax shares one whole among the classes, whatever the photo shows. So a photo's two scores are set beside those of
images of the network's own classes, as quantiles.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.data.sampling import batches, how_many
from attention.errors import InvalidRequest
from attention.measuring.channel_gates import ran
from attention.measuring.confounds import differences_in_training
from attention.measuring.out_of_distribution import area_under_curve, maximum_softmax, negative_energy, quantile
from attention.reports.out_of_distribution import (
    OutOfDistributionReport,
    OutOfDistributionRequest,
    Separation,
    Surety,
)
from attention.reports.parts.network import Network
from attention.running.runner import check_finite
from attention.spec import Pictures

LEAST_OWN = 20
"""With fewer own images a quantile of 5 % is less than one image."""

MEANING = (
    "Quantiles say where a photo lies among the own images; they are no probability that it is of one of the classes. "
    "Both scores miss photos that look like a class and are none."
)


@analyses.register("out_of_distribution")
def out_of_distribution(request: OutOfDistributionRequest, lab: AnyLab) -> OutOfDistributionReport:
    """How sure are networks that photos are of any of their classes, beside the images that they were tested on?"""
    own_count = how_many(request.own, lab.files)
    if own_count < LEAST_OWN:
        raise InvalidRequest(f"Quantiles need {LEAST_OWN} own images at least; there are {own_count}.")
    by_network: list[list[Surety]] = []
    networks = [lab.describe(variant) for variant in request.variants]
    separations, caveats = [], [MEANING, *differences_in_training(tuple(one for one in networks if one.load))]
    for number, network in enumerate(networks):
        lab.progress(number, len(networks), network.name)
        caveats += [f"{network.name}: {network.warning}"] if network.warning else []
        _, own_logits = _logits(request.own, network, lab)
        names, foreign = _logits(request.photos, network, lab)
        by_network.append(_sureties(names, foreign, own_logits, network, request.level))
        separations.append(
            Separation(
                network=ran(network, lab),
                own=len(own_logits),
                photos=len(foreign),
                softmax_area=area_under_curve(maximum_softmax(own_logits), maximum_softmax(foreign)),
                energy_area=area_under_curve(negative_energy(own_logits), negative_energy(foreign)),
            )
        )
    photos = tuple(surety for photo in zip(*by_network, strict=True) for surety in photo)
    return OutOfDistributionReport(photos=photos, networks=tuple(separations), caveats=tuple(caveats))


def _logits(photos: Pictures, network: Network, lab: AnyLab) -> tuple[list[str], Tensor]:
    """Names and logits (N, K) of all images."""
    names: list[str] = []
    parts = []
    for some, images in batches(photos, network.preprocess, lab.files):
        logits = lab.forward(network.variant, images).logits.float().cpu()
        check_finite(logits, network.name)
        names += [picture.name for picture in some]
        parts.append(logits)
    return names, torch.cat(parts)


def _sureties(names: Sequence[str], logits: Tensor, own_logits: Tensor, network: Network, level: float) -> list[Surety]:
    """What one network says of each photo, beside its own images."""
    references = maximum_softmax(own_logits), negative_energy(own_logits)
    rows = zip(names, logits.argmax(1).tolist(), maximum_softmax(logits), negative_energy(logits), strict=True)
    sureties = []
    for name, first, softmax, energy in rows:
        shares = quantile(softmax, references[0]), quantile(energy, references[1])
        sureties.append(
            Surety(
                image=name,
                variant=network.name,
                label=network.labels[first] if network.labels else None,
                maximum_softmax=float(softmax),
                negative_energy=float(energy),
                softmax_quantile=shares[0],
                energy_quantile=shares[1],
                probably_none=max(shares) < level,
            )
        )
    return sureties
