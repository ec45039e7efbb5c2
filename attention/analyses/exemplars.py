"""Which images of a data set open each channel of a gate most, and which close it most?

The images that move a unit most are the oldest picture of what it responds to: Bolei Zhou, Aditya Khosla, Agata
Lapedriza, Aude Oliva, Antonio Torralba: Object Detectors Emerge in Deep Scene CNNs, ICLR 2015,
https://arxiv.org/abs/1412.6856. The images stream by: of each channel only the ends are kept.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.data.images import thumbnail
from attention.data.sampling import Picture, batches, how_many
from attention.measuring.channel_gates import RESOLUTION, channel_sites, named, per_channel, place, ran, require
from attention.reports.exemplars import (
    ChannelExemplars,
    Exemplar,
    ExemplarGate,
    ExemplarImage,
    ExemplarsReport,
    ExemplarsRequest,
)
from attention.reports.gates import GateSite
from attention.reports.parts.subjects import Ran

BATCH = 16
"""Images at a time: gates of kind 'full' are as large as the maps."""


@analyses.register("exemplars")
def exemplars(request: ExemplarsRequest, lab: AnyLab) -> ExemplarsReport:
    """Which images of a data set open each channel of a gate most, and which close it most?"""
    network = lab.describe(request.variant)
    subject = ran(network, lab)
    candidates, left_out = channel_sites(network.variant)
    require(network.variant, candidates, left_out)
    chosen = candidates if request.gates is None else named(candidates, request.gates)
    total, ends = how_many(request.pictures, lab.files), Extremes(request.count, request.thumbnail)
    lab.progress(0, total, network.name)
    for some, images in batches(request.pictures, network.preprocess, lab.files, BATCH):
        gates = lab.forward(network.variant, images).gates
        ends.add(some, {site.path: per_channel(gates[site.path], site.kind) for site in chosen})
        lab.progress(ends.images_seen, total, network.name)
    return _report(request, subject, chosen, left_out, ends, total)


class Extremes:
    """The largest and smallest weights of every channel over images, and which images had them.

    Args:
        count: images that are kept of either end.
        side: longest side of their thumbnails, pixels.
    """

    def __init__(self, count: int, side: int) -> None:
        self._count, self._side = count, side
        self.images_seen = 0
        self.images: dict[int, ExemplarImage] = {}
        self.largest: dict[str, tuple[Tensor, Tensor]] = {}
        self.smallest: dict[str, tuple[Tensor, Tensor]] = {}
        """Gate path -> weights and numbers of images, (at most count, C) each, the outermost first."""

    def add(self, some: Sequence[Picture], gates: Mapping[str, Tensor]) -> None:
        """Add the gate weights of a batch of images to what is kept: path of a gate -> weights (B, C)."""
        numbers = torch.arange(self.images_seen, self.images_seen + len(some))
        self.images_seen += len(some)
        for path, gate in gates.items():
            weights = gate.detach().float().cpu()
            for extremes, descending in ((self.largest, True), (self.smallest, False)):
                new = (weights, numbers[:, None].expand_as(weights))
                pool = [torch.cat(pair) for pair in zip(extremes[path], new, strict=True)] if path in extremes else new
                order = pool[0].argsort(dim=0, descending=descending, stable=True)[: self._count]  # ties: earlier first
                extremes[path] = (pool[0].gather(0, order), pool[1].gather(0, order))
        at_an_end = torch.cat(
            [numbers.flatten() for extremes in (self.largest, self.smallest) for _, numbers in extremes.values()]
        )
        kept_numbers = set(at_an_end.tolist())
        self.images = {number: image for number, image in self.images.items() if number in kept_numbers}
        for number, picture in zip(numbers.tolist(), some, strict=True):
            if number in kept_numbers:
                small = thumbnail(picture.image, self._side)
                self.images[number] = ExemplarImage(name=picture.name, label=picture.label, thumbnail=small)

    def of(self, extremes: Mapping[str, tuple[Tensor, Tensor]], path: str) -> list[tuple[Exemplar, ...]]:
        """The images at one end, channel by channel."""
        weights, numbers = extremes[path]
        return [
            tuple(
                Exemplar(image=self.images[number].name, weight=weight)
                for weight, number in zip(of_weights, of_numbers, strict=True)
            )
            for of_weights, of_numbers in zip(weights.T.tolist(), numbers.T.tolist(), strict=True)
        ]


def _report(
    request: ExemplarsRequest,
    network: Ran,
    chosen: Sequence[GateSite],
    left_out: Sequence[str],
    ends: Extremes,
    total: int,
) -> ExemplarsReport:
    gates = [_gate(site, ends) for site in chosen]
    sentences = [network.warning] if network.warning else []
    if constant := [gate.path for gate in gates if all(_same(channel) for channel in gate.ends)]:
        sentences.append(f"The same for every image, so no image opens or closes it: {', '.join(constant)}.")
    return ExemplarsReport(
        network=network,
        pictures=request.pictures,
        images=tuple(ends.images[number] for number in sorted(ends.images)),
        seen=ends.images_seen,
        total=total,
        gates=tuple(gates),
        caveats=(*sentences, *left_out),
    )


def _gate(site: GateSite, ends: Extremes) -> ExemplarGate:
    sides = zip(ends.of(ends.largest, site.path), ends.of(ends.smallest, site.path), strict=True)
    channels = tuple(
        ChannelExemplars(channel=number, open=largest, closed=smallest)
        for number, (largest, smallest) in enumerate(sides)
    )
    return ExemplarGate(**dict(place(site, len(channels))), ends=channels)


def _same(channel: ChannelExemplars) -> bool:
    """Whether a channel's weight differs between images by rounding at most."""
    low, high = channel.closed[0].weight, channel.open[0].weight
    return high - low <= RESOLUTION * max(abs(high), abs(low), 1e-6)
