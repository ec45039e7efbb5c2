"""Can this network do without its attention: what becomes of it with mean gates worked into its normalisations?"""

import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from attention.analyses import analyses
from attention.analyses.latency import why_withheld
from attention.analysis import AnyLab
from attention.backbones import Backbone
from attention.counting.cost import count
from attention.counting.model_cost import count as count_model
from attention.data.sampling import batches, how_many, why_unlabelled
from attention.gate import ablate, capture, own_gates
from attention.interventions.effects import Outcomes, Tally
from attention.interventions.fold import ALLOWED, FoldableGate, difference, fold, foldable, keep
from attention.interventions.plan import described, reference_images
from attention.measuring.channel_gates import ran
from attention.measuring.moments import Moments
from attention.measuring.statistics import mcnemar_p, paired_share_interval
from attention.names import Size, height_and_width, write_size
from attention.network import need_classes
from attention.reports.cost import Cost
from attention.reports.fold import (
    ARMS,
    ArmKind,
    FoldArm,
    FoldedGate,
    FoldReport,
    FoldRequest,
    FoldTiming,
    KeptNetwork,
)
from attention.reports.parts.checkpoints import Card
from attention.reports.parts.evidence import Interval
from attention.reports.parts.network import Network
from attention.running.timing import median_interval, rounds, synchroniser
from attention.spec import Ablation, Pictures, Preprocess, Variant
from attention.weights.load import bare

METHODS = (
    "Images are paired: each is compared with itself. Change of accuracy: Bonett-Price adjusted Wald interval (2012), "
    "95 %, and McNemar's exact test. KL in nats. Times: in each round every network runs once, in a new order; ratios "
    "within a round; median with an interval from order statistics."
)
TURN_S, MOST_PASSES = 0.05, 20
"""About how long a network's turn takes, and how often it runs in it at most."""

FIRST, SECOND, AFTER = "trained, first", "trained, second", "folded"


@dataclass
class FoldState:
    """State of a static fold between its steps: request, network before and after, measurements so far."""

    request: FoldRequest
    network: Network
    reference: Pictures
    caveats: list[str]
    total: int
    model: Backbone
    plain: Backbone
    tally: Tally
    gates: tuple[FoldedGate, ...] = ()
    error: float = 0.0
    timing: FoldTiming | None = None
    kept: KeptNetwork | None = None
    folded_cost: Cost = field(default_factory=Cost)
    done: int = field(default=0)

    @property
    def variant(self) -> Variant:
        """The variant that is folded, with all its fields resolved."""
        return self.network.variant


@analyses.register("fold")
def static_fold(request: FoldRequest, lab: AnyLab) -> FoldReport:
    """Can this network do without its attention: what becomes of it with mean gates worked into its normalisations?"""
    network = lab.describe(request.variant)
    need_classes(network)
    model = _own(network.variant, lab)
    places = foldable(model, network.name)
    reference, caveats = reference_images(request.calibration, request.images, lab.files)
    steps = (how_many(reference, lab.files), how_many(request.images, lab.files), request.rounds)
    plain = _own(network.variant.plain, lab)
    warned = [network.warning] if network.warning else []
    tally = Tally(network.labels, len(ARMS))
    work = FoldState(request, network, reference, warned + caveats, sum(steps), model, plain, tally)
    how = network.preprocess
    moments = _calibrated(work, how, places, lab)
    work.gates = tuple(_folded(place, moments[place.site.path]) for place in places)
    means = {
        path: torch.from_numpy(mean.mean).float().view(1, -1, 1, 1).to(lab.device) for path, mean in moments.items()
    }
    ablation = Ablation(kind="mean", reference=reference)
    fold(model, plain, places, ablation, means)
    work.folded_cost = (
        count_model(plain, (3, *how.height_and_width)).total if own_gates(model) else count(network.variant.plain).total
    )
    for some, images in batches(request.images, how, lab.files):
        work.tally.begin([picture.label for picture in some])
        logits = _logits(work, images.to(lab.device), ablation, means)  # (3, B, K)
        work.error = max(
            work.error, *(difference(answer, truth) for answer, truth in zip(logits[2], logits[1], strict=True))
        )
        work.tally.put(slice(1, 3), logits)
        work.done += len(some)
        if len(work.tally.labels) < steps[1]:
            lab.progress(
                work.done, work.total, f"{len(work.tally.labels):,} of {steps[1]:,} images", _report(work, lab)
            )
    if request.rounds:
        work.timing = _timed(work, how.input_size, lab)
    work.kept = _kept(work, how, lab)
    report = _report(work, lab, complete=True)
    lab.progress(work.total, work.total, "done", report)
    return report


def _own(variant: Variant, lab: AnyLab) -> Backbone:
    model = lab.network(variant)
    assert isinstance(model, Backbone)
    return model


def _calibrated(work: FoldState, how: Preprocess, places: Sequence[FoldableGate], lab: AnyLab) -> dict[str, Moments]:
    """Mean and spread of every gate over the calibration images, (C) each."""
    moments: dict[str, Moments] = {}
    for some, images in batches(work.reference, how, lab.files):
        with torch.inference_mode(), capture(work.model) as weights:
            work.model(images.to(lab.device))
        for place in places:
            path = place.site.path
            more = Moments.of(weights[path].flatten(1).double().cpu().numpy())
            moments[path] = moments[path] + more if path in moments else more
        work.done += len(some)
        lab.progress(work.done, work.total, f"mean gates over {work.done:,} images")
    return moments


def _folded(place: FoldableGate, moments: Moments) -> FoldedGate:
    deviation = moments.std
    return FoldedGate(
        gate=place.site.path,
        normalisation=place.taken_up_by,
        stage=place.site.stage,
        block=place.site.block,
        channels=place.channels,
        mean=float(moments.mean.mean()),
        low=float(moments.mean.min()),
        high=float(moments.mean.max()),
        over_channels=float(moments.mean.std()),
        over_images=None if deviation is None else float(np.sqrt(np.square(deviation).mean())),
    )


@torch.inference_mode()
def _logits(work: FoldState, images: Tensor, ablation: Ablation, means: dict[str, Tensor]) -> Tensor:
    """Logits as trained, with mean gates, and folded: (3, B, K)."""
    trained, folded = work.model(images), work.plain(images)
    with ablate(work.model, ablation, means):
        mean = work.model(images)
    return torch.stack([trained, mean, folded]).float().cpu()


def _timed(work: FoldState, size: Size, lab: AnyLab) -> FoldTiming:
    """The trained network twice and the folded one, in turns: CPU time on one thread, or a GPU's wall-clock time."""
    on_gpu = lab.device.startswith("cuda")
    images = torch.randn(work.request.batch, 3, *height_and_width(size), generator=torch.Generator().manual_seed(0))
    images = images.to(lab.device, memory_format=torch.channels_last)  # (B, 3, H, W)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        passes = _passes_a_turn(_turn(work.model, images), synchroniser(lab.device))
        before, after = (_turn(model, images, passes) for model in (work.model, work.plain))
        times = rounds(
            {FIRST: before, SECOND: before, AFTER: after},
            work.request.rounds,
            synchronise=synchroniser(lab.device),
            after_round=lambda done: lab.progress(work.done + done, work.total, f"timing, round {done}"),
            clock=time.perf_counter if on_gpu else time.process_time,
        )
    finally:
        torch.set_num_threads(threads)
    before_s = np.add(times[FIRST], times[SECOND]) / 2
    control = median_interval(np.divide(times[SECOND], times[FIRST]))
    withheld = why_withheld(control, work.request.tolerance)
    reported = withheld is None
    return FoldTiming(
        before_ms=1e3 * float(np.median(before_s)) / passes if reported else None,
        after_ms=1e3 * float(np.median(times[AFTER])) / passes if reported else None,
        ratio=median_interval(np.divide(times[AFTER], before_s)) if reported else None,
        control=control,
        withheld=withheld,
        clock="wall-clock time" if on_gpu else "CPU time",
        rounds=work.request.rounds,
        passes=passes,
        batch=work.request.batch,
        input_size=size,
        threads=1,
    )


def _turn(model: nn.Module, images: Tensor, passes: int = 1) -> Callable[[], None]:
    """What a network does in its turn."""
    ready = copy.deepcopy(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run() -> None:
        with torch.inference_mode():
            for _ in range(passes):
                ready(images)

    return run


def _passes_a_turn(once: Callable[[], None], wait: Callable[[], None]) -> int:
    """How many passes make a turn that is long beside the clock's steps and interruptions."""
    once()
    wait()
    started = time.perf_counter()
    once()
    wait()
    return min(max(round(TURN_S / (time.perf_counter() - started)), 1), MOST_PASSES)


def _kept(work: FoldState, how: Preprocess, lab: AnyLab) -> KeptNetwork | None:
    """The folded network among the checkpoints, with a card where the trained one has one; None of a foreign one."""
    if own_gates(work.model):
        work.caveats.append(
            "The folded network is another one than its name says, so it is not kept. "
            "attention.interventions.fold.fold_model(build(variant), images) gives it."
        )
        return None
    plain = work.variant.plain
    card = _card(work, lab)
    if card is None and work.network.trained:
        work.caveats.append(
            "The trained network has no card, so the folded one is kept without: class names and preprocessing are "
            f"not beside it. It was tried at {write_size(how.input_size)} pixels (shorter side {how.resize}), "
            f"mean {how.mean}, deviation {how.std}."
        )
    variant, size = keep(work.plain, plain, card, lab.files.file_store, lab.files.owner)
    name = str(variant.weights).removeprefix("file:")
    return KeptNetwork(variant=variant, name=variant.name, checkpoint=name, bytes=size, card=card is not None)


def _card(work: FoldState, lab: AnyLab) -> Card | None:
    """What the folded network says of itself: the trained one's origin, and what was done to it."""
    card = work.network.card
    if card is None:
        return None
    outcomes = work.tally.found()
    done = f"{card.data}; then attention ({bare(work.variant).name}) folded by its mean gates over "
    done += described(work.reference, lab.files)
    measured: dict[str, object] = {}
    if outcomes.right is None:
        done += "; the accuracy is the trained network's, before that"
    else:
        done += f"; accuracy on {described(work.request.images, lab.files)}"
        measured = {"test_images": outcomes.n, "test_accuracy": float(outcomes.right[2].mean())}
    request = json.dumps(work.request.model_dump(mode="json", exclude_defaults=True))
    fields = {"variant": bare(work.variant.plain), "data": done, "command": f"POST /v1/fold {request}"}
    return card.model_copy(update=fields | measured)


def _report(work: FoldState, lab: AnyLab, complete: bool = False) -> FoldReport:
    outcomes = work.tally.found()
    arms = tuple(_arms(work, outcomes))
    sentences = list(work.caveats)
    if outcomes.right is None:
        sentences.append(
            f"{why_unlabelled(work.tally.labels, work.tally.classes, work.request.images)}, so no accuracy is told."
        )
    if work.error > ALLOWED:
        sentences.append(
            f"In float32 on this device the folded network's logits differ by up to {work.error:.1e} of the largest "
            "from those with mean gates: its rounding is coarse. In double precision they are the same."
        )
    return FoldReport(
        headline=headline(work, arms, outcomes.n),
        network=ran(work.network, lab),
        caveats=tuple(sentences),
        images=described(work.request.images, lab.files),
        calibration=described(work.reference, lab.files),
        n=outcomes.n,
        arms=arms,
        gates=work.gates,
        error=work.error,
        error_allowed=ALLOWED,
        timing=work.timing,
        kept=work.kept,
        methods=METHODS,
        complete=complete,
    )


def _arms(work: FoldState, outcomes: Outcomes) -> Iterator[FoldArm]:
    """The three states, in the rows of what was found."""
    kinds: tuple[ArmKind, ...] = ("trained", "mean", "folded")
    whole = count(work.variant).total
    bills = {"trained": whole, "mean": whole, "folded": work.folded_cost}
    for row, kind in enumerate(kinds):
        right = outcomes.right
        change, p = None, None
        if right is not None and row:
            change, p = _points(paired_share_interval(right[0], right[row])), mcnemar_p(right[0], right[row])
        yield FoldArm(
            kind=kind,
            said=ARMS[kind],
            accuracy=None if right is None else 100 * float(right[row].mean()),
            change=change,
            p=p,
            agreement=float((outcomes.first[row] == outcomes.first[0]).mean()),
            kl=float(outcomes.kl[row].mean()),
            parameters=bills[kind].parameters,
            macs=bills[kind].macs,
            elementwise=bills[kind].elementwise,
            pooling=bills[kind].pooling,
        )


def _points(share: Interval) -> Interval:
    return share.model_copy(update={end: 100 * getattr(share, end) for end in ("estimate", "low", "high")})


def headline(work: FoldState, arms: Sequence[FoldArm], n: int) -> str:
    """What the network loses without its attention, and what it saves."""
    trained, folded = arms[0], arms[-1]
    if folded.change is not None:
        change = folded.change
        change_text = f"top-1 changes by {change.text('points')}"
        sentence = f"Without its attention, mean gates worked in, {change_text} on {n:,} images"
    else:
        sentence = (
            f"Without its attention, mean gates worked in, {folded.agreement:.1%} of {n:,} images keep their class"
        )
    saved = trained.parameters - folded.parameters
    sentence += f"; it has {saved:,} parameters less" if saved else ""
    if work.timing is None:
        return f"{sentence}."
    ratio = work.timing.ratio
    if ratio is None:
        return f"{sentence}. Its time could not be told here."
    span = f"{ratio.estimate - 1:+.1%} [{ratio.low - 1:+.1%}, {ratio.high - 1:+.1%}]"
    return f"{sentence}, and its {work.timing.clock} is {span}."
