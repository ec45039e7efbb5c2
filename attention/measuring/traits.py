"""What a module is like, found out by trying a fresh one on noise: nothing here is a list that somebody keeps.

A fresh module in a trained network changes what that network computes before it has learned anything; how much is
measured, and so is whether the weights look at the image at all, what training needs, and how the weights grow.
"""

from functools import cache

import torch
from torch import Tensor, nn

from attention.build import build, skeleton
from attention.errors import AttentionError
from attention.gate import AttentionModule, capture, gates
from attention.modules import modules
from attention.names import Size, height_and_width
from attention.registry.options import schema
from attention.reports.modules import Traits
from attention.spec import Options, Placement, Variant

CHANNELS, SIDE = 64, 8
"""The map that a module is tried on."""

HOST, HOST_STAGE, HOST_CHANNELS = "vgg11_small", 3, 64
"""A module is taken out of a small network whose width is set so that this stage has the channels asked for."""

NARROW = 2
"""A bottleneck of so many units or fewer is warned of."""

LARGE_SIDE = 56
"""Side of the first stage's maps in ImageNet's networks, pixels."""


def module_alone(name: str, channels: int, options: Options | None = None, seed: int = 0) -> AttentionModule:
    """Build one attention module outside a network, in eval mode, under a fixed seed, for maps of 8 x 8.

    Raises:
        AttentionError: there is no such module, or it does not take the options or the channels.
    """
    variant = Variant(
        backbone=HOST,
        backbone_options={"width": channels / HOST_CHANNELS},
        attention=name,
        options=options or {},
        placement=Placement(position="stage", stages=(HOST_STAGE,)),
        seed=seed,
    )
    return next(part for part in build(variant).modules() if isinstance(part, AttentionModule))


def randomise(module: nn.Module, seed: int = 0) -> None:
    """Give every parameter a random value, so that nothing hides behind a start at zero."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)


def noise(size: Size = SIDE, channels: int = CHANNELS, images: int = 2) -> Tensor:
    """Maps of independent standard normal entries: (B, C, H, W)."""
    return torch.randn(images, channels, *height_and_width(size), generator=torch.Generator().manual_seed(0))


@cache
def traits(name: str) -> Traits:
    """Find out by trying it on noise what a module with its default options does.

    Raises:
        UnknownName: there is no such module.
    """
    module, x = module_alone(name, CHANNELS), noise()
    with torch.inference_mode():
        y = module(x)
    std_ratio = float(y.std() / x.std())
    correlation = float(torch.corrcoef(torch.stack((x.flatten(), y.flatten())))[0, 1].clamp(-1, 1))
    identity = torch.equal(x, y)
    replaces = None
    if hasattr(modules[name], "select"):
        replaces = "A block's spatial convolution, at the place 'spatial': it becomes one of the module's branches."
    least_batch = _least_batch(module)
    randomise(module)
    depends_on_input, pairs = _depends_on_input(module), _pairs(module)
    needs = _needs(name, least_batch)
    return Traits(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        neutral=tuple(gate.neutral for gate in gates(module).values()),
        std_ratio=std_ratio,
        correlation=correlation,
        identity=identity,
        depends_on_input=depends_on_input,
        least_batch=least_batch,
        pairs=pairs,
        replaces=replaces,
        needs=needs,
        start=_start(std_ratio, correlation, identity),
        warnings=_warnings(module, std_ratio, correlation, identity, depends_on_input, pairs),
    )


@cache
def narrow_bottlenecks(variant: Variant) -> str | None:
    """Say where a variant's reduction leaves a bottleneck of one or two units; None if nowhere.

    Such a layer passes one or two numbers an image, and where its ReLUs die it passes none, so a comparison with it
    compares the width of the bottleneck more than the mechanism.
    """
    widths: dict[int, int] = {}
    for module in skeleton(variant).modules():
        if isinstance(module, AttentionModule) and module.bottleneck is not None and module.bottleneck <= NARROW:
            widths[module.channels] = module.bottleneck
    if not widths:
        return None
    places = ", ".join(f"{units} at {channels} channels" for channels, units in sorted(widths.items()))
    floor = " or set least_width" if "least_width" in schema(modules[variant.attention or ""])["properties"] else ""
    return (
        f"{variant.name}: its reduction leaves bottlenecks of few units ({places}), which can die and then no longer "
        f"see the image. Take a smaller reduction{floor}."
    )


def _least_batch(module: AttentionModule) -> int:
    """2 for a module that normalises one number a channel over the batch, since one image has no spread; or else 1."""
    module.train()
    try:
        with torch.no_grad():
            module(noise(images=1))
    except ValueError:
        return 2
    finally:
        module.eval()
    return 1


def _depends_on_input(module: AttentionModule) -> bool:
    """Whether any weight differs between two images."""
    with torch.no_grad(), capture(module) as seen:
        module(noise())
    return any(not torch.equal(weights[0], weights[1]) for weights in seen.values())


def _pairs(module: AttentionModule) -> bool:
    """Whether any gate has sixteen times the entries on a map of twice the side."""
    sizes = []
    for side in (SIDE, 2 * SIDE):
        with torch.no_grad(), capture(module) as seen:
            module(noise(side, images=1))
        sizes.append({path: weights.numel() for path, weights in seen.items()})
    return any(sizes[1][path] == 16 * count for path, count in sizes[0].items())


def _needs(name: str, least_batch: int) -> tuple[str, ...]:
    needs = []
    if least_batch > 1:
        needs.append(f"In training, at least {least_batch} images a batch: it normalises pooled numbers over them.")
    if modules[name].needs_side:
        needs.append("The side of the maps where it sits: its size is set for the network's own input size.")
    try:
        module_alone(name, CHANNELS // 2 + 1)
    except AttentionError as error:
        needs.append(f"Not any number of channels will do: {error}")
    return tuple(needs)


def _start(std_ratio: float, correlation: float, identity: bool) -> str:
    if identity:
        return "A fresh module is exactly the identity: in a trained network it changes nothing until it is trained."
    if correlation < 0.5:
        return (
            f"A fresh module gives something else than its input (correlation {correlation:.2f}): a trained network "
            "that it is put into has to be trained again."
        )
    even = "" if correlation > 0.95 else f" and changes its pattern (correlation {correlation:.2f})"
    return (
        f"A fresh module leaves {std_ratio:.2f} of its input's standard deviation{even}: after a trained block's last "
        f"normalisation, that block's residual branch starts at {std_ratio:.0%} of what it was."
    )


def _warnings(
    module: AttentionModule, std_ratio: float, correlation: float, identity: bool, depends_on_input: bool, pairs: bool
) -> tuple[str, ...]:
    warnings = []
    if not identity:
        warnings.append(_start(std_ratio, correlation, identity))
    if not depends_on_input:
        warnings.append("Its weights do not depend on the image: it is a control.")
    if pairs:
        megabytes = LARGE_SIDE**4 * 4 / 1e6
        warnings.append(
            "Its weights grow with the square of the pixels: "
            f"a map of {LARGE_SIDE} x {LARGE_SIDE} takes {megabytes:.0f} MB an image in float32. Late stages suit it."
        )
    if any(gate.neutral is None for gate in gates(module).values()):
        warnings.append("It has weights of which none passes the input through: they cannot be ablated to neutral.")
    return tuple(warnings)
