"""Which channels does each channel's gate listen to?"""

import copy

import torch
from torch import Tensor

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.errors import InvalidRequest
from attention.gate import AttentionModule, gates
from attention.measuring.traits import module_alone, noise, randomise
from attention.modules import modules
from attention.registry.options import present, schema
from attention.reports.modules import Interaction, InteractionReport, InteractionRequest
from attention.spec import Options

POINTS = 16
"""Vectors of pooled features that are tried: at some of them a bottleneck's ReLUs are all shut."""

CONDITIONS = (
    "Untrained weights, drawn from the seed, in float64. Row c, column j is the derivative of channel c's gate by "
    f"channel j's mean. Of {POINTS} vectors of pooled features, drawn from a standard normal distribution, each "
    "module is shown at the first where its rank is largest. Training changes the values; where zeros are, and how "
    "large the rank can be, is the module's structure."
)


@analyses.register("interaction")
def interaction(request: InteractionRequest, lab: AnyLab) -> InteractionReport:
    """Which channels does each channel's gate listen to?"""
    generator = torch.Generator().manual_seed(request.seed)
    pooled = torch.randn(POINTS, request.channels, generator=generator, dtype=torch.float64)  # (B, C)
    names = [modules.canonical(name) for name in request.modules]
    interactions = tuple(_interaction(name, request, pooled) for name in names)
    return InteractionReport(channels=request.channels, interactions=interactions, conditions=CONDITIONS)


def _interaction(name: str, request: InteractionRequest, pooled: Tensor) -> Interaction:
    options = _options(name, request)
    module = module_alone(name, request.channels, options, request.seed).double()
    _check(name, module)

    def summed(features: Tensor) -> Tensor:
        """Each channel's gate, added up over the batch: a map of one pixel is its own mean."""
        return channel_gate(module, features[:, :, None, None]).sum(0)  # (C,)

    jacobian: Tensor = torch.autograd.functional.jacobian(summed, pooled)  # type: ignore[no-untyped-call]
    slopes = jacobian.transpose(0, 1)  # (B, C, C): d gate_c / d pooled_j
    ranks = torch.linalg.matrix_rank(slopes)
    matrix, rank = slopes[int(ranks.argmax())], int(ranks.max())
    entries = matrix.nonzero()
    return Interaction(
        module=name,
        options=options,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        matrix=tuple(tuple(row) for row in matrix.float().tolist()),
        rank=rank,
        narrowest=narrowest(module, pooled[:1, :, None, None]),
        reach=int((entries[:, 0] - entries[:, 1]).abs().max()) if len(entries) else 0,
        share=len(entries) / matrix.numel(),
    )


def channel_gate(module: AttentionModule, x: Tensor) -> Tensor:
    """The weights of a module's only gate for maps (B, C, H, W): (B, C), with their gradients."""
    captured: list[Tensor] = []
    (gate,) = gates(module).values()
    handle = gate.register_forward_hook(lambda _, __, weights: captured.append(weights.flatten(1)))
    try:
        module(x)
    finally:
        handle.remove()
    return captured[0]


def narrowest(module: AttentionModule, x: Tensor) -> int:
    """The fewest numbers that any layer of a module hands on for one image."""
    counts: list[int] = [module.channels]
    handles = [
        layer.register_forward_hook(lambda _, __, out: counts.append(out.numel()))
        for layer in module.modules()
        if not list(layer.children())
    ]
    try:
        with torch.no_grad():
            module(x)
    finally:
        for handle in handles:
            handle.remove()
    return min(counts)


def _options(name: str, request: InteractionRequest) -> Options:
    """What of the request this module has an option for."""
    module, names = modules[name], modules.names_of(name)
    properties = schema(module).get("properties", {})
    chosen: Options = {}
    narrow, wide = present(module, names, "reduction"), present(module, names, "kernel_size")
    if narrow and request.reduction != properties[narrow]["default"]:
        chosen[narrow] = request.reduction
    if wide and request.kernel_size is not None:
        chosen[wide] = request.kernel_size
    return chosen


def _check(name: str, module: AttentionModule) -> None:
    """See that the module's only gate is by channel and depends on channel means alone.

    Raises:
        InvalidRequest: it is another kind of module.
    """
    kinds = [gate.kind for gate in gates(module).values()]
    if kinds != ["channel"]:
        raise InvalidRequest(
            f"{name!r} has gates of kind {', '.join(kinds)}. This question is for modules with one gate a channel, "
            "such as eca, se or ese."
        )
    tried = copy.deepcopy(module)
    randomise(tried)
    x = noise(channels=module.channels).double()
    with torch.no_grad():
        whole, means = (channel_gate(tried, maps) for maps in (x, x.mean((2, 3), keepdim=True)))
    if not torch.allclose(whole, means):
        raise InvalidRequest(
            f"{name!r} sees more of a channel than its mean, so its gates are no function of pooled features. "
            "Ask for modules such as eca, se or ese."
        )
