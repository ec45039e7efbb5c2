"""What becomes of the predictions for these photos without each gate, each stage of gates, or all of them?"""

from collections.abc import Sequence

import torch
from torch import Tensor

from attention.analyses import analyses
from attention.analyses.compare import class_score
from attention.analysis import AnyLab
from attention.data.preprocessing import preprocess
from attention.interventions.effects import divergence
from attention.interventions.plan import Plan, described, passes, plan
from attention.network import need_classes
from attention.reports.sweep import PhotoBase, PhotoEffect, WhatIfReport, WhatIfRequest
from attention.running.device import device_name
from attention.running.runner import check_finite
from attention.spec import Pictures


@analyses.register("whatif")
def whatif(request: WhatIfRequest, lab: AnyLab) -> WhatIfReport:
    """What becomes of the predictions for these photos without each gate, each stage of gates, or all of them?"""
    need_classes(lab.describe(request.variant))
    what = plan(request, request.scopes, Pictures(images=request.images), lab, calibrate=False)
    names, how = what.network.labels, what.network.preprocess
    photos = torch.stack([preprocess(lab.files.image(image), how) for image in request.images])  # (B, 3, S, S)
    logits = torch.empty(0)
    for rows, part in passes(lab, what.network.variant, photos, what.ablations):
        if not len(logits):
            logits = part.new_empty(1 + len(what.ablations), *part.shape[1:])  # (1 + A, B, K)
            logits[0] = part[0]
        logits[1 + rows.start : 1 + rows.stop] = part[1:]
    check_finite(logits, what.network.name)
    shares, kl = logits.float().softmax(-1), divergence(logits)
    tops = shares[0].topk(min(request.top_k, shares.shape[-1]), -1).indices.tolist()
    bases, effects = [], []
    for number, (image, top) in enumerate(zip(request.images, tops, strict=True)):
        probabilities = shares[:, number]  # (1 + A, K)
        bases.append(
            PhotoBase(
                image=image, top=tuple(class_score(index, names, float(probabilities[0][index])) for index in top)
            )
        )
        effects += _effects(what, image, probabilities, kl[:, number], top, names)
    return WhatIfReport(
        network=what.network.name,
        variant=what.network.variant,
        caveats=what.caveats,
        calibration=described(what.reference, lab.files) if what.reference else None,
        photos=tuple(bases),
        sites=what.sites,
        scopes=what.scopes,
        kinds=what.kinds,
        effects=tuple(effects),
        device=device_name(lab.device),
        dtype=lab.dtype,
    )


def _effects(
    what: Plan, image: str, shares: Tensor, kl: Tensor, top: Sequence[int], names: Sequence[str]
) -> list[PhotoEffect]:
    """What each scope and kind does to one photo, whose probabilities are (1 + A, K) and divergences (A)."""
    photo_effects = []
    for scope in what.scopes:
        for kind in what.kinds:
            cell = what.cell(scope, kind)
            if cell is None:
                continue
            after = shares[1 + cell]  # (K)
            first = int(after.argmax())
            effect = PhotoEffect(
                image=image,
                scope=scope.id,
                family=scope.family,
                label=scope.label,
                stage=scope.stage,
                order=scope.order,
                gates=len(scope.gates),
                kind=kind,
                first=class_score(first, names, float(after[first])),
                flips=first != top[0],
                probabilities=tuple(after[list(top)].tolist()),
                change=float(after[top[0]] - shares[0, top[0]]),
                kl=float(kl[cell]),
            )
            photo_effects.append(effect)
    return photo_effects
