"""Which channels does a gate of this network listen to, on this photo?

The interaction matrix of a trained module where it sits: the derivative of each channel's gate by each channel's mean.
ECA's is a band, SE's has low rank, a gate that does not look at the image has none.
"""

import copy

import torch
from torch import Tensor

from attention.analyses import analyses
from attention.analyses.maps import slot_of
from attention.analyses.permutation import arrivals
from attention.analysis import AnyLab
from attention.data.preprocessing import preprocess
from attention.errors import InvalidRequest
from attention.gate import AttentionModule, gates, slots
from attention.measuring.channel_gates import channel_sites, named, per_channel, place, ran, require, spaced
from attention.measuring.traits import randomise
from attention.reports.coupling import CouplingReport, CouplingRequest
from attention.reports.gates import GateSite

MEANS_ONLY = (
    "The module alone in float64 with the network's weights, at the channel means of the map that arrives at it on "
    "this photo. Its gate is a function of these means alone."
)
MORE = (
    "The module alone in float64 with the network's weights, on the map that arrives at it on this photo. Its gate "
    "sees more of the map than channel means: the matrix says what happens when all pixels of a channel move alike."
)
UNHEARD = 1e-12
"""An entry counts as 0 if a standard deviation of the map changes the gate by less: rounding of float64."""

MOST_RANKED = 1024
"""Channels up to which the rank is found: singular values take eight times as long for twice as many."""

TRIES = 4
"""Maps of noise, and weights, with which it is tried whether a gate sees means only: some shut every ReLU."""

FLAT = " Every entry is 0: on this photo the gate does not answer to the map at all."


@analyses.register("coupling")
def coupling(request: CouplingRequest, lab: AnyLab) -> CouplingReport:
    """Which channels does a gate of this network listen to, on this photo?"""
    network = lab.describe(request.variant)
    variant = network.variant
    candidates, left_out = channel_sites(variant)
    require(variant, candidates, left_out)
    site = named(candidates, (request.gate,))[0] if request.gate is not None else candidates[-1]
    photo = lab.files.image(request.image)
    x = preprocess(photo, network.preprocess).unsqueeze(0)  # (1, 3, S, S)
    module, inner, arrived = _module(lab, site, request, x.to(lab.device))
    alone = _means_only(module, inner, site, arrived)
    at = arrived.mean((2, 3), keepdim=True) if alone else arrived
    values, matrix = slopes(module, inner, site, at)
    step = float(arrived.std(correction=0)) or 1.0
    matrix = matrix.where(matrix.abs() * step > UNHEARD, 0.0)
    rank = int(torch.linalg.matrix_rank(matrix)) if len(values) <= MOST_RANKED else None
    entries = matrix.nonzero()
    shown = spaced(len(values), request.shown)
    warning = f" {network.warning}" if network.warning else ""
    return CouplingReport(
        **dict(place(site, len(values))),
        network=ran(network, lab),
        image=request.image,
        module=str(variant.attention),
        shown=tuple(shown),
        matrix=tuple(tuple(row) for row in matrix[shown][:, shown].float().tolist()),
        values=tuple(values[shown].float().tolist()),
        means=tuple(arrived.mean((2, 3))[0, shown].float().tolist()),
        largest=float(matrix.abs().max()),
        rank=rank,
        reach=int((entries[:, 0] - entries[:, 1]).abs().max()) if len(entries) else 0,
        share=len(entries) / matrix.numel(),
        means_only=alone,
        conditions=(MEANS_ONLY if alone else MORE) + ("" if len(entries) else FLAT) + warning,
    )


def slopes(module: AttentionModule, inner: str, site: GateSite, x: Tensor) -> tuple[Tensor, Tensor]:
    """A gate (C,) for one map (1, C, H, W), and its derivative by a shift of each channel: row c, column j."""

    def shifted(by: Tensor) -> Tensor:
        return gate_of(module, inner, site, x + by[None, :, None, None])[0]

    none = torch.zeros(x.shape[1], dtype=x.dtype)
    jacobian: Tensor = torch.autograd.functional.jacobian(shifted, none)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return shifted(none), jacobian


def gate_of(module: AttentionModule, inner: str, site: GateSite, x: Tensor) -> Tensor:
    """One gate of a module for maps (B, C, H, W), with its gradients: (B, C)."""
    kept: list[Tensor] = []
    handle = gates(module)[inner].register_forward_hook(lambda _, __, weights: kept.append(weights))
    try:
        module(x)
    finally:
        handle.remove()
    return per_channel(kept[0], site.kind)


def _module(lab: AnyLab, site: GateSite, request: CouplingRequest, x: Tensor) -> tuple[AttentionModule, str, Tensor]:
    """The module of a gate in float64, the gate's path inside it, and the map (1, C, H, W) that arrives at it."""
    network = lab.network(request.variant)
    slot_of(network, site.path)
    for slot, module, arrived in arrivals(network, x):
        path = next(path for path, candidate in slots(network).items() if candidate is slot)
        if not site.path.startswith(f"{path}."):
            continue
        if len(arrived) > 1:
            raise InvalidRequest(
                f"The gate at {site.path!r} listens to the sum of its branches, not to the map that arrives, so it has "
                "no such matrix. scale shows what its choice follows."
            )
        inside = site.path.removeprefix(f"{path}.").partition(".")[2]  # after the module's number in its slot
        return module.cpu().double(), inside, arrived[0].cpu().double()
    raise AssertionError(site.path)


def _means_only(module: AttentionModule, inner: str, site: GateSite, x: Tensor) -> bool:
    """Whether a gate is a function of channel means alone, as its module is made, whatever its weights."""
    tried = copy.deepcopy(module)
    maps = torch.randn(TRIES, *x.shape[1:], dtype=x.dtype, generator=torch.Generator().manual_seed(0))
    flat = maps.mean((2, 3), keepdim=True).expand_as(maps)
    for seed in range(TRIES):
        randomise(tried, seed)
        with torch.no_grad():
            whole, means = (gate_of(tried, inner, site, inputs) for inputs in (maps, flat))
        if not torch.allclose(whole, means):
            return False
    return True
