"""Attaching to real models: equal to what is built, to the bit until trained, and costing what the formula says."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention.attach import attach
from attention.build import build
from attention.errors import InvalidRequest
from attention.spec import Variant
from attention.watch import watch
from tests.models.zoo import library, made, ramp, timm, torchvision

pytestmark = [pytest.mark.models, pytest.mark.slow]


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("host", "place", "module", "total"),
    [
        ("resnet50", "layer*.*.bn3", "se", 28_071_976),
        ("resnet50", "layer*.*.bn3", "eca", 25_557_118),
        ("resnet50", "layer*.*.bn3", "cbam", 28_089_624),
        ("resnet50", "layer*.*.bn3", "srm", 25_617_448),
        ("resnet18", "layer*.*.bn2", "eca", 11_689_548),
        ("resnet101", "layer*.*.bn3", "eca", 44_549_331),
    ],
)
def test_attached_equals_built(host: str, place: str, module: str, total: int) -> None:
    model, built = made(torchvision(host)), build(Variant.parse(f"{host}/{module}"))
    keys = list(model.state_dict())
    model.load_state_dict({key: value for key, value in built.state_dict().items() if key in model.state_dict()})
    attached = attach(model, place, module, start="published")
    for path in attached.paths:
        block = path.rpartition(".")[0]
        own = model.get_submodule(f"attached.{path.replace('.', '_')}.module")
        own.load_state_dict(built.get_submodule(f"{block}.standard.0").state_dict())
    assert parameters(model) == total
    with torch.no_grad():
        assert torch.equal(model(ramp(224)), built(ramp(224)))
    attached.remove()
    assert list(model.state_dict()) == keys


IDENTITY: list[tuple[str, Callable[[], nn.Module], Any, Any, str, int, int]] = [
    ("resnet50", torchvision("resnet50"), 224, "layer3", "eca", 6, 1),
    ("resnet50", torchvision("resnet50"), 224, "layer*", "eca", 26, 4),
    ("convnext_atto", timm("convnext_atto"), 224, "stages.*", "eca", 20, 4),
    ("convnext_tiny", torchvision("convnext_tiny"), 224, [f"features.{n}" for n in (1, 3, 5, 7)], "se", 97_924, 4),
    ("densenet121", torchvision("densenet121"), 224, "features.denseblock*", "cbam", 306_500, 4),
    ("deeplabv3", torchvision("segmentation.deeplabv3_resnet50"), 224, "backbone.layer4", "coord", 397_505, 1),
    (
        "fasterrcnn",
        torchvision("detection.fasterrcnn_resnet50_fpn"),
        [torch.rand(3, 160, 160)],
        "backbone.fpn.layer_blocks.*",
        "eca",
        24,
        4,
    ),
    (
        "ssdlite",
        torchvision("detection.ssdlite320_mobilenet_v3_large"),
        [torch.rand(3, 320, 320)],
        "backbone.features.*",
        "eca",
        12,
        2,
    ),
]


def flat(output: Any) -> list[Tensor]:
    """All tensors of an output, in order."""
    if isinstance(output, Tensor):
        return [output]
    values = output.values() if isinstance(output, dict) else output
    return [tensor for value in values for tensor in flat(value)]


@pytest.mark.parametrize(
    ("make", "example", "at", "module", "added", "places"),
    [row[1:] for row in IDENTITY],
    ids=[f"{row[0]} {row[3]}" for row in IDENTITY],
)
def test_the_identity_start_changes_no_bit_and_adds_what_is_known(
    make: Callable[[], nn.Module], example: Any, at: Any, module: str, added: int, places: int
) -> None:
    model = made(make)
    x = ramp(example) if isinstance(example, int) else example
    with torch.no_grad():
        bare = flat(model(x))
        attached = attach(model, at, module, example=x)
        assert (attached.added_parameters, len(attached.paths)) == (added, places)
        assert attached.report.identity
        after = flat(model(x))
    assert len(bare) == len(after) and all(torch.equal(a, b) for a, b in zip(bare, after, strict=True))


@pytest.mark.parametrize(
    ("make", "example", "at", "sentence"),
    [
        (
            torchvision("swin_t"),
            224,
            "features.7",
            r"features\.7 gives \(1, 7, 7, 768\), which looks like channels last",
        ),
        (torchvision("vit_b_16"), 224, "encoder", r"encoder gives \(1, 197, 768\): tokens, not a map"),
        (
            torchvision("detection.fasterrcnn_resnet50_fpn"),
            [torch.rand(3, 160, 160)],
            "backbone",
            r"backbone gives a dictionary of 5 maps.*backbone\.fpn\.layer_blocks\.\*",
        ),
        (torchvision("segmentation.fcn_resnet50"), 64, "backbone", "backbone gives a dictionary of"),
    ],
)
def test_what_gives_no_map_is_refused(make: Callable[[], nn.Module], example: Any, at: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        attach(made(make), at, "eca", example=example)


def test_channels_last_of_swin_is_gated_when_said() -> None:
    model = made(torchvision("swin_t"))
    attach(model, "features.7", "eca", channels_last=True, start="published")
    (gate,) = [gate for gate in watch(model) if gate.path.startswith("attached")]
    assert gate.shape == (1, 768, 1, 1)


def test_a_variant_can_say_it_of_any_backbone_of_timms() -> None:
    library("timm")
    plain = build(Variant.parse("timm(model=convnext_atto)/none"))
    model = build(Variant.parse("timm(model=convnext_atto)/eca@after:body.stages.*"))
    assert parameters(model) - parameters(plain) == 20 - 4  # as above, without the four numbers that mix it in
    assert [key for key in model.state_dict() if not key.startswith("attached.")] == list(plain.state_dict())
    assert len(watch(model)) == 4
