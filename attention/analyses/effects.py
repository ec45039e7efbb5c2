"""What becomes of a network's outputs without its gates: of logits, of every pixel's class, or of the boxes?

For networks that give no classes of whole images: segmenters and detectors. What is compared is the network with
itself, so no labels are needed.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.data.preprocessing import preprocess
from attention.data.sampling import batches
from attention.errors import InvalidRequest
from attention.gate import ablate, capture
from attention.interventions.plan import Plan, plan
from attention.reports.parts.effects import BEST, ClassOverlap, EffectsReport, EffectsRequest, OutputEffect
from attention.running.device import device_name
from attention.spec import Pictures

MET = 0.5
"""Overlap (IoU) from which a box counts as met again."""


@analyses.register("effects")
def effects(request: EffectsRequest, lab: AnyLab) -> EffectsReport:
    """What becomes of a network's outputs without its gates: of logits, of every pixel's class, or of the boxes?"""
    what = plan(request, request.scopes, Pictures(images=request.images), lab, calibrate=False)
    network, model = what.network, lab.network(what.network.variant)
    if network.outputs == "other":
        raise InvalidRequest(
            f"{network.name} gives neither logits (B, K), nor a map (B, K, H, W), nor boxes with scores."
        )
    means = _means(what, model, lab)
    rows: list[OutputEffect] = []
    for number, image in enumerate(request.images):
        lab.progress(number, len(request.images), network.name)
        photo = preprocess(lab.files.image(image), network.preprocess).unsqueeze(0).to(lab.device)  # (1, 3, S, S)
        with torch.no_grad():
            untouched, under = model(photo), []
            for ablation in what.ablations:
                with ablate(model, ablation, means):
                    under.append(compared(untouched, model(photo), network.labels))
        for scope in what.scopes:
            for kind in request.kinds:
                if (cell := what.cell(scope, kind)) is not None:
                    place = {"image": image, "scope": scope.id, "label": scope.label, "gates": len(scope.gates)}
                    rows.append(OutputEffect.model_validate({**place, "kind": kind, **under[cell]}))
    return EffectsReport(
        network=network.name,
        variant=network.variant,
        outputs=network.outputs,
        caveats=what.caveats,
        sites=what.sites,
        scopes=what.scopes,
        effects=tuple(rows),
        device=device_name(lab.device),
    )


def _means(what: Plan, model: nn.Module, lab: AnyLab) -> dict[str, Tensor]:
    """Mean gates (1, ...) of the reference images, by path; none where no kind puts them in."""
    if what.reference is None:
        return {}
    sums: dict[str, Tensor] = {}
    count = 0
    for _, images in batches(what.reference, what.network.preprocess, lab.files):
        with torch.no_grad(), capture(model) as weights:
            model(images.to(lab.device))
        count += len(images)
        for path, gate in weights.items():
            sums[path] = gate.sum(0, keepdim=True) + sums.get(path, 0)
    return {path: total / count for path, total in sums.items()}


def compared(untouched: Any, replaced: Any, labels: tuple[str, ...] = ()) -> dict[str, Any]:
    """Compare a network's output before and after gates were replaced: fields of an `OutputEffect`.

    Args:
        untouched, replaced: logits (1, K), a map (1, K, H, W), or a list of one mapping: boxes (N, 4) and scores (N).
    """
    if not isinstance(untouched, Tensor):
        return _boxes(untouched[0], replaced[0])
    change = float((replaced - untouched).norm() / untouched.norm().clamp_min(1e-12))
    if untouched.shape[1] == 1:  # one class: a pixel is of it or not
        first, then = untouched > 0, replaced > 0
    else:
        first, then = untouched.argmax(1), replaced.argmax(1)
    share_kept = int((first == then).sum()) / first.numel()
    classes: list[tuple[int, ClassOverlap]] = []
    if untouched.dim() == 4:
        for index in sorted(set(torch.cat([first, then]).flatten().tolist())):
            before, after = first == index, then == index
            either = int((before | after).sum())
            label = labels[int(index)] if int(index) < len(labels) else None
            overlap = ClassOverlap(index=int(index), label=label, iou=int((before & after).sum()) / either)
            classes.append((either, overlap))
    classes.sort(key=lambda pair: -pair[0])
    return {"change": change, "kept": share_kept, "classes": tuple(overlap for _, overlap in classes)}


def _boxes(untouched: Mapping[str, Tensor], replaced: Mapping[str, Tensor]) -> dict[str, Any]:
    best, then = (float(output["scores"].max()) if len(output["scores"]) else 0.0 for output in (untouched, replaced))
    best_boxes = untouched["boxes"][untouched["scores"].argsort(descending=True)[:BEST]]
    met = (overlaps(best_boxes, replaced["boxes"]) >= MET).any(1)
    kept = int(met.sum()) / len(best_boxes) if len(best_boxes) else None
    return {"change": None, "kept": kept, "best": then, "best_change": then - best}


def overlaps(first_boxes: Tensor, second_boxes: Tensor) -> Tensor:
    """Intersection over union of boxes (N, 4) and (M, 4), as corners x1, y1, x2, y2: (N, M)."""
    low = torch.maximum(first_boxes[:, None, :2], second_boxes[None, :, :2])
    high = torch.minimum(first_boxes[:, None, 2:], second_boxes[None, :, 2:])
    intersection = (high - low).clamp_min(0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (first_boxes, second_boxes)]
    return intersection / (areas[0][:, None] + areas[1][None] - intersection).clamp_min(1e-12)
