"""What replacing gates changed: a few numbers an image and ablation are kept, and become effects with intervals.

KL(p || q) = sum_k p_k log(p_k / q_k) in nats (S. Kullback, R. A. Leibler, "On Information and Sufficiency", 1951), with
p the untouched prediction and q the one with gates replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attention.data.sampling import label_numbers
from attention.interventions.plan import Plan
from attention.measuring.statistics import LEAST_IMAGES, bootstrap_bounds, holm, mcnemar_p, paired_share_interval
from attention.reports.sweep import Effect, Measure, Reading, Redundancy, Scope
from attention.spec import AblationKind

METHODS = (
    "Images are paired: each is compared with itself. Change of accuracy: Bonett-Price adjusted Wald interval (2012), "
    "McNemar's exact test, Holm-corrected over all effects of the report. KL, probabilities and redundancy: percentile "
    "bootstrap over images, 1,000 draws. All intervals are of 95 %, about other images of the same kind, for this one "
    "network: what another training seed would give is not in them."
)

Numbers = NDArray[np.float32]


def divergence(logits: Tensor) -> Tensor:
    """KL(untouched || replaced) in nats, (A, B), of logits (1 + A, B, K) whose first are the untouched ones."""
    logs = logits.float().log_softmax(-1)
    return (logs[0].exp() * (logs[0] - logs[1:])).sum(-1).clamp_min(0)  # rounding alone makes it negative


@dataclass
class Tally:
    """Per image: the first class, the divergence and the true class's probability, untouched (row 0) and replaced."""

    classes: tuple[str, ...]
    rows: int
    labels: list[str | None] = field(default_factory=list)
    firsts: list[NDArray[np.int32]] = field(default_factory=list)
    kls: list[Numbers] = field(default_factory=list)
    trues: list[Numbers] = field(default_factory=list)

    def begin(self, labels: Sequence[str | None]) -> None:
        """Begin a batch of images, given their labels."""
        self.labels += labels
        shape = self.rows, len(labels)
        self.firsts.append(np.zeros(shape, np.int32))
        self.kls.append(np.zeros(shape, np.float32))
        self.trues.append(np.full(shape, np.nan, np.float32))

    def put(self, rows: slice, logits: Tensor) -> None:
        """Add logits of the batch begun last, (1 + A, B, K): untouched, then under A ablations at given rows."""
        self.firsts[-1][0], self.firsts[-1][rows] = logits[0].argmax(-1).numpy(), logits[1:].argmax(-1).numpy()
        self.kls[-1][rows] = divergence(logits).numpy()
        columns = {name: number for number, name in enumerate(self.classes)}
        shares = logits.float().softmax(-1)
        for place, label in enumerate(self.labels[-logits.shape[1] :]):
            if label in columns:
                column = shares[:, place, columns[label]].numpy()
                self.trues[-1][0, place], self.trues[-1][rows, place] = column[0], column[1:]

    def found(self) -> "Outcomes":
        """Outcomes of all images so far."""
        numbers = label_numbers(self.labels, self.classes)
        first, kl = np.concatenate(self.firsts, 1), np.concatenate(self.kls, 1)
        if numbers is None:
            return Outcomes(first, kl, None, None)
        return Outcomes(first, kl, np.concatenate(self.trues, 1), first == np.array(numbers, np.int32))


@dataclass(frozen=True)
class Outcomes:
    """Predictions of every image, untouched in row 0 and under each ablation, (1 + A, N); two need labels."""

    first: NDArray[np.int32]
    kl: Numbers
    true: Numbers | None
    right: NDArray[np.bool_] | None

    @property
    def n(self) -> int:
        """Number of images on which the effect was measured."""
        return self.first.shape[1]

    def changes(self, measure: Measure) -> NDArray[np.float64] | None:
        """Change of a measure by row and image against the untouched network; None if it needs labels."""
        if measure == "kl":
            return self.kl.astype(np.float64)
        if self.true is None or self.right is None:
            return None
        values = 100.0 * self.right if measure == "accuracy" else self.true.astype(np.float64)
        changes: NDArray[np.float64] = values - values[0]
        return changes


def effects(outcomes: Outcomes, rows: Sequence[tuple[Scope, AblationKind, bool, int]], sure: bool) -> list[Effect]:
    """One effect for each scope, kind and whether normalisations were estimated anew, at a row of what was found.

    Args:
        sure: also draw the bootstrap intervals, which take their time.
    """
    kl, true = outcomes.kl.astype(np.float64), outcomes.changes("true_probability")
    kl_low, kl_high = _bounds(kl, sure)
    true_low, true_high = _bounds(np.empty((len(kl), 0)) if true is None else true, sure)
    effect_list = []
    for scope, kind, anew, row in rows:
        effect = Effect(
            scope=scope.id,
            family=scope.family,
            label=scope.label,
            stage=scope.stage,
            order=scope.order,
            gates=len(scope.gates),
            kind=kind,
            reestimated=anew,
            n=outcomes.n,
            agreement=float((outcomes.first[row] == outcomes.first[0]).mean()),
            kl=float(kl[row].mean()),
            kl_low=kl_low[row],
            kl_high=kl_high[row],
            true_change=None if true is None else float(true[row].mean()),
            true_low=true_low[row],
            true_high=true_high[row],
            **_accuracy(outcomes, row),
        )
        effect_list.append(effect)
    corrected = holm([effect.p for effect in effect_list if effect.p is not None])
    if len(corrected) < len(effect_list):
        return effect_list
    return [effect.model_copy(update={"p_holm": p}) for effect, p in zip(effect_list, corrected, strict=True)]


def _accuracy(outcomes: Outcomes, row: int) -> dict[str, Any]:
    if outcomes.right is None:
        return dict.fromkeys(("accuracy", "accuracy_change", "lost", "gained", "p", "p_holm"))
    before, after = outcomes.right[0], outcomes.right[row]
    change = paired_share_interval(before, after)
    points = {end: 100 * getattr(change, end) for end in ("estimate", "low", "high")}
    return {
        "accuracy": 100 * float(after.mean()),
        "accuracy_change": change.model_copy(update=points),
        "lost": int((before & ~after).sum()),
        "gained": int((after & ~before).sum()),
        "p": mcnemar_p(before, after),
        "p_holm": None,
    }


def redundancy(plan: Plan, outcomes: Outcomes, sure: bool) -> list[Redundancy]:
    """The joint effect of each stage and of all gates against the sum of the gates' single effects."""
    alone = {scope.gates[0]: scope for scope in plan.scopes if scope.family == "gate"}
    sets = [scope for scope in plan.scopes if scope.family in ("stage", "all") and len(scope.gates) > 1]
    rows: list[Redundancy] = []
    measures: tuple[Measure, ...] = ("accuracy", "true_probability", "kl")
    for measure in measures:
        changes = outcomes.changes(measure)
        if changes is None:
            continue
        cases: list[tuple[Scope, AblationKind, NDArray[np.float64], NDArray[np.float64]]] = []
        for scope in sets:
            for kind in plan.kinds:
                together = plan.cell(scope, kind)
                singles = [plan.cell(alone[path], kind) for path in scope.gates if path in alone]
                parts = [1 + change for change in singles if change is not None]
                if together is not None and len(parts) == len(scope.gates):
                    cases.append((scope, kind, changes[1 + together], changes[parts].sum(0)))
        if not cases:
            continue
        lows, highs = _bounds(np.stack([joint - total for _, _, joint, total in cases]), sure)
        for (scope, kind, joint, total), low, high in zip(cases, lows, highs, strict=True):
            row = Redundancy(
                scope=scope.id,
                label=scope.label,
                stage=scope.stage,
                gates=len(scope.gates),
                kind=kind,
                measure=measure,
                joint=float(joint.mean()),
                sum=float(total.mean()),
                excess=float((joint - total).mean()),
                low=low,
                high=high,
                reading=_reading(measure, low, high),
            )
            rows.append(row)
    return rows


def _reading(measure: Measure, low: float | None, high: float | None) -> Reading:
    """More harm together than in sum is redundancy; harm is a gain of divergence, but a loss of everything else."""
    if low is None or high is None or low <= 0 <= high:
        return "undecided"
    more_harm = low > 0 if measure == "kl" else high < 0
    return "redundant" if more_harm else "overlapping"


def _bounds(values: NDArray[np.float64], sure: bool) -> tuple[list[float | None], list[float | None]]:
    """Ends of the bootstrap intervals of each row's mean; None where there are none."""
    if not sure or values.shape[1] < LEAST_IMAGES:
        return [None] * len(values), [None] * len(values)
    low, high = bootstrap_bounds(values)
    return low.tolist(), high.tolist()
