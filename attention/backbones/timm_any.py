"""Any convolutional network of timm's, with places for attention after its stages and on its last map.

PyTorch Image Models. Ross Wightman. 2019. https://github.com/huggingface/pytorch-image-models

timm is an extra, ``pip install 'attention-lab[timm]'``, and is imported when such a network is built. Stages are the
maps of a quarter of the input's side and smaller that timm's feature extraction names, counted from 1, so its ResNets
have the stages of ours. Inside its blocks there are no places; a block's own attention, such as seresnet50's, is a part
of the backbone, and its gates are found. Parameters lie under ``body`` with timm's names; its published weights load.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from attention.backbones import ForeignNetwork, Slot, backbones, imported
from attention.errors import BadOption, did_you_mean
from attention.names import height_and_width, write_size

LARGEST = 400_000_000
"""Parameters; larger networks are not built."""

Classes = Annotated[int, Field(ge=1)]
Model = Annotated[
    str,
    Field(description="A model's name in timm, such as resnet50d or efficientnet_b0, without the tag of its weights."),
]


class Stage(NamedTuple):
    """A module of timm's whose map is a stage's: its path and its channels."""

    path: str
    channels: int


class Through:
    """A forward hook that sends a module's map through a slot; an object, so that a copied network uses its own."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot

    def __call__(self, module: nn.Module, args: tuple[Any, ...], out: Tensor) -> Tensor:
        return self.slot(out)


class TimmNet(ForeignNetwork):
    """timm's network as ``body``; a slot after each stage, and one on the last map."""

    smallest_input = 32

    def __init__(self, model: str, classes: int) -> None:
        stages, last = plan(model)
        super().__init__(_timm().create_model(model, pretrained=False, num_classes=classes))
        for number, stage in enumerate(stages, start=1):
            slot = Slot("stage", number, 1, stage.channels)
            self.add_module(f"after{number}", slot)
            self.body.get_submodule(stage.path).register_forward_hook(Through(slot))
        self.tail = Slot("tail", len(stages), 1, last)

    def answer(self, x: Tensor) -> Tensor:
        """Logits (B, K); what is in the slots is run between stages, and before the classifier's pooling."""
        return self.body.forward_head(self.tail(self.body.forward_features(x)))


@cache
def plan(model: str) -> tuple[tuple[Stage, ...], int]:
    """The stages of one of timm's networks, and the channels of its last map; found on the meta device.

    Raises:
        BadOption: timm has no such network, or it has no stages of maps.
    """
    timm = _timm()
    models = timm.list_models()
    if model not in models:
        tag = " Leave out what follows the dot, and say it as weights." if model.partition(".")[0] in models else ""
        raise BadOption(f"timm has no model {model!r}.{tag or _close(model, models)}")
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        body = timm.create_model(model, pretrained=False)
    size = sum(parameter.numel() for parameter in body.parameters())
    if size > LARGEST:
        raise BadOption(f"timm's {model!r} has {size:,} parameters; networks of up to {LARGEST:,} are built here.")
    named = [info for info in getattr(body, "feature_info", None) or () if isinstance(info, dict)]
    stages = {info["reduction"]: str(info["module"]) for info in named if info.get("reduction", 0) >= 4}
    if not stages or not hasattr(body, "forward_head"):
        raise BadOption(f"timm does not say where the stages of {model!r} end, so nothing can be placed after them.")
    shapes, last = _shapes(body, tuple(stages.values()), model)
    for path, shape in (*shapes.items(), ("the last map", last)):
        if len(shape) != 4 or shape[2] != shape[3]:
            raise BadOption(
                f"timm's {model!r} gives {shape} at {path}, not a map (1, C, H, W). Take a convolutional one."
            )
    return tuple(Stage(path, shapes[path][1]) for path in stages.values()), last[1]


def _shapes(body: Any, paths: tuple[str, ...], model: str) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """What some modules of a network on the meta device give for one photo, and what its features are."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
            shapes[path] = tuple(out.shape) if isinstance(out, Tensor) else ()

        return hook

    size = TimmNet.input_size
    try:
        for path in paths:
            body.get_submodule(path).register_forward_hook(note(path))
        with torch.no_grad():
            last = body.eval().forward_features(torch.empty(1, 3, *height_and_width(size), device="meta"))
    except (AssertionError, AttributeError, RuntimeError, ValueError) as error:
        raise BadOption(f"timm's {model!r} cannot be taken apart at {write_size(size)} pixels: {error}") from error
    if lost := [path for path in paths if path not in shapes]:
        raise BadOption(
            f"timm's {model!r} does not run {', '.join(lost)} by itself, so nothing can be placed after it."
        )
    return shapes, tuple(last.shape) if isinstance(last, Tensor) else ()


def _close(model: str, models: list[str]) -> str:
    hint = did_you_mean(model, models)
    return hint if len(hint) < 200 else ""  # not all of its 1,300 names


def _timm() -> Any:
    advice = "Install it with a torchvision that belongs to the installed torch: pip install 'attention-lab[timm]'."
    return imported("timm", advice)


if find_spec("timm") is not None:  # nobody is offered what is not installed

    @backbones.register("timm")
    def timm(*, classes: Classes = 1000, model: Model = "resnet50d") -> TimmNet:
        """Any convolutional network of timm's, by name, with places after its stages."""
        return TimmNet(model, classes)
