"""Plan of a sweep over replaced gates: every different ablation once, its reference images, and its caveats."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attention.analysis import AnyLab
from attention.backbones import ForeignNetwork
from attention.build import skeleton
from attention.data.files import Files, samples
from attention.data.sampling import how_many
from attention.errors import BadData, InvalidRequest
from attention.interventions.scopes import labelled_sites, scopes
from attention.reports.parts.network import Network
from attention.reports.sweep import Family, Interventions, LabelledSite, Scope
from attention.spec import REFERRING, Ablation, AblationKind, Pictures, Variant

ROWS_PIXELS = 4_000_000
"""Pixels of input, counted once for every ablation, up to which ablations of one image share a pass."""

SCALE: dict[AblationKind, str] = {
    "neutral": "Kind 'neutral' lets the input through as if there were no gate. The network was trained with gates "
    "around their own mean, so this changes the scale of every gated branch: what it loses is a scale artefact, not "
    "attention's value.",
    "constant": "Kind 'constant' puts in one value everywhere. Where that is not the gates' mean it changes the scale "
    "of every gated branch: what the network loses is a scale artefact, not attention's value.",
}


@dataclass(frozen=True)
class Plan:
    """The ablations of a question, each once, and which of them is which scope's."""

    network: Network
    sites: tuple[LabelledSite, ...]
    scopes: tuple[Scope, ...]
    kinds: tuple[AblationKind, ...]
    ablations: tuple[Ablation, ...]
    cells: dict[tuple[str, AblationKind], int]
    reference: Pictures | None
    caveats: tuple[str, ...]

    def cell(self, scope: Scope, kind: AblationKind) -> int | None:
        """Which ablation replaces a scope's gates by a kind; None where that cannot be."""
        return self.cells.get((scope.id, kind))


def plan(request: Interventions, families: Iterable[Family], images: Pictures, lab: AnyLab, calibrate: bool) -> Plan:
    """Plan the ablations that a sweep or a what-if question takes.

    Args:
        images: what it is about, whose data set has the reference images if the question names none.
        calibrate: whether reference images are needed even if no kind puts in gates of theirs.

    Raises:
        InvalidRequest: the network has no gates, or there is nothing to replace.
    """
    network = lab.describe(request.variant)
    model = skeleton(network.variant)
    places = labelled_sites(model)
    if not places and isinstance(model, ForeignNetwork):
        raise InvalidRequest(
            f"{network.name} has no gates: in one pass nothing bounded multiplies a map. Put a module behind a layer, "
            f"as in {network.name.partition('/')[0]}/eca@after:LAYER."
        )
    if not places:
        raise InvalidRequest(
            f"{network.name} has no attention, so there is no gate to replace. Ask for a network with attention, such "
            "as 'eca' or 'resnet50/se'."
        )
    all_scopes = scopes(model, places, families, request.sets)
    if not all_scopes:
        raise InvalidRequest("There is nothing to replace: name at least one of scopes, or a set of gates.")
    kinds = tuple(dict.fromkeys(request.kinds))
    caveats = [SCALE[kind] for kind in kinds if kind in SCALE]
    if network.warning:
        caveats.insert(0, network.warning)
    reference = None
    if calibrate or any(kind in REFERRING for kind in kinds):
        reference, about = reference_images(request.calibration, images, lab.files)
        caveats += about
    numbers: dict[tuple[AblationKind, tuple[str, ...]], int] = {}
    cells: dict[tuple[str, AblationKind], int] = {}
    for kind in kinds:
        without = [site for site in places if kind == "neutral" and site.neutral is None]
        blocked = {site.path for site in without}
        if without:
            caveats.append(
                f"Kind 'neutral' is left out where a gate chooses among branches or places, for it has no neutral "
                f"weight: {', '.join(site.label for site in without)}."
            )
        for scope in all_scopes:
            if not blocked & set(scope.gates):
                cells[scope.id, kind] = numbers.setdefault((kind, scope.gates), len(numbers))
    if not cells:
        raise InvalidRequest(f"No gate of {network.name} has a neutral weight. Ask for kind 'mean' or 'scalar'.")
    paths = [site.path for site in places]
    in_order = sorted(numbers, key=lambda one: paths.index(one[1][0]))  # those that begin alike share the most
    place = {numbers[one]: position for position, one in enumerate(in_order)}
    return Plan(
        network=network,
        sites=places,
        scopes=all_scopes,
        kinds=kinds,
        ablations=tuple(_ablation(kind, gates, request, reference) for kind, gates in in_order),
        cells={cell: place[number] for cell, number in cells.items()},
        reference=reference,
        caveats=tuple(caveats),
    )


def _ablation(
    kind: AblationKind, gates: tuple[str, ...], request: Interventions, reference: Pictures | None
) -> Ablation:
    put = reference if kind in REFERRING else None
    return Ablation(kind=kind, gates=gates, value=request.value, seed=request.seed, reference=put)


def reference_images(calibration: Pictures | None, images: Pictures, files: Files) -> tuple[Pictures, list[str]]:
    """Choose the images whose gates replace those of other images, with sentences to know of that choice.

    Args:
        calibration: those that were asked for; None takes those that go with ``images``, which are the ones tried.
    """
    if calibration is not None:
        notes = ["Some of the calibration images may be among those tried."] * _overlap(calibration, images)
        return calibration, notes
    if images.data is None:
        pictures = Pictures(images=tuple(sample.id for sample in samples()))
        return pictures, [
            f"The gates put in are those of the {len(pictures.images)} sample photos, for photos have no data set. "
            "Name calibration images that are like what the network was trained on for a better mean."
        ]
    pictures = Pictures(data=images.data, split="train", classes=images.classes, seed=images.seed)
    try:
        how_many(pictures, files)
    except BadData:
        pictures = images.model_copy(update={"limit": min(images.limit, pictures.limit)})
        return pictures, [
            f"{images.data} has no images to train on, so the gates put in are those of the images tried."
        ]
    return pictures, ["The gates put in are those of some of the images tried."] * (images.split == "train")


def _overlap(named: Pictures, images: Pictures) -> bool:
    if (named.data, named.split) != (images.data, images.split):
        return False
    return images.data is not None or bool(set(named.images) & set(images.images))


def described(images: Pictures, files: Files) -> str:
    """Describe a choice of images in words."""
    count = how_many(images, files)
    if images.data is None:
        return f"{count} photo" + "s" * (count != 1)
    classes = f" of {', '.join(images.classes)}" if images.classes else ""
    return f"{count:,} images of {images.data} ({images.split} split{classes}), drawn by seed {images.seed}"


def passes(
    lab: AnyLab, variant: Variant, images: Tensor, ablations: Sequence[Ablation]
) -> Iterator[tuple[slice, Tensor]]:
    """Run ablations a few at a time: gives which, and logits untouched and under each of these, (1 + A, B, K).

    So memory does not grow with the number of ablations: only one untouched pass more is run for each part of them.
    """
    at_once = max(ROWS_PIXELS // (images.shape[-2] * images.shape[-1]) - 1, 1)
    for start in range(0, len(ablations), at_once):
        some = slice(start, min(start + at_once, len(ablations)))
        with torch.inference_mode():
            yield some, lab.forward_each(variant, images, ablations[some])
