"""What arrives at a gate on this photo, channel by channel, and how is each channel weighed?"""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.data.images import png
from attention.data.preprocessing import preprocess
from attention.errors import InvalidRequest
from attention.gate import Slot, capture, sites, slots
from attention.network import as_asked
from attention.reports.gates import GateSite
from attention.reports.maps import SIDE, ChannelMap, Listening, MapsReport, MapsRequest
from attention.spec import Preprocess

ENDS = 8
"""Channels that are shown of either end where none are asked for."""


@analyses.register("maps")
def maps(request: MapsRequest, lab: AnyLab) -> MapsReport:
    """What arrives at a gate on this photo, channel by channel, and how is each channel weighed?"""
    network = as_asked(lab.describe(request.variant), request)
    model = lab.network(network.variant)
    site = gate_site(model, request.gate, network.name)
    image = image_input(request.image, network.preprocess, lab)
    arriving, weights = run(model, site, image)  # (C, H, W), the gate's shape
    by_channel = channel_weights(site, weights)
    small = reduced(arriving)
    return MapsReport(
        network=network.name,
        image=request.image,
        gate=site.path,
        kind=site.kind,
        channels=len(arriving),
        height=small.shape[1],
        width=small.shape[2],
        maps=tuple(
            channel_map(channel, small[channel], arriving[channel], by_channel)
            for channel in chosen(request, len(arriving), by_channel)
        ),
        listening=listening(request, site, weights, arriving) if request.place else None,
    )


def image_input(image: str, how: Preprocess, lab: AnyLab) -> Tensor:
    """A photo as a network's input, (1, 3, H, W), on the lab's device."""
    return preprocess(lab.files.image(image), how)[None].to(lab.device)


def gate_site(model: nn.Module, path: str, network: str) -> GateSite:
    """Look up the site of a model's gate by its path.

    Raises:
        InvalidRequest: the network has no gate of that path.
    """
    by_path = {site.path: site for site in sites(model)}
    if path not in by_path:
        named = ", ".join(list(by_path)[:4]) if by_path else "none at all"
        raise InvalidRequest(f"{network} has no gate {path[:80]!r}. Its gates are {named}{' …' * bool(by_path)}.")
    return by_path[path]


def run(model: nn.Module, site: GateSite, image: Tensor) -> tuple[Tensor, Tensor]:
    """The map that arrives at the gate's module (C, H, W), and the gate's weights without the batch."""
    slot, arrived = slot_of(model, site.path), list[Tensor]()

    def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        arrived.append(inputs[-1].detach())  # a unit around a convolution is called with that convolution's result last

    handle = slot.register_forward_pre_hook(keep)
    try:
        with torch.inference_mode(), capture(model) as gates:
            model(image)
    finally:
        handle.remove()
    return arrived[0][0].float().cpu(), gates[site.path][0].float().cpu()


def reduced(arriving: Tensor) -> Tensor:
    """A map (C, H, W) averaged down to `SIDE` places a side where it is larger."""
    return adaptive_avg_pool2d(arriving, (min(arriving.shape[1], SIDE), min(arriving.shape[2], SIDE)))


def slot_of(model: nn.Module, path: str) -> Slot:
    """The slot whose module holds a gate.

    Raises:
        InvalidRequest: the gate is in the code of a network that was not written here.
    """
    for name, slot in slots(model).items():
        if path.startswith(f"{name}."):
            return slot
    raise InvalidRequest(
        f"The gate at {path!r} is in the network's own code, and this looks into modules of the shelf."
    )


def channel_weights(site: GateSite, weights: Tensor) -> Tensor | None:
    """Weight of each channel (C): of a channel gate its own, of one over places too their means; None of others."""
    match site.kind:
        case "channel":
            return weights.flatten()
        case "rows" | "columns" | "full":
            return weights.mean((1, 2))
        case "branch":
            return weights[-1].flatten()  # of the last branch, whose kernel is the largest
    return None


def chosen(request: MapsRequest, channels: int, weights: Tensor | None) -> list[int]:
    """Choose the channels that a report shows, by number.

    Raises:
        InvalidRequest: one of those asked for is not there.
    """
    if request.channels is not None:
        beyond = [channel for channel in request.channels if channel >= channels]
        if beyond:
            raise InvalidRequest(f"The map has channels 0 to {channels - 1}; there is no channel {beyond[0]}.")
        return list(request.channels)
    order = list(range(channels)) if weights is None else weights.argsort(descending=True, stable=True).tolist()
    return order if len(order) <= 2 * ENDS else order[:ENDS] + order[-ENDS:]


def channel_map(channel: int, small: Tensor, whole: Tensor, weights: Tensor | None) -> ChannelMap:
    """A channel (H, W) as 8 bits on its own scale."""
    low, high = float(small.min()), float(small.max())
    levels = ((small - low) / ((high - low) or 1.0) * 255).round().to(torch.uint8)
    return ChannelMap(
        channel=channel,
        weight=None if weights is None else float(weights[channel]),
        low=low,
        high=high,
        mean=float(whole.mean()),
        png_base64=png(levels.numpy()),
    )


def listening(request: MapsRequest, site: GateSite, weights: Tensor, arriving: Tensor) -> Listening | None:
    """The row of a gate between places (N, N) that belongs to a place; None for any other gate.

    Raises:
        InvalidRequest: the map has no such place.
    """
    height, width = arriving.shape[1:]
    # Of two gates that are as large as each other, the one between channels says so in its path.
    if site.kind != "matrix" or weights.shape[0] != height * width or "channel" in site.path:
        return None
    assert request.place is not None
    row, column = request.place
    if row >= height or column >= width:
        raise InvalidRequest(f"The map is {height} x {width}; there is no place at row {row}, column {column}.")
    shares = tuple(weights[row * width + column].tolist())
    return Listening(row=row, column=column, height=height, width=width, shares=shares)
