"""Are the gates the same whatever the image: stripes in a map of images by channels?

The stripe observation of Zhongzhan Huang, Shanshan Zhong, Wushao Wen, Jinghui Qin, Liang Lin: Stripe Observation Guided
Inference Cost-free Attention Mechanism, ECCV 2024, https://arxiv.org/abs/2304.06345: in a map of images by channels,
trained gates show stripes, each channel being weighed nearly alike for every image. How nearly is the static share.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from torch import Tensor

from attention.analyses import analyses
from attention.analyses.excitation import BATCH, in_order
from attention.analysis import AnyLab
from attention.data.sampling import batches, how_many
from attention.errors import InvalidRequest, listing
from attention.measuring.channel_gates import (
    Entries,
    Matrix,
    channel_sites,
    class_share,
    class_share_by_chance,
    effective_rank,
    order_between,
    order_between_images,
    per_channel,
    place,
    ran,
    require,
    spaced,
    static_share,
    without_order,
)
from attention.measuring.confounds import differences_in_training
from attention.measuring.moments import Moments
from attention.reports.gates import GateSite
from attention.reports.parts.network import Network
from attention.reports.parts.subjects import ClassImages
from attention.reports.stripe import OrderBetween, StripeGate, StripeMap, StripeReport, StripeRequest

MOST_IMAGES = 2048
"""The matrices are kept whole, for ranks and singular values need all images at once."""

CORRESPONDENCE = (
    "A channel of one network corresponds to the same channel of another only as far as they began alike and stayed "
    "so: networks of one seed share their backbone's initial weights, others share nothing."
)


class Watched:
    """The gates of a network over all images: for each a matrix images x channels, and the spread of its entries."""

    def __init__(self, network: Network, gate_sites: Sequence[GateSite]) -> None:
        self.network = network
        self.sites = gate_sites
        self.entries = {site.path: Entries() for site in gate_sites}
        self._parts: dict[str, list[Matrix]] = {site.path: [] for site in gate_sites}

    def add(self, gates: Mapping[str, Tensor]) -> None:
        """Add the gates of some images."""
        for site in self.sites:
            weights = gates[site.path]
            self.entries[site.path].add(weights)
            self._parts[site.path].append(per_channel(weights.float(), site.kind).cpu().numpy())

    def channels(self, path: str) -> int:
        """How many channels a gate has."""
        return self._parts[path][0].shape[1]

    def matrix(self, path: str) -> Matrix:
        """Images in the order they came x channels."""
        return np.concatenate(self._parts[path]).astype(np.float64)


@analyses.register("stripe")
def stripe(request: StripeRequest, lab: AnyLab) -> StripeReport:
    """Are the gates the same whatever the image: stripes in a map of images by channels?"""
    count = _count(request, lab)
    watched, caveats = [], []
    for variant in request.variants:
        network = lab.describe(variant)
        gate_sites, left_out = channel_sites(network.variant)
        watched.append(Watched(network, gate_sites))
        caveats += [f"{network.name}: {network.warning}"] if network.warning else []
        caveats += left_out or ([] if gate_sites else [f"{network.name} has no attention, so it has no gates."])
    if not any(watch.sites for watch in watched):
        require(watched[0].network.variant, (), caveats)
    gate_paths = _drawn(request, watched)
    names: list[str] = []
    labels: list[str | None] = []
    for number, watch in enumerate(watched):
        if not watch.sites:
            continue
        names, labels = [], []
        for some, images in batches(request.pictures, watch.network.preprocess, lab.files, BATCH):
            lab.progress(number * count + len(names), len(watched) * count, watch.network.name)
            watch.add(lab.forward(watch.network.variant, images).gates)
            names += [picture.name for picture in some]
            labels += [picture.label for picture in some]
    classes = in_order([label for label in labels if label is not None], request.pictures)
    rows = _sorted(labels, classes)
    by_class = [np.array([label == name for label in labels]) for name in classes]
    table = tuple(_gate(watch, site, by_class) for watch in watched for site in watch.sites)
    between, unmatched = _between(watched)
    trained = tuple(watch.network for watch in watched if watch.network.load)
    return StripeReport(
        networks=tuple(ran(watch.network, lab) for watch in watched),
        pictures=request.pictures,
        images=count,
        classes=tuple(ClassImages(label=label, images=labels.count(label)) for label in classes),
        maps=tuple(_map(request, watched[number], path, rows, names, labels) for number, path in gate_paths.items()),
        gates=table,
        between=between,
        caveats=(*caveats, *differences_in_training(trained), *_caveats(request, table), *unmatched),
    )


def _count(request: StripeRequest, lab: AnyLab) -> int:
    count = how_many(request.pictures, lab.files)
    if count < 2:
        raise InvalidRequest("One image shows no stripes. Ask for at least two photos, or a data set.")
    if count > MOST_IMAGES:
        raise InvalidRequest(
            f"These are {count:,} images, and a map has at most {MOST_IMAGES:,}. Set the limit of pictures lower; "
            "excitation takes any number."
        )
    return count


def _drawn(request: StripeRequest, watched: Sequence[Watched]) -> dict[int, str]:
    """The gate of each network whose map is drawn: number of the network -> path."""
    if request.gate is None:
        return {number: watch.sites[-1].path for number, watch in enumerate(watched) if watch.sites}
    gate_paths = {number: request.gate for number, watch in enumerate(watched) if request.gate in watch.entries}
    if not gate_paths:
        example = next(watch for watch in watched if watch.sites)
        raise InvalidRequest(
            f"No gate with a number for each channel is at {request.gate!r}. {example.network.name} has, say: "
            f"{', '.join(site.path for site in example.sites[-3:])}."
        )
    return gate_paths


def _sorted(labels: Sequence[str | None], classes: Sequence[str]) -> list[int]:
    """The images' numbers, one class after the other, in the order they came within it."""
    numbers = {label: number for number, label in enumerate(classes)}
    return sorted(range(len(labels)), key=lambda row: numbers.get(labels[row] or "", 0))


def _map(
    request: StripeRequest,
    watch: Watched,
    path: str,
    rows: Sequence[int],
    names: Sequence[str],
    labels: Sequence[str | None],
) -> StripeMap:
    matrix = watch.matrix(path)
    down = [rows[place] for place in spaced(len(rows), request.rows)]
    across = spaced(matrix.shape[1], request.columns)
    values = matrix[np.ix_(down, across)]
    centre = float(matrix.mean())
    return StripeMap(
        variant=watch.network.name,
        gate=path,
        shown=tuple(across),
        images=tuple(names[row] for row in down),
        labels=tuple(labels[row] for row in down),
        values=tuple(tuple(row) for row in values.round(4).tolist()),
        centre=centre,
        span=float(np.abs(values - centre).max()),
    )


def _gate(watch: Watched, site: GateSite, by_class: Sequence[np.typing.NDArray[np.bool_]]) -> StripeGate:
    matrix, entries = watch.matrix(site.path), watch.entries[site.path]
    assert entries.moments is not None
    over_images = Moments.of(matrix)
    of_classes = [Moments.of(matrix[mask]) for mask in by_class]
    return StripeGate(
        **dict(place(site, matrix.shape[1])),
        variant=watch.network.name,
        images=len(matrix),
        static_share=static_share(over_images),
        class_share=class_share(of_classes),
        class_share_by_chance=class_share_by_chance(of_classes),
        mean=float(entries.moments.mean),
        std=float(np.sqrt(entries.moments.variance)),
        min=entries.least,
        max=entries.most,
        share_low=entries.low / entries.moments.count,
        share_high=entries.high / entries.moments.count,
        order_between_images=order_between_images(matrix),
        images_without_order=without_order(matrix),
        effective_rank=effective_rank(matrix),
        effective_rank_centred=effective_rank(matrix - over_images.mean, float(np.square(matrix).mean())),
        rank_limit=min(matrix.shape),
    )


def _between(watched: Sequence[Watched]) -> tuple[tuple[OrderBetween, ...], list[str]]:
    """Every pair of networks at every place that both have, and a sentence on pairs that have none."""
    pairs, sentences = [], []
    for first, second in combinations([watch for watch in watched if watch.sites], 2):
        first_sites, second_sites = _places(first), _places(second)
        shared = [key for key in first_sites if key in second_sites]
        if not shared:
            sentences.append(
                f"{first.network.name} and {second.network.name} have no gates at the same place with the same number "
                "of channels, so the order of their channels is not compared."
            )
        for key in shared:
            matrix, other = first.matrix(first_sites[key].path), second.matrix(second_sites[key].path)
            pairs.append(
                OrderBetween(
                    first=first.network.name,
                    second=second.network.name,
                    first_gate=first_sites[key].path,
                    second_gate=second_sites[key].path,
                    stage=first_sites[key].stage,
                    block=first_sites[key].block,
                    channels=matrix.shape[1],
                    of_means=order_between(matrix.mean(0, keepdims=True), other.mean(0, keepdims=True)),
                    of_images=order_between(matrix, other),
                )
            )
    return tuple(pairs), [CORRESPONDENCE, *sentences] if pairs else sentences


def _places(watch: Watched) -> dict[tuple[str | None, int, int, int, int], GateSite]:
    """The gates of a network by their place: position, stage, block, number there and channels -> gate."""
    sites_by_place: dict[tuple[str | None, int, int, int, int], GateSite] = {}
    counts: dict[tuple[str | None, int, int], int] = {}
    for site in watch.sites:
        where = (site.position, site.stage, site.block)
        counts[where] = counts.get(where, 0) + 1
        sites_by_place[(*where, counts[where], watch.channels(site.path))] = site
    return sites_by_place


def _caveats(request: StripeRequest, table: Sequence[StripeGate]) -> list[str]:
    sentences = []
    if request.pictures.data is None:
        sentences.append("Photos have no classes here, so there is no class share.")
    if dead := [f"{gate.path} of {gate.variant}" for gate in table if gate.static_share is None]:
        sentences.append(f"The same number for every channel and every image, so without shares: {listing(dead, 4)}.")
    return sentences
