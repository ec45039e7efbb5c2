"""Does a module's gate depend on the order in which channels stand?

Let the channels arrive in another order, put the gate back into the old one, and compare. For SE-Var1 and SimAM, whose
channels are treated alike, nothing changes. SE's weights belong to channels: it changes if they stay, and not if they
follow. ECA's filter runs across neighbours and is one for all channels: no weights can follow, and it changes.
"""

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.build import skeleton, usual_size
from attention.data.preprocessing import preprocess
from attention.errors import AttentionError, InvalidRequest
from attention.gate import AttentionModule, Slot, capture, gates, slots
from attention.measuring.traits import SIDE, module_alone, noise, randomise
from attention.modules import modules
from attention.reports.parts.network import Network
from attention.reports.permutation import Order, PermutationReport, PermutationRequest, PermutedModule
from attention.spec import GateKind

TOLERANCE = 1e-9
"""Changes up to this, in float64 and for gates of about 1, are rounding."""

CONDITIONS = (
    "The channels of the map that arrives are put into one random order (the same for all modules of one width, drawn "
    "from the seed), the gate is put back, and compared with the gate of the map as it was; float64, eval mode. "
    "'Weights stay': nothing else changes. 'Weights follow': every axis of a parameter or a running statistic that is "
    "as long as there are channels (or m times, as m rows of channels) is put into the same order; fixed bases, such "
    "as FcaNet's cosines, stay. Lone modules have every parameter drawn from N(0, 0.5²), so that nothing hides "
    "behind a start at zero, and see two maps of standard normal noise; those in networks have their own weights."
)

SENTENCES: dict[Order, str] = {
    "blind to it": "The order of channels makes no difference: no weight belongs to a channel or to a neighbourhood.",
    "carried by the weights": "Weights belong to channels: put both into another order, and nothing changes. The "
    "order itself means nothing.",
    "in its structure": "The order of channels matters, and no order of the weights makes up for it: which channels "
    "are neighbours, or of one group, is built in.",
}


CONSTANT = "Its gate is one constant here, whatever the order of channels: there is nothing to be seen."


@analyses.register("permutation")
def permutation(request: PermutationRequest, lab: AnyLab) -> PermutationReport:
    """Does a module's gate depend on the order in which channels stand?"""
    if not request.modules and not request.variants:
        raise InvalidRequest("Name at least one module, or a network that has some.")
    rows = [_lone(name, request) for name in request.modules]
    for number, variant in enumerate(request.variants):
        lab.progress(number, len(request.variants), variant.name)
        rows += _inside(lab.describe(variant), request, lab)
    return PermutationReport(rows=tuple(rows), conditions=CONDITIONS)


def _lone(name: str, request: PermutationRequest) -> PermutedModule:
    name = modules.canonical(name)  # a name that is not there is the caller's mistake, not a row
    try:
        module = module_alone(name, request.channels)
    except AttentionError as error:
        return _row(name, request.channels, sentence=f"It does not take {request.channels} channels: {error}")
    randomise(module, request.seed)
    side = SIDE if request.channels != SIDE**2 else SIDE + 1  # tells maps of places from those of channels
    x = noise(side, request.channels)
    return _probed(name, module, (x,), request.seed)


def _inside(network: Network, request: PermutationRequest, lab: AnyLab) -> Iterator[PermutedModule]:
    """A row for every module of a network, each on the map that arrives at it."""
    variant = network.variant
    if not any(len(slot) for slot in slots(skeleton(variant)).values()):
        raise InvalidRequest(f"{variant.name} has no attention, so there is no module to try.")
    model = lab.network(variant)
    if request.image is not None:
        photo = lab.files.image(request.image)
        x = preprocess(photo, network.preprocess).unsqueeze(0)  # (1, 3, H, W)
    else:
        x = noise(usual_size(variant), 3, 1)  # (1, 3, H, W)
    for slot, module, arrived in arrivals(model, x.to(lab.device)):
        permuted = _probed(str(variant.attention), module, arrived, request.seed)
        path = next(path for path, candidate in slots(model).items() if candidate is slot)
        place = {"variant": variant.name, "path": path, "stage": slot.stage, "block": slot.block}
        yield permuted.model_copy(update=place)


def arrivals(network: nn.Module, x: Tensor) -> list[tuple[Slot, AttentionModule, tuple[Tensor, ...]]]:
    """Every module of a network with its place and what arrives at it for some images."""
    inside = [
        (slot, module) for slot in slots(network).values() for module in slot if isinstance(module, AttentionModule)
    ]
    arrived: dict[AttentionModule, tuple[Tensor, ...]] = {}

    def keep(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(module, AttentionModule)
        arrived[module] = tuple(arg.detach().clone() for arg in args)  # a block's ReLU may work in place

    handles = [module.register_forward_pre_hook(keep) for _, module in inside]
    try:
        with torch.no_grad():
            network(x)
    finally:
        for handle in handles:
            handle.remove()
    return [(slot, module, arrived[module]) for slot, module in inside]


def _probed(name: str, module: AttentionModule, arrived: tuple[Tensor, ...], seed: int) -> PermutedModule:
    kinds = tuple(gate.kind for gate in gates(module).values())
    if len(arrived) > 1:
        why = "It chooses between two maps, and sees one that has other channels: there is no one order to change."
        return _row(name, module.channels, kinds, sentence=why)
    module, x = copy.deepcopy(module).cpu().double(), arrived[0].cpu().double()
    if x.shape[2] * x.shape[3] == module.channels and "matrix" in kinds:
        x = x[..., :-1]  # tells maps of places from those of channels
    permuted = torch.randperm(module.channels, generator=torch.Generator().manual_seed(seed))
    as_it_was = _gates(module, x)
    stay = _change(as_it_was, _gates(module, x[:, permuted]), permuted)
    follow = _change(as_it_was, _gates(carried(module, permuted), x[:, permuted]), permuted)
    entries = torch.cat([weights.flatten() for _, weights in as_it_was])
    least = TOLERANCE * max(1.0, float(entries.abs().max()))
    order: Order = "in its structure" if follow > least else "carried by the weights" if stay > least else "blind to it"
    spread = float(entries.std(correction=0))
    return PermutedModule(
        module=name,
        variant=None,
        path=None,
        stage=None,
        block=None,
        channels=module.channels,
        kinds=kinds,
        spread=spread,
        weights_stay=stay,
        weights_follow=follow,
        order=order,
        sentence=CONSTANT if order == "blind to it" and spread <= least else SENTENCES[order],
    )


def carried(module: AttentionModule, permuted: Tensor) -> AttentionModule:
    """A copy of a module whose weights belong to the same channels as before, now that these stand in another order."""
    changed, channels = copy.deepcopy(module), module.channels
    with torch.no_grad():
        for weight in changed.state_dict().values():  # shares its memory with the copy
            for axis, length in enumerate(weight.shape):
                if length % channels == 0:
                    rows = weight.unflatten(axis, (length // channels, channels))
                    weight.copy_(rows.index_select(axis + 1, permuted).flatten(axis, axis + 1))
    return changed


def _gates(module: AttentionModule, x: Tensor) -> list[tuple[GateKind, Tensor]]:
    with torch.no_grad(), capture(module) as seen:
        module(x)
    return [(gate.kind, seen[path]) for path, gate in gates(module).items()]


def _change(before: list[tuple[GateKind, Tensor]], after: list[tuple[GateKind, Tensor]], permuted: Tensor) -> float:
    """Mean |gate put back in order - gate| over all entries of all gates."""
    back, summed, count = permuted.argsort(), 0.0, 0
    for (kind, was), (_, now) in zip(before, after, strict=True):
        for axis in _channel_axes(kind, was, len(permuted)):
            now = now.index_select(axis, back)
        summed += float((now - was).abs().sum())
        count += math.prod(was.shape)
    return summed / count


def _channel_axes(kind: GateKind, weights: Tensor, channels: int) -> tuple[int, ...]:
    """The axes of a gate (B, ...) that run over channels."""
    match kind:
        case "spatial":
            return ()
        case "branch":
            return (2,)
        case "matrix":
            return (1, 2) if weights.shape[1] == channels else ()
        case _:
            return (1,)


def _row(name: str, channels: int, kinds: tuple[GateKind, ...] = (), *, sentence: str) -> PermutedModule:
    """A row for a module that could not be tried."""
    return PermutedModule(
        module=name,
        variant=None,
        path=None,
        stage=None,
        block=None,
        channels=channels,
        kinds=kinds,
        spread=0.0,
        weights_stay=None,
        weights_follow=None,
        order=None,
        sentence=sentence,
    )
