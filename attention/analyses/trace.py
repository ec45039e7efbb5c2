"""How does a gate come from the map that arrives at it: squeeze, layers, weight, scale, in numbers?"""

from functools import partial

from torch import Tensor, nn

from attention.analyses import analyses
from attention.analyses.maps import channel_map, gate_site, image_input, reduced, run, slot_of
from attention.analysis import AnyLab
from attention.errors import InvalidRequest
from attention.gate import PooledAttention, sites
from attention.reports.trace import TraceReport, TraceRequest, TraceStep


@analyses.register("trace")
def trace(request: TraceRequest, lab: AnyLab) -> TraceReport:
    """How does a gate come from the map that arrives at it: squeeze, layers, weight, scale, in numbers?"""
    network = lab.describe(request.variant)
    model = lab.network(network.variant)
    gate_sites = sites(model)
    site = gate_site(model, request.gate or (gate_sites[0].path if gate_sites else ""), network.name)
    module = slot_of(model, site.path)[0]
    if not isinstance(module, PooledAttention):
        raise InvalidRequest(
            f"The gates of {network.name} do not come from the channels' means alone, so there is no such way to show. "
            "Those of SE, ECA and their relatives do."
        )
    outputs: dict[str, Tensor] = {}
    layers = [
        (name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
    ]
    handles = [layer.register_forward_hook(partial(_keep, outputs, name)) for name, layer in layers]
    try:
        arriving, weights = run(model, site, image_input(request.image, network.preprocess, lab))
    finally:
        for handle in handles:
            handle.remove()
    gate = weights.flatten()
    small = reduced(arriving)
    return TraceReport(
        network=network.name,
        image=request.image,
        gate=site.path,
        stage=site.stage,
        block=site.block,
        height=small.shape[1],
        width=small.shape[2],
        maps=tuple(channel_map(number, small[number], arriving[number], gate) for number in range(len(arriving))),
        pooled=tuple(arriving.mean((1, 2)).tolist()),
        steps=tuple(_step(name, layer, outputs[name]) for name, layer in layers if name in outputs),
        weights=tuple(gate.tolist()),
    )


def _keep(outputs: dict[str, Tensor], name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    outputs[name] = output.detach().float().flatten().cpu()


def _step(name: str, layer: nn.Module, output: Tensor) -> TraceStep:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    return TraceStep(
        name=name,
        kind=type(layer).__name__,
        shape=tuple(weight.shape),
        weight=tuple(weight.detach().float().flatten().tolist()),
        bias=tuple(bias.detach().float().tolist()) if isinstance(bias, Tensor) else None,
        output=tuple(output.tolist()),
    )
