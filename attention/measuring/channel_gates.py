"""Gates as one number for each channel, and what may be said of such numbers over many images.

Most analyses of attention in the papers look at images x channels. A channel gate is that already; other kinds are
brought down to it where a channel has weights of its own, by their mean, and left out, with the reason, where not.

Shares of variance follow Zhongzhan Huang, Shanshan Zhong, Wushao Wen, Jinghui Qin, Liang Lin: Stripe Observation Guided
Inference Cost-free Attention Mechanism, ECCV 2024, https://arxiv.org/abs/2304.06345; effective rank is that of Olivier
Roy and Martin Vetterli: The effective rank: a measure of effective dimensionality, EUSIPCO 2007.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from attention.analysis import AnyLab
from attention.build import skeleton
from attention.errors import InvalidRequest
from attention.gate import sites
from attention.measuring.moments import Moments, together
from attention.reports.gates import GateSite
from attention.reports.parts.network import Network
from attention.reports.parts.subjects import ChannelGate, Ran
from attention.running.device import device_name
from attention.spec import GateKind, Variant

Matrix = NDArray[np.float64]

REDUCED: dict[GateKind, str | None] = {
    "channel": None,
    "full": "The mean over places of each channel's weights.",
    "rows": "The mean over rows of each channel's weights.",
    "columns": "The mean over columns of each channel's weights.",
    "branch": "Each channel's weight of the last branch, which sees the most pixels; over all branches they sum to 1.",
}
"""Kinds of gates that have weights for each channel, and how these become one number."""

NOT_REDUCED: dict[GateKind, str] = {
    "spatial": "its weights are those of places, shared by all channels",
    "matrix": "its weights are those between pairs, and none is one channel's alone",
}
"""Kinds that have no number for a channel, and why."""

LOW, HIGH = 0.1, 0.9
"""An entry below or above these counts as saturated."""

RESOLUTION = 2.0**-23
"""Spreads below this, for values of about 1, are rounding of float32 and count as none."""


# ---------------------------------------------------------------- which gates, of what network


def per_channel(values: Tensor, kind: GateKind) -> Tensor:
    """A gate (B, ...) of one of the `REDUCED` kinds as one number for each channel, with its gradients: (B, C)."""
    if kind == "branch":
        return values[:, -1].flatten(1)
    return values.flatten(2).mean(2)


def ran(network: Network, lab: AnyLab) -> Ran:
    """Describe a network, as a lab runs it, for a report."""
    return Ran(
        name=network.name,
        variant=network.variant,
        trained=network.trained,
        warning=network.warning,
        device=device_name(lab.device),
        dtype=lab.dtype,
    )


def channel_sites(variant: Variant) -> tuple[tuple[GateSite, ...], tuple[str, ...]]:
    """The gates of a network that have a number for each channel, and a sentence on those that have none."""
    all_sites = sites(skeleton(variant))
    left_out = {}
    for site in all_sites:
        if site.kind not in REDUCED:
            left_out[site.kind] = (
                f"Gates of kind {site.kind!r} in {variant.name}, such as {site.path}, are left out: "
                f"{NOT_REDUCED[site.kind]}."
            )
    return tuple(site for site in all_sites if site.kind in REDUCED), tuple(left_out.values())


def require(variant: Variant, gate_sites: Sequence[GateSite], left_out: Sequence[str]) -> None:
    """Raise InvalidRequest unless a network has gates with a number for each channel.

    Raises:
        InvalidRequest: it has none.
    """
    if not gate_sites:
        why = " ".join(left_out) or f"{variant.name} has no attention, so it has no gates."
        raise InvalidRequest(f"{why} Ask for a network with channel weights, such as se or eca.")


def named(gate_sites: Sequence[GateSite], prefixes: Sequence[str]) -> tuple[GateSite, ...]:
    """The gates at some paths, or below some prefixes of them, in the order of the network.

    Raises:
        InvalidRequest: a prefix names none of them.
    """
    chosen = set()
    for prefix in prefixes:
        under = {site.path for site in gate_sites if site.path == prefix or site.path.startswith(f"{prefix}.")}
        if not under:
            there = ", ".join(site.path for site in gate_sites[-3:])
            raise InvalidRequest(f"No gate with a number for each channel is at {prefix!r}. There is, say: {there}.")
        chosen |= under
    return tuple(site for site in gate_sites if site.path in chosen)


def place(site: GateSite, channels: int) -> ChannelGate:
    """Write a gate's place for a report."""
    return ChannelGate(**dict(site), channels=channels, reduced=REDUCED[site.kind])


def spaced(count: int, most: int) -> list[int]:
    """At most ``most`` of the numbers below ``count``, evenly spaced from the first to the last."""
    if most >= count:
        return list(range(count))
    return [int(number) for number in np.linspace(0, count - 1, most).round()]


# ---------------------------------------------------------------- what may be said of them


class Entries:
    """Every entry of one gate as it passes by, whatever the gate's shape: its spread and how much is saturated."""

    def __init__(self) -> None:
        self.moments: Moments | None = None
        self.least, self.most = np.inf, -np.inf
        self.low = self.high = 0

    def add(self, weights: Tensor) -> None:
        """Some images' gates."""
        entries = weights.double().cpu().numpy().ravel()
        more = Moments.of(entries)
        self.moments = more if self.moments is None else self.moments + more
        self.least, self.most = min(self.least, float(entries.min())), max(self.most, float(entries.max()))
        self.low += int((entries < LOW).sum())
        self.high += int((entries > HIGH).sum())


def varies(variance: float, mean_square: float) -> bool:
    """Whether a variance is more than rounding."""
    return variance > RESOLUTION**2 * max(mean_square, 1e-12)


def static_share(over_images: Moments) -> float | None:
    """Var_c(E_n g) / Var_nc(g) from the moments of each channel over images; None if the gate is one constant."""
    static = float(over_images.mean.var())
    whole = static + float(over_images.variance.mean())  # the law of total variance
    if not varies(whole, float(np.square(over_images.mean).mean())):
        return None
    return static / whole


def class_share(by_class: Sequence[Moments]) -> float | None:
    """E_c Var_class(E[g | class]) / E_c Var_n(g), classes counting by their images.

    None with fewer than two classes, with one image in each, and where images do not differ.
    """
    if len(by_class) < 2 or all(moments.count < 2 for moments in by_class):
        return None
    over_images = together(by_class)
    whole = float(over_images.variance.mean())
    if not varies(whole, float(np.square(over_images.mean).mean())):
        return None
    between = (
        sum(moments.count * np.square(moments.mean - over_images.mean) for moments in by_class) / over_images.count
    )
    return float(np.mean(between)) / whole


def class_share_by_chance(by_class: Sequence[Moments]) -> float | None:
    """The mean class share over all ways to hand out the labels: (classes - 1) / (images - 1)."""
    if class_share(by_class) is None:
        return None
    return (len(by_class) - 1) / (sum(moments.count for moments in by_class) - 1)


def effective_rank(matrix: Matrix, mean_square: float | None = None) -> float | None:
    """exp of the entropy of the singular values as shares of their sum; None for a matrix of zeros.

    Args:
        mean_square: of the numbers that the matrix comes from, to tell zero from rounding; None takes its own.
    """
    own = float(np.square(matrix).mean())
    if not varies(own, own if mean_square is None else mean_square):
        return None
    singular = np.linalg.svd(matrix, compute_uv=False)
    shares = singular[singular > 0] / singular.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def order(matrix: Matrix) -> Matrix:
    """Ranks of each row's entries, ties sharing theirs, centred and scaled to length 1; 0 where a row is constant.

    The product of two such rows is Spearman's rank correlation.
    """
    ranks = stats.rankdata(matrix, axis=1)
    ranks = ranks - ranks.mean(1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=1, keepdims=True)
    scaled: Matrix = ranks / np.where(lengths > 0, lengths, 1.0)
    return scaled


def without_order(matrix: Matrix) -> int:
    """How many rows are constant, so that they put the channels in no order."""
    return int((matrix.min(1) == matrix.max(1)).sum())


def order_between_images(matrix: Matrix) -> float | None:
    """Mean of Spearman's rank correlation over all pairs of rows that have an order; None if fewer than two have."""
    count = len(matrix) - without_order(matrix)
    if count < 2:
        return None
    return float((np.square(order(matrix).sum(0)).sum() - count) / (count * (count - 1)))


def order_between(first: Matrix, second: Matrix) -> float | None:
    """Mean of Spearman's rank correlation of one matrix's row with the other's, where both have an order; or None."""
    ours, theirs = order(first), order(second)
    both = ours.any(1) & theirs.any(1)
    return float((ours * theirs).sum(1)[both].mean()) if both.any() else None
