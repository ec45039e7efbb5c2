"""Models of other libraries by name, made only where these libraries are installed."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn


def library(name: str) -> Any:
    """A library, or a skipped test that says it is missing."""
    return pytest.importorskip(
        name, reason=f"{name} cannot be imported here: make test-models has an environment for it"
    )


def timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: library("timm").create_model(name, **options)


def torchvision(name: str, **options: Any) -> Callable[[], nn.Module]:
    """``mobilenet_v3_large``, ``segmentation.fcn_resnet50``, ``detection.ssdlite320_mobilenet_v3_large``."""

    def make() -> nn.Module:
        library("torchvision")
        home, _, function = name.rpartition(".")
        package = importlib.import_module("torchvision.models" + (f".{home}" if home else ""))
        return getattr(package, function)(**({"weights": None, "weights_backbone": None} if home else {}), **options)

    return make


def smp(name: str, encoder: str) -> Callable[[], nn.Module]:
    return lambda: getattr(library("segmentation_models_pytorch"), name)(encoder, encoder_weights=None)


def pytorchcv(name: str) -> Callable[[], nn.Module]:
    return lambda: (library("pytorchcv"), importlib.import_module("pytorchcv.model_provider"))[1].get_model(name)


def efficientnet(name: str) -> Callable[[], nn.Module]:
    return lambda: library("efficientnet_pytorch").EfficientNet.from_name(name)


def attention_unet() -> nn.Module:
    nets = (library("monai"), importlib.import_module("monai.networks.nets"))[1]
    return nets.AttentionUnet(2, 3, 2, (8, 16, 32), (2, 2))


def ramp(side: int) -> Tensor:
    """The input of the acceptance table: (1, 3, side, side), from -1 to 1."""
    return torch.linspace(-1, 1, 3 * side * side).reshape(1, 3, side, side)


def made(make: Callable[[], nn.Module]) -> nn.Module:
    """A model in eval mode whose weights are those of seed 0."""
    torch.manual_seed(0)
    return make().eval()
