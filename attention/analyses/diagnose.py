"""Why does the attention of this network not help: what is wrong with its gates, its place, or the comparison?

Each statement has a number, a threshold and a source. Changes of accuracy are judged like differences in studies
(docs/verdicts.md), by their interval over images; what another training seed would give is not in them.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from torch import nn

from attention import shipped_reports
from attention.analyses import analyses
from attention.analyses.plan import arm_key, run_cards
from attention.analysis import AnyLab
from attention.build import build, published_placement
from attention.counting.published import GROUPS, TOP1, Group, Result
from attention.data.sampling import batches, how_many
from attention.gate import AttentionModule
from attention.interventions.diagnosis import BATCH, FIRST_LOOK, KINDS, LOOKS, effects, in_order, units
from attention.interventions.effects import Tally
from attention.interventions.plan import described, passes, plan
from attention.measuring.channel_gates import ran
from attention.measuring.decision import LEAST_SEEDS, Rule
from attention.measuring.gate_health import GateWatch
from attention.measuring.planning import MOST_SEEDS, seeds_needed, seeds_needed_range
from attention.measuring.traits import NARROW
from attention.modules import modules
from attention.network import need_classes
from attention.reports.diagnose import DiagnoseReport, DiagnoseRequest, Finding, Statement, Units
from attention.reports.parts.evidence import Interval
from attention.reports.parts.network import Network
from attention.reports.study import StudyRequest
from attention.reports.sweep import SweepRequest
from attention.spec import Placement, Variant
from attention.training.conditions import earlier_spread
from attention.weights.load import module_starts

KEPT = 0.1
"""A module that keeps its input's standard deviation up to this share of it is said to leave the activations alone."""


@analyses.register("diagnose")
def diagnose(request: DiagnoseRequest, lab: AnyLab) -> DiagnoseReport:
    """Why does the attention of this network not help: what is wrong with its gates, its place, or the comparison?"""
    need_classes(lab.describe(request.variant))
    ablated = SweepRequest(variant=request.variant, images=request.images, kinds=KINDS, calibration=request.calibration)
    what = plan(ablated, ("all",), request.images, lab, calibrate=True)
    network, total = what.network, how_many(request.images, lab.files)
    fixed = (*_structure(network), *_comparison(request, network, total, lab))
    watched = GateWatch(lab.network(network.variant))
    tally = Tally(network.labels, 1 + len(what.ablations))
    cells = {kind: what.cell(what.scopes[0], kind) for kind in KINDS}
    rows = {kind: 1 + cell for kind, cell in cells.items() if cell is not None}
    assert what.reference is not None

    def report(complete: bool) -> DiagnoseReport:
        outcomes = tally.found()
        statements = in_order((*effects(outcomes, rows, request.margin), *units(watched), *fixed))
        return DiagnoseReport(
            headline=headline(statements),
            network=ran(network, lab),
            images=described(request.images, lab.files),
            calibration=described(what.reference, lab.files) if what.reference else "",
            n=outcomes.n,
            accuracy=None if outcomes.right is None else 100 * float(outcomes.right[0].mean()),
            statements=statements,
            gates=watched.gates(),
            layers=watched.layers(),
            caveats=what.caveats,
            complete=complete,
        )

    lab.progress(0, total, network.name)
    done = 0
    for some, images in batches(request.images, network.preprocess, lab.files, BATCH):
        tally.begin([picture.label for picture in some])
        for part, logits in passes(lab, network.variant, images, what.ablations):
            tally.put(slice(1 + part.start, 1 + part.stop), logits)
        watched.see(images.to(lab.device))
        done += len(some)
        if done < total:
            lab.progress(done, total, f"{done:,} of {total:,} images", report(complete=False))
    whole = report(complete=True)
    lab.progress(done, total, f"{done:,} images", whole)
    return whole


def headline(statements: Sequence[Statement]) -> str:
    """Say how many statements are trouble, and which."""
    trouble = [statement.sentence for statement in statements if statement.finding == "trouble"]
    if not trouble:
        return f"None of {len(statements)} checks finds a reason why the attention should not help."
    return f"{len(trouble)} of {len(statements)} checks find trouble: {' '.join(trouble)}"


# ---------------------------------------------------------------- what the network is


def _structure(network: Network) -> Iterator[Statement]:
    """Start, bottleneck and place of a network's attention; nothing of gates in its own code."""
    if network.variant.attention is None:
        return
    seed = network.card.seed if network.card else network.variant.seed
    start = build(network.variant.model_copy(update={"weights": None, "seed": seed}))
    yield _start(start, network)
    narrow = {
        path: module.bottleneck
        for path, module in start.named_modules()
        if isinstance(module, AttentionModule) and module.bottleneck is not None
    }
    if narrow:
        yield _bottleneck(narrow)
    yield _place(network.variant)


def _start(model: nn.Module, network: Network) -> Statement:
    starts = module_starts(model, network.preprocess.input_size)
    shares = [1.0 if start.identity else start.kept for start in starts]
    measured_shares = [value for value in shares if value is not None]
    changed = [
        start.slot for start, value in zip(starts, shares, strict=True) if value is not None and abs(value - 1) > KEPT
    ]
    fresh = bool(changed) and network.state == "fresh attention"
    state = " The backbone was trained without them, and they have not been trained since." if fresh else ""
    mean = float(np.mean(measured_shares)) if measured_shares else None
    share = "unknown" if mean is None else f"{mean:.2f}"
    return Statement(
        topic="start",
        finding="trouble" if fresh else "notice" if changed else "ok",
        sentence=f"A fresh module lets {share} of its input's standard deviation through (mean of {len(starts)}); "
        f"{len(changed)} of {len(starts)} change it by more than {KEPT:.0%}.{state}",
        number=mean,
        unit="of the input's standard deviation",
        threshold=1 - KEPT,
        source="The network at its start, by its seed, on two images of noise.",
        where=tuple(Units(path=slot, of=1, units=(0,)) for slot in changed),
    )


def _bottleneck(widths: Mapping[str, int]) -> Statement:
    least = min(widths.values())
    narrow = {path: width for path, width in widths.items() if width <= NARROW}
    return Statement(
        topic="bottleneck",
        finding="trouble" if least == 1 else "notice" if narrow else "ok",
        sentence=f"The narrowest bottleneck has {least} {'unit' if least == 1 else 'units'}; {len(narrow)} of "
        f"{len(widths)} have {NARROW} or fewer, which can die and then no longer see the image.",
        number=float(least),
        unit="units",
        threshold=float(NARROW),
        source="Width of the layer that the reduction makes narrow; the SE paper's narrowest has 16 units.",
        where=tuple(Units(path=path, of=width, units=tuple(range(width))) for path, width in narrow.items()),
    )


def _place(variant: Variant) -> Statement:
    published = published_placement(variant.model_copy(update={"placement": Placement()}))
    there = variant.placement == published
    said = "" if there else f", but here it is at {variant.placement}"
    paper = modules[variant.attention or ""].__name__
    return Statement(
        topic="place",
        finding="ok" if there else "notice",
        sentence=f"The paper of {variant.attention} puts it at {published}{said}.",
        number=None,
        source=f"`published` of {paper}; standard where its paper says nothing of {variant.backbone}.",
    )


# ---------------------------------------------------------------- what a comparison would take


def _comparison(request: DiagnoseRequest, network: Network, images: int, lab: AnyLab) -> Iterator[Statement]:
    """Seeds and test images that a gain of the published size, or the one asked for, would take."""
    gain, gain_source = request.gain, "asked for"
    if gain is None:
        gain, gain_source = published_gain(network.variant)
    if gain is None or gain <= 0:
        return
    spread = (request.seed_sd, None, "asked for") if request.seed_sd else _spread(network, lab)
    tested = network.card.test_images if network.card else images
    if spread is not None:
        sd, pairs, sd_source = spread
        yield _seeds(gain, gain_source, sd, pairs, sd_source, tested)
    yield _images(gain, gain_source, network, tested)


def published_gain(variant: Variant) -> tuple[float | None, str]:
    """The gain over a plain network in the published group that fits best, in points, and the table that has it.

    Those of the same backbone come first, then those of one recipe; None if there is no pair.
    """

    def pair(group: Group) -> tuple[Result, Result] | None:
        by = {result.attention: result for result in reversed(group.results)}  # the first of a module stays
        attended, plain = by.get(variant.attention or ""), by.get("none")
        return (attended, plain) if attended and plain and group.metric == TOP1 else None

    fitting = [(group, results) for group in GROUPS if (results := pair(group))]
    if not fitting:
        return None, ""
    group, (attended, plain) = min(
        fitting,
        key=lambda pair: ((pair[1][0].variant or "").partition("/")[0] != variant.backbone, not pair[0].same_recipe),
    )
    table = f"{group.source}, {group.table}, {attended.name} against {plain.name}"
    return round(attended.score - plain.score, 2), table


def _spread(network: Network, lab: AnyLab) -> tuple[float, int, str] | None:
    """Return the standard deviation of differences to the plain network, points, the number of pairs, and their source.

    The pairs are of runs of this service with the same recipe and data, else of the study of its data that comes along,
    else of the first that does.
    """
    card, scores = network.card, dict[str, dict[int, float]]()
    plain = arm_key(network.variant.plain)
    for run in run_cards(lab.files) if card else ():
        if card and (run.data, run.recipe, run.preprocess) == (card.data, card.recipe, card.preprocess):
            scores.setdefault(arm_key(run.variant), {})[run.seed] = 100 * run.test_accuracy
    if (spread := earlier_spread(scores, plain)) and spread[0] > 0:
        return *spread, f"{spread[1]} pairs of runs of this recipe and data here"
    studies = [report for _, report in shipped_reports.of(StudyRequest)]
    if not studies:
        return None
    study = next((study for study in studies if card and study.data.name == card.data), studies[0])
    shipped = {arm.name: dict(enumerate(arm.differences)) for arm in study.arms if arm.differences}
    base = {study.baseline: dict.fromkeys(range(max(map(len, shipped.values()))), 0.0)}
    spread = earlier_spread({**base, **shipped}, study.baseline)
    return (*spread, f"{spread[1]} pairs of the study that comes along, {study.data.name}") if spread else None


def _seeds(gain: float, gain_source: str, sd: float, pairs: int | None, sd_source: str, images: int) -> Statement:
    rule = Rule(1, FIRST_LOOK, LOOKS, gain, 100 / images)
    needed, interval, ends = seeds_needed(sd, rule), None, ""
    count = f"more than {MOST_SEEDS:,}" if needed is None else f"{needed:,}"
    if pairs is not None:
        low, high = (end or MOST_SEEDS for end in seeds_needed_range(sd, pairs, rule))
        ends = f" ({low:,} to {high:,})"
        method = "seeds needed at both ends of the interval of the standard deviation"
        interval = Interval(estimate=needed or MOST_SEEDS, low=low, high=high, confidence=0.8, n=pairs, method=method)
    last = FIRST_LOOK * 2 ** (LOOKS - 1)
    return Statement(
        topic="seeds",
        finding="trouble" if needed is None or needed > last else "notice" if needed > FIRST_LOOK else "ok",
        sentence=f"A gain of {gain:.2f} points would take {count} seeds in all{ends} where differences of one seed "
        f"vary by {sd:.2f} points; the default plan begins at {FIRST_LOOK} and ends at {last}.",
        number=needed,
        unit="seeds",
        interval=interval,
        threshold=FIRST_LOOK,
        source=f"Gain: {gain_source}. Standard deviation: {sd_source}. Chance of 80 %, at least {LEAST_SEEDS} seeds.",
    )


def _images(gain: float, gain_source: str, network: Network, images: int) -> Statement:
    """What the draw of test images alone does to an accuracy, against the gain."""
    share = network.card.test_accuracy if network.card else 0.5  # the widest
    half = 196.0 * float(np.sqrt(share * (1 - share) / images))
    point = 100 / images
    finding: Finding = "trouble" if point > gain else "notice" if half > gain else "ok"
    return Statement(
        topic="images",
        finding=finding,
        sentence=f"On {images:,} test images one image is {point:.3g} points, and an accuracy of {share:.1%} is known "
        f"to ± {half:.2f} points; a gain of {gain:.2f} is "
        + {
            "trouble": "less than one image, so it cannot be seen.",
            "notice": "less than that, so networks must be compared image by image.",
            "ok": "more than that.",
        }[finding],
        number=half,
        unit="points",
        threshold=gain,
        source=f"95 % interval of a share of {images:,} images. Gain: {gain_source}.",
    )
