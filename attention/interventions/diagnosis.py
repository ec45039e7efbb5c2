"""Statements on what the gates of any model do: whether they matter, are constant, saturated, or fed by dead units.

Changes of accuracy are judged like differences in studies (docs/verdicts.md), by their interval over images; what
another training seed would give is not in them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attention.errors import InvalidRequest
from attention.interventions.effects import Outcomes, Tally
from attention.measuring.decision import Rule, kinds
from attention.measuring.gate_health import CONSTANT, GateWatch
from attention.measuring.statistics import paired_share_interval
from attention.models.one_pass import main_output
from attention.reports.diagnose import TOPICS, Finding, Statement, Topic, Units
from attention.tracing.example import at_rest, describe
from attention.tracing.hooks import unwrap
from attention.watch import ablate, capture, watch

BATCH = 16
"""Images at a time: gates of kind 'full' are as large as the maps."""

Kind = Literal["mean", "scalar", "neutral"]
REPLACED: dict[Kind, str] = {
    "mean": "its mean",
    "scalar": "its own mean over channels",
    "neutral": "the weight that lets everything through",
}
KINDS: tuple[Kind, ...] = tuple(REPLACED)

FIRST_LOOK, LOOKS = 8, 3
"""Seeds of the default plan of a study, and how often it may be judged."""

WHOLE = 0.5
"""A gate of which at least this share of units is saturated for every image is trouble."""

READINGS: Mapping[str, tuple[Finding, str]] = {
    "worse": ("ok", "so it matters"),
    "better": ("trouble", "so the network is better without it"),
    "equivalent": ("trouble", "so it does not matter"),
    "undecided": ("notice", "which decides nothing: more images would"),
}


def diagnose_model(
    model: nn.Module,
    images: Tensor,
    labels: Sequence[int] | Tensor,
    reference: Tensor | None = None,
    margin: float = 0.5,
) -> tuple[Statement, ...]:
    """Say of the gates of any model whether they matter, are constant, saturated, or fed by dead units.

    What a `diagnose` of a variant says of place, start and published gains needs to know the network, and is left out.

    Args:
        model: a classifier (B, ...) -> (B, K), or one that gives such logits first, or under the name ``logits``; it is
            run in eval mode.
        images: as it takes them, (N, 3, H, W).
        labels: number of the class of each image, from 0.
        reference: images whose mean gates are put in; these same images if None.
        margin: changes of accuracy up to so many points are called none.

    Raises:
        InvalidRequest: the model has no gates or gives no classes, or there is not one label for each image.
    """
    if not isinstance(images, Tensor):
        raise InvalidRequest(f"Images are one tensor (N, 3, H, W), not {describe(images)}.")
    if len(labels) != len(images) or not len(images):
        raise InvalidRequest(f"There are {len(images)} images and {len(labels)} labels; each image takes one label.")
    means = capture(model, images if reference is None else reference)
    neutral = all(gate.neutral is not None for gate in watch(model, images[:1]))
    tried = [kind for kind in KINDS if neutral or kind != "neutral"]
    watched = GateWatch(model)
    with at_rest(unwrap(model)):
        classes = _logits(model(images[:1])).shape[1]
        numbers, tally = _numbers(labels, classes), Tally(tuple(map(str, range(classes))), 1 + len(tried))
        for start in range(0, len(images), BATCH):
            some = slice(start, start + BATCH)
            logits = [_logits(watched.see(images[some]))]
            for kind in tried:
                with ablate(model, kind, means):
                    logits.append(_logits(model(images[some])))
            tally.begin(numbers[some])
            tally.put(slice(1, 1 + len(tried)), torch.stack(logits).float().cpu())
    rows = {kind: row for row, kind in enumerate(tried, start=1)}
    return in_order((*effects(tally.found(), rows, margin), *units(watched)))


def _logits(output: Any) -> Tensor:
    """The logits (B, K) among what a model gave."""
    logits = main_output(output)
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        raise InvalidRequest(
            f"This model gives {describe(logits)}, not logits of classes (B, K), first or under the name 'logits'. "
            "What works without classes: watch, capture, ablate, attach, count."
        )
    return logits


def _numbers(labels: Sequence[int] | Tensor, classes: int) -> list[str]:
    """Labels as the names of their classes."""
    for label in labels:
        if isinstance(label, str) or int(label) != label or not 0 <= label < classes:
            raise InvalidRequest(
                f"A label is the number of a class, 0 to {classes - 1}, for this model gives {classes} classes; "
                f"not {label}."
            )
    return [str(int(label)) for label in labels]


def in_order(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """Statements in the order of their topics."""
    return tuple(sorted(statements, key=lambda statement: TOPICS.index(statement.topic)))


# ---------------------------------------------------------------- what the gates do


def effects(outcomes: Outcomes, rows: Mapping[Kind, int], margin: float) -> Iterator[Statement]:
    """Give the effect of replacing all gates by each kind; on agreement with the untouched network without labels."""
    rule = Rule(1, FIRST_LOOK, LOOKS, margin, 100 / outcomes.n)
    right = outcomes.first == outcomes.first[0] if outcomes.right is None else outcomes.right
    measure = "top-1 accuracy" if outcomes.right is not None else "agreement with the untouched network"
    for kind, row in rows.items():
        change = paired_share_interval(right[0], right[row])
        points = {end: 100 * getattr(change, end) for end in ("estimate", "low", "high")}
        interval = change.model_copy(update=points)
        finding, reading = READINGS[str(kinds(interval.low, interval.high, rule))]
        same = float((outcomes.first[row] == outcomes.first[0]).mean())
        yield Statement(
            topic=kind,
            finding=finding,
            sentence=f"Replacing every gate by {REPLACED[kind]} changes {measure} by "
            f"{interval.text('points', margin)} and keeps the first class of {same:.1%} of {outcomes.n:,} images, "
            f"{reading}.",
            number=interval.estimate,
            unit="points",
            interval=interval,
            threshold=margin,
            source="95 % interval over paired images (Bonett, Price 2012); read by the margin as in docs/verdicts.md.",
        )


def units(watched: GateWatch) -> Iterator[Statement]:
    """Whether gates are constant or saturated, and hidden units dead."""
    gates, layers = watched.gates(), watched.layers()
    yield _of_units(
        "constant",
        [Units(path=gate.gate, of=gate.units, units=gate.constant) for gate in gates],
        "units of gates are the same for every image",
        f"A unit's standard deviation over images, below {CONSTANT:.0%} of the gate's root mean square: our bound.",
    )
    yield _of_units(
        "saturated",
        [Units(path=gate.gate, of=gate.units, units=gate.saturated) for gate in gates],
        "units of gates are below 0.1 or above 0.9 for every image",
        'Bounds as in the stripe test here; "Role of excitation" in the SE paper tells of saturated last gates.',
        WHOLE,
    )
    if layers:
        yield _of_units(
            "dead",
            [Units(path=layer.layer, of=layer.units, units=layer.dead) for layer in layers],
            "hidden units never pass their ReLU",
            "A hidden unit is dead if its ReLU is shut for every image.",
        )


def _of_units(topic: Topic, places: Sequence[Units], predicate: str, source: str, whole: float = 1.0) -> Statement:
    """A statement on units that are not well; trouble if at least a share ``whole`` of those of one path are."""
    where = tuple(place for place in places if place.units)
    count, total = sum(len(place.units) for place in where), sum(place.of for place in places)
    spoilt = sum(len(place.units) >= whole * place.of for place in where)
    finding: Finding = "trouble" if spoilt else "notice" if count else "ok"
    more = f"; at {spoilt} of {len(places)} places " + ("all are" if whole == 1 else "most are") if spoilt else ""
    return Statement(
        topic=topic,
        finding=finding,
        sentence=f"{count:,} of {total:,} {predicate}{more}.",
        number=100 * count / total,
        unit="% of units",
        threshold=0.0,
        source=source,
        where=where,
    )
