"""Which channels does attention excite for which classes, early and late in the network?

The picture of the SE paper (Fig. 6, and 7 for the spread within a class): the mean gate of each class, and of all,
over some channels, for the last block of every stage. https://arxiv.org/abs/1709.01507. The images stream by: of each
class only the running mean and variance of every channel is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.data.sampling import Picture, batches, how_many
from attention.errors import listing
from attention.measuring.channel_gates import (
    channel_sites,
    class_share,
    class_share_by_chance,
    named,
    per_channel,
    place,
    ran,
    require,
    spaced,
    static_share,
)
from attention.measuring.moments import Moments, together
from attention.reports.excitation import ClassCurve, ExcitationReport, ExcitationRequest, ExcitedGate
from attention.reports.gates import GateSite
from attention.reports.parts.subjects import ClassImages, Ran
from attention.spec import Pictures

BATCH = 16
"""Images at a time: gates of kind 'full' are as large as the maps."""

FEW = 10
"""Images of a class below which its curve is called rough."""


@dataclass
class ClassMoments:
    """Running moments of gates over images: for each gate, for each class, of every channel."""

    moments: dict[str, dict[str, Moments]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, labels: Sequence[str], gates: Mapping[str, torch.Tensor]) -> None:
        """Add the gate weights of a batch of images to what is kept: path of a gate -> weights (B, C)."""
        for label in labels:
            self.counts[label] = self.counts.get(label, 0) + 1
        for path, values in gates.items():
            of_gate, numbers = self.moments.setdefault(path, {}), values.double().cpu().numpy()
            for label in dict.fromkeys(labels):
                more = Moments.of(numbers[[other == label for other in labels]])
                of_gate[label] = of_gate[label] + more if label in of_gate else more


@analyses.register("excitation")
def excitation(request: ExcitationRequest, lab: AnyLab) -> ExcitationReport:
    """Which channels does attention excite for which classes, early and late in the network?"""
    network = lab.describe(request.variant)
    subject = ran(network, lab)
    candidates, left_out = channel_sites(network.variant)
    require(network.variant, candidates, left_out)
    chosen = named(candidates, request.gates) if request.gates is not None else last_of_stages(candidates)
    total, class_moments = how_many(request.pictures, lab.files), ClassMoments()
    lab.progress(0, total, network.name)
    for some, images in batches(request.pictures, network.preprocess, lab.files, BATCH):
        gates = lab.forward(network.variant, images).gates
        class_moments.add(
            [label_of(example) for example in some],
            {example.path: per_channel(gates[example.path], example.kind) for example in chosen},
        )
        report = _report(request, subject, chosen, left_out, class_moments, total)
        lab.progress(report.images, total, network.name, report)
    return report


def last_of_stages(gate_sites: Sequence[GateSite]) -> tuple[GateSite, ...]:
    """The gates of the last block of every stage."""
    last: dict[int, int] = {}
    for site in gate_sites:
        last[site.stage] = max(last.get(site.stage, 0), site.block)
    return tuple(site for site in gate_sites if site.block == last[site.stage])


def label_of(picture: Picture) -> str:
    """The class of a picture; a photo is a class of its own."""
    return picture.label if picture.label is not None else picture.name


def in_order(labels: Sequence[str], pictures: Pictures) -> list[str]:
    """Each class once: those of a data set by name, photos as they were asked for."""
    return sorted(set(labels)) if pictures.data is not None else list(dict.fromkeys(labels))


def _report(
    request: ExcitationRequest,
    network: Ran,
    chosen: Sequence[GateSite],
    left_out: Sequence[str],
    class_moments: ClassMoments,
    total: int,
) -> ExcitationReport:
    labels = in_order(list(class_moments.counts), request.pictures)
    gates = tuple(_gate(request, site, labels, class_moments.moments[site.path]) for site in chosen)
    return ExcitationReport(
        network=network,
        pictures=request.pictures,
        images=sum(class_moments.counts.values()),
        total=total,
        classes=tuple(ClassImages(label=label, images=class_moments.counts[label]) for label in labels),
        gates=gates,
        caveats=(*_caveats(request.pictures, network, gates, class_moments), *left_out),
    )


def _gate(
    request: ExcitationRequest, site: GateSite, labels: Sequence[str], of_gate: Mapping[str, Moments]
) -> ExcitedGate:
    by_class = [of_gate[label] for label in labels]
    means = np.stack([moments.mean for moments in by_class])  # (classes, C)
    channels = means.shape[1]
    shown = spaced(channels, request.channels)
    if request.seed is not None and request.channels < channels:
        order = torch.randperm(channels, generator=torch.Generator().manual_seed(request.seed))
        shown = sorted(order[: request.channels].tolist())
    inside = sum(moments.squares for moments in by_class) / sum(moments.count for moments in by_class)
    return ExcitedGate(
        **dict(place(site, channels)),
        shown=tuple(shown),
        mean=tuple(means.mean(0)[shown].tolist()),
        curves=tuple(
            ClassCurve(
                label=label,
                images=moments.count,
                mean=tuple(moments.mean[shown].tolist()),
                std=None if (std := moments.std) is None else tuple(std[shown].tolist()),
            )
            for label, moments in zip(labels, by_class, strict=True)
        ),
        between=float(means.std(0).mean()),
        within=float(np.sqrt(inside).mean()) if any(moments.count > 1 for moments in by_class) else None,
        static_share=static_share(together(by_class)),
        class_share=class_share(by_class),
        class_share_by_chance=class_share_by_chance(by_class),
    )


def _caveats(pictures: Pictures, network: Ran, gates: Sequence[ExcitedGate], class_moments: ClassMoments) -> list[str]:
    sentences = [network.warning] if network.warning else []
    if pictures.data is None:
        sentences.append("Each photo is a class of its own, so there is no spread within classes and no class share.")
    elif few := sorted(label for label, count in class_moments.counts.items() if count < FEW):
        sentences.append(
            f"Fewer than {FEW} images of {listing(few)}: part of what separates the curves is chance. The "
            "SE paper takes 50 a class."
        )
    if dead := [gate.path for gate in gates if gate.static_share is None]:
        sentences.append(f"The same number for every channel and every image, so without shares: {', '.join(dead)}.")
    return sentences
