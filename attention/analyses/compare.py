"""What do these networks see in these photos, and what does their attention do?"""

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attention.analyses import analyses
from attention.analysis import AnyLab, Outputs
from attention.data.preprocessing import prepared
from attention.errors import InvalidRequest, TooLarge
from attention.measuring.confounds import differences_in_training
from attention.network import as_asked, need_classes
from attention.reports.compare import ClassScore, CompareRequest, Comparison, GateSummary, Prediction, VariantSummary
from attention.reports.parts.network import Network
from attention.running.device import device_name
from attention.running.runner import check_finite
from attention.spec import REFERRING

LOW, HIGH = 0.1, 0.9
"""A gate entry below or above these counts as saturated."""

OTHERWISE = "Photos are prepared in another way than for the accuracies on the networks' cards, which do not hold here."

MAX_VALUES = 8_000_000
"""Gate entries of one variant that an answer carries: DANet's maps between positions grow with the fourth power."""


@analyses.register("compare")
def compare(request: CompareRequest, lab: AnyLab) -> Comparison:
    """What do these networks see in these photos, and what does their attention do?"""
    networks = [as_asked(lab.describe(variant), request) for variant in request.variants]
    for network in networks:
        need_classes(network)
    if (request.input_size or request.fit) and request.ablation and request.ablation.kind in REFERRING:
        raise InvalidRequest(
            f"Kind {request.ablation.kind!r} puts in gates of reference images, which networks see in their own way. "
            "Leave out input_size and fit, or ask for another kind of ablation."
        )
    unusual = (OTHERWISE,) if (request.input_size or request.fit) and any(one.trained for one in networks) else ()
    inputs, _ = prepared(map(lab.files.image, request.images), (network.preprocess for network in networks))
    by_variant: list[list[Prediction]] = []
    for number, network in enumerate(networks):
        lab.progress(number, len(networks), network.name)
        ablation = request.ablation if network.gates else None
        outputs = lab.forward(network.variant, inputs[network.preprocess], ablation)
        by_variant.append(predictions(request, network.name, network.labels, outputs))
    return Comparison(
        variants=tuple(map(_summary, networks)),
        predictions=tuple(prediction for image in zip(*by_variant, strict=True) for prediction in image),
        ablation=request.ablation,
        device=device_name(lab.device),
        dtype=lab.dtype,
        caveats=(*differences_in_training(tuple(network for network in networks if network.load)), *unusual),
    )


def _summary(network: Network) -> VariantSummary:
    """What an answer says of a network."""
    return VariantSummary(**{field: getattr(network, field) for field in VariantSummary.model_fields})


def predictions(request: CompareRequest, name: str, labels: Sequence[str], outputs: Outputs) -> list[Prediction]:
    """Make the predictions of one variant for each image of the request from its outputs, in order."""
    check_finite(outputs.logits, name)
    shares = outputs.logits.float().softmax(1)  # (B, K)
    best = shares.topk(min(request.top_k, shares.shape[1]), 1)
    rows = [outputs.gates[site.path].flatten(1).float().cpu().numpy() for site in outputs.sites]  # (B, entries) each
    sent = [request.matrices or site.kind != "matrix" for site in outputs.sites]
    entries = sum(row.size for row, wanted in zip(rows, sent, strict=True) if wanted)
    if request.gates != "none" and entries > MAX_VALUES:
        raise TooLarge(
            f"The gates of {name} have {entries:,} entries for {len(request.images)} photos; an "
            f"answer carries at most {MAX_VALUES:,}. Ask for fewer photos, or for gates=none: their statistics stay."
        )
    left_out: tuple[str, ...] = ()
    if request.gates != "none":
        left_out = tuple(site.path for site, wanted in zip(outputs.sites, sent, strict=True) if not wanted)
    results = []
    for number, image in enumerate(request.images):
        top = tuple(
            class_score(index, labels, share)
            for index, share in zip(best.indices[number].tolist(), best.values[number].tolist(), strict=True)
        )
        values, packed = None, None
        if request.gates == "json":
            values = tuple(
                tuple(row[number].astype(np.float64).round(6).tolist()) if wanted else ()
                for row, wanted in zip(rows, sent, strict=True)
            )
        elif request.gates == "base64":
            parts = [row[number] for row, wanted in zip(rows, sent, strict=True) if wanted]
            whole = np.concatenate(parts) if parts else np.empty(0)
            packed = base64.b64encode(whole.astype("<f2").tobytes()).decode()
        gates = _summaries(outputs, rows, number)
        results.append(
            Prediction(
                image=image,
                variant=name,
                top=top,
                gates=gates,
                left_out=left_out,
                values=values,
                values_base64=packed,
            )
        )
    return results


def class_score(index: int, names: Sequence[str], probability: float) -> ClassScore:
    """A class with its probability, and its name where the network's classes have names."""
    return ClassScore(index=index, label=names[index] if names else None, probability=probability)


def _summaries(outputs: Outputs, rows: list[NDArray[np.float32]], number: int) -> tuple[GateSummary, ...]:
    """What one image's gates are like, all gates at once: segments of one long row."""
    if not rows:
        return ()
    sizes = np.array([row.shape[1] for row in rows])
    starts = np.concatenate(([0], sizes.cumsum()[:-1]))
    long = np.concatenate([row[number] for row in rows]).astype(np.float64)
    means = np.add.reduceat(long, starts) / sizes
    stds = np.sqrt(np.add.reduceat((long - np.repeat(means, sizes)) ** 2, starts) / sizes)
    low, high = (np.add.reduceat(hit.astype(np.float64), starts) / sizes for hit in (long < LOW, long > HIGH))
    columns = (means, stds, np.minimum.reduceat(long, starts), np.maximum.reduceat(long, starts), low, high)
    summaries = []
    for site, *(mean, std, least, most, share_low, share_high) in zip(
        outputs.sites, *(column.tolist() for column in columns), strict=True
    ):
        summaries.append(
            GateSummary(
                path=site.path,  # one by one, which takes less than half of the time of **dict(site)
                kind=site.kind,
                neutral=site.neutral,
                position=site.position,
                stage=site.stage,
                block=site.block,
                shape=tuple(outputs.gates[site.path].shape[1:]),
                mean=mean,
                std=std,
                min=least,
                max=most,
                share_low=share_low,
                share_high=share_high,
            )
        )
    return tuple(summaries)
