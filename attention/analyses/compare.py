"""What do these networks see in these photos, and what does their attention do?"""

import base64
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attention.analyses import analyses
from attention.analysis import AnyLab, Outputs, check_finite
from attention.build import load_report, preprocess_of, renamed, resolve
from attention.counting.cost import count
from attention.data.sampling import prepared
from attention.errors import TooLarge
from attention.measuring.confounds import differences_in_training
from attention.reports.checkpoints import WeightsState
from attention.reports.compare import ClassScore, CompareRequest, Comparison, GateSummary, Prediction, VariantSummary
from attention.reports.gates import GateSite
from attention.running.device import device_name
from attention.spec import Variant
from attention.weights import load as weights
from attention.weights.find import Checkpoints

LOW, HIGH = 0.1, 0.9
"""A gate entry below or above these counts as saturated."""

MAX_VALUES = 8_000_000
"""Gate entries of one variant that an answer carries: DANet's maps between positions grow with the fourth power."""


@analyses.register("compare")
def compare(request: CompareRequest, lab: AnyLab) -> Comparison:
    """What do these networks see in these photos, and what does their attention do?"""
    variants = [resolve(variant) for variant in request.variants]
    summaries = [
        _summary(variant, renamed(asked), lab.files.checkpoints)
        for variant, asked in zip(variants, request.variants, strict=True)
    ]
    inputs, _ = prepared(request.images, (summary.preprocess for summary in summaries), lab.files)
    by_variant: list[list[Prediction]] = []
    for number, (variant, summary) in enumerate(zip(variants, summaries, strict=True)):
        lab.progress(number, len(variants), variant.name)
        outputs = lab.forward(variant, inputs[summary.preprocess], request.ablation if variant.attention else None)
        labels = weights.labels(variant, lab.files.checkpoints)
        by_variant.append(predictions(request, variant.name, labels, outputs))
    return Comparison(
        variants=tuple(summaries),
        predictions=tuple(one for image in zip(*by_variant, strict=True) for one in image),
        ablation=request.ablation,
        device=device_name(lab.device),
        dtype=lab.dtype,
        caveats=differences_in_training({one.name: one.card for one in summaries if one.state != "untrained"}),
    )


def _summary(variant: Variant, former: Sequence[str], checkpoints: Checkpoints) -> VariantSummary:
    bill, load = count(variant), load_report(variant, checkpoints)
    state: WeightsState = "untrained" if load is None else "fresh attention" if load.fresh else "trained"
    return VariantSummary(
        name=variant.name,
        variant=variant,
        trained=state == "trained",
        warning=weights.warning(load, former),
        card=weights.card(variant, checkpoints),
        state=state,
        load=load,
        preprocess=preprocess_of(variant, checkpoints),
        parameters=bill.total.parameters,
        macs=bill.total.macs,
        attention_parameters=bill.attention.parameters,
        attention_macs=bill.attention.macs,
    )


def predictions(request: CompareRequest, name: str, labels: Sequence[str], outputs: Outputs) -> list[Prediction]:
    """What the outputs of one variant say of each image, in the order of the request."""
    check_finite(outputs.logits, name)
    shares = outputs.logits.float().softmax(1)  # (B, K)
    best = shares.topk(min(request.top_k, shares.shape[1]), 1)
    rows = _gate_rows(outputs.sites, outputs.gates)
    if request.gates != "none" and sum(row.size for row in rows) > MAX_VALUES:
        raise TooLarge(
            f"The gates of {name} have {sum(row.size for row in rows):,} entries for {len(request.images)} photos; an "
            f"answer carries at most {MAX_VALUES:,}. Ask for fewer photos, or for gates=none: their statistics stay."
        )
    found = []
    for number, image in enumerate(request.images):
        top = tuple(
            ClassScore(index=index, label=labels[index] if labels else None, probability=share)
            for index, share in zip(best.indices[number].tolist(), best.values[number].tolist(), strict=True)
        )
        values, packed = None, None
        if request.gates == "json":
            values = tuple(tuple(row[number].astype(np.float64).round(6).tolist()) for row in rows)
        elif request.gates == "base64":
            whole = np.concatenate([row[number] for row in rows]) if rows else np.empty(0)
            packed = base64.b64encode(whole.astype("<f2").tobytes()).decode()
        gates = _summaries(outputs, rows, number)
        found.append(Prediction(image=image, variant=name, top=top, gates=gates, values=values, values_base64=packed))
    return found


def _gate_rows(sites: Sequence[GateSite], gates: Mapping[str, Tensor]) -> list[NDArray[np.float32]]:
    """The entries of each gate, (B, entries), in the order of the sites."""
    return [gates[site.path].flatten(1).float().cpu().numpy() for site in sites]


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
                gate=site.path,
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
