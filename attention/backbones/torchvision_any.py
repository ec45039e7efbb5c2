"""Any network of torchvision's by name: classifiers, segmenters and detectors, with places behind any layer.

torchvision, models. TorchVision maintainers and contributors. 2016. https://github.com/pytorch/vision

torchvision is an extra, like timm. Parameters lie under ``body`` with torchvision's names; its weights are given as
safetensors.
"""

import importlib
from functools import cache
from importlib.util import find_spec
from typing import Annotated, Any

from pydantic import Field

from attention.backbones import Facts, ForeignNetwork, backbones, imported
from attention.errors import BadOption, did_you_mean
from attention.reports.parts.network import OutputKind

Model = Annotated[str, Field(description="A model's name in torchvision, such as mobilenet_v3_large or convnext_tiny.")]
Classes = Annotated[int, Field(ge=1)]

OUTPUTS: dict[str, OutputKind] = {"segmentation": "map", "detection": "boxes"}
"""Packages of torchvision's models -> what these give; all others that are offered here give classes."""
CLASSES: dict[OutputKind, int] = {"classes": 1000, "map": 21, "boxes": 91}
SIZES: dict[OutputKind, int] = {"classes": 224, "map": 224, "boxes": 320}
"""Heights and widths of inputs, pixels."""
INCEPTION = 299


class TorchvisionNetwork(ForeignNetwork):
    """A network of torchvision's."""

    def __init__(self, model: str, classes: int) -> None:
        network_facts = facts(model=model)
        options = {} if network_facts.outputs == "classes" else {"weights_backbone": None}
        super().__init__(_models().get_model(model, weights=None, num_classes=classes, **options))
        self.outputs = network_facts.outputs
        self.input_size = network_facts.input_size


@cache
def facts(*, model: str = "resnet50") -> Facts:
    """What is known of a network of torchvision's.

    Raises:
        BadOption: there is none of that name.
    """
    models = _models()
    packages: dict[str, Any] = {"": models} | {
        name: importlib.import_module(f"{models.__name__}.{name}") for name in OUTPUTS
    }
    for name, package in packages.items():
        names = models.list_models(module=package)
        if model in names:
            kind: OutputKind = OUTPUTS.get(name, "classes")
            size = INCEPTION if model == "inception_v3" else SIZES[kind]
            return Facts(CLASSES[kind], size, kind, without_numbers=kind != "boxes")
    all_names = [name for package in packages.values() for name in models.list_models(module=package)]
    hint = did_you_mean(model, all_names)
    raise BadOption(f"torchvision has no model {model!r} for photos.{hint if len(hint) < 200 else ''}")


def _models() -> Any:
    return imported("torchvision.models", "Install the one that belongs to the installed torch.")


if find_spec("torchvision") is not None:  # nobody is offered what is not installed

    @backbones.register("torchvision")
    def torchvision(*, classes: Classes = 1000, model: Model = "resnet50") -> TorchvisionNetwork:
        """Any network of torchvision's, by name, with places behind any layer."""
        return TorchvisionNetwork(model, classes)

    torchvision.facts = facts  # type: ignore[attr-defined]
