"""What does a network lose on these images without each of its gates, each stage of them, or all?"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.data.sampling import batches, how_many, why_unlabelled
from attention.errors import InvalidRequest
from attention.interventions.effects import METHODS, Outcomes, Tally, effects, redundancy
from attention.interventions.plan import Plan, described, passes, plan
from attention.interventions.renormalise import LEAST, Renormalised
from attention.measuring.statistics import LEAST_IMAGES
from attention.network import need_classes
from attention.reports.sweep import Effect, Scope, SweepReport, SweepRequest
from attention.running.device import device_name
from attention.spec import AblationKind

ANEW: tuple[AblationKind, ...] = ("constant", "neutral")
"""The kinds that change the scale, for which normalisations may be estimated anew."""


@analyses.register("sweep")
def sweep(request: SweepRequest, lab: AnyLab) -> SweepReport:
    """What does a network lose on these images without each of its gates, each stage of them, or all?"""
    need_classes(lab.describe(request.variant))
    what = plan(request, request.scopes, request.images, lab, calibrate=request.reestimate)
    anew = [number for number, one in enumerate(what.ablations) if request.reestimate and one.kind in ANEW]
    total = how_many(request.images, lab.files)
    lab.progress(0, total, f"{len(what.ablations)} different replacements")
    renormalised = _renormalised(what, anew, total, lab) if anew else None
    rows = _rows(what, anew)
    tally = Tally(what.network.labels, 1 + len(what.ablations) + len(anew))
    done = 0
    for some, images in batches(request.images, what.network.preprocess, lab.files):
        tally.begin([picture.label for picture in some])
        for part, logits in _answers(what, renormalised, images, lab):
            tally.put(part, logits)
        done += len(some)
        if done < total:
            note = f"{done:,} of {total:,} images"
            lab.progress(done, total, note, _report(request, what, rows, tally, lab, complete=False))
    report = _report(request, what, rows, tally, lab, complete=True)
    lab.progress(done, total, f"{done:,} images", report)
    return report


def _answers(
    what: Plan, renormalised: Renormalised | None, images: Tensor, lab: AnyLab
) -> Iterator[tuple[slice, Tensor]]:
    """Rows of the tally with the logits that belong there, after the untouched ones: (1 + rows, B, K)."""
    for part, logits in passes(lab, what.network.variant, images, what.ablations):
        untouched = logits[0]
        yield slice(1 + part.start, 1 + part.stop), logits
    if renormalised is not None:
        for row, one in enumerate(renormalised.logits(images), start=1 + len(what.ablations)):
            yield slice(row, row + 1), torch.stack([untouched, one])


def _renormalised(what: Plan, anew: Sequence[int], total: int, lab: AnyLab) -> Renormalised:
    """The network with statistics of its own for each of these ablations.

    Raises:
        InvalidRequest: one image has no variance.
    """
    assert what.reference is not None
    renormalised = Renormalised(lab.network(what.network.variant), [what.ablations[number] for number in anew])
    for _, images in batches(what.reference, what.network.preprocess, lab.files):
        renormalised.see(images)
        lab.progress(0, total, f"normalisations estimated anew on {renormalised.seen:,} images")
    if not renormalised.seen:
        raise InvalidRequest(f"At least {LEAST} calibration images are needed to estimate normalisations anew.")
    return renormalised


def _rows(what: Plan, anew: Sequence[int]) -> list[tuple[Scope, AblationKind, bool, int]]:
    """Every effect that can be told, and its row of the tally."""
    rows: list[tuple[Scope, AblationKind, bool, int]] = []
    for scope in what.scopes:
        for kind in what.kinds:
            cell = what.cell(scope, kind)
            if cell is not None:
                rows.append((scope, kind, False, 1 + cell))
                if cell in anew:
                    rows.append((scope, kind, True, 1 + len(what.ablations) + anew.index(cell)))
    return rows


def _report(
    request: SweepRequest,
    what: Plan,
    rows: Sequence[tuple[Scope, AblationKind, bool, int]],
    tally: Tally,
    lab: AnyLab,
    complete: bool,
) -> SweepReport:
    outcomes = tally.found()
    effect_list = effects(outcomes, rows, sure=complete)
    right, true = outcomes.right, outcomes.true
    return SweepReport(
        headline=headline(what, effect_list),
        network=what.network.name,
        variant=what.network.variant,
        caveats=(*what.caveats, *_about_images(outcomes, tally, request)),
        images=described(request.images, lab.files),
        calibration=described(what.reference, lab.files) if what.reference else None,
        n=outcomes.n,
        labelled=right is not None,
        accuracy=None if right is None else 100 * float(right[0].mean()),
        true_probability=None if true is None else float(true[0].mean()),
        sites=what.sites,
        scopes=what.scopes,
        kinds=what.kinds,
        effects=tuple(effect_list),
        redundancy=tuple(redundancy(what, outcomes, sure=complete)),
        methods=METHODS,
        device=device_name(lab.device),
        dtype=lab.dtype,
        complete=complete,
    )


def _about_images(outcomes: Outcomes, tally: Tally, request: SweepRequest) -> Iterator[str]:
    """What the images do not allow to say."""
    if outcomes.right is None:
        why = why_unlabelled(tally.labels, tally.classes, request.images)
        yield f"{why}, so only what needs no labels is told: agreement and divergence from the untouched network."
    if outcomes.n < LEAST_IMAGES:
        yield f"{outcomes.n} images are too few for bootstrap intervals, which need {LEAST_IMAGES}."


def headline(what: Plan, effect_list: Sequence[Effect]) -> str:
    """What all gates together lose, and which of them loses most alone, by the first kind that was asked for."""
    kind = what.kinds[0]
    of_kind = [effect for effect in effect_list if effect.kind == kind and not effect.reestimated]
    if not of_kind:
        return f"No gate can be replaced by kind '{kind}'."
    parts = []
    whole = next((effect for effect in of_kind if effect.family == "all"), None)
    if whole is not None:
        parts.append(f"Replacing every gate ('{kind}') {_said(whole)}.")
    single = [effect for effect in of_kind if effect.family == "gate"]
    if len(single) > 1:
        most = max(single, key=lambda effect: effect.kl)
        parts.append(f"Alone, gate {most.label} changes the predictions most: replacing it {_said(most)}.")
    if not parts:
        most = max(of_kind, key=lambda effect: effect.kl)
        parts.append(f"Replacing {most.label} ('{kind}') changes the predictions most: it {_said(most)}.")
    return " ".join(parts)


def _said(effect: Effect) -> str:
    change = effect.accuracy_change
    agreement = f"keeps the first class of {effect.agreement:.1%} of {effect.n:,} images"
    if change is None:
        return f"{agreement}, KL {effect.kl:.3g} nats"
    return f"changes top-1 by {change.text('points')} and {agreement}"
