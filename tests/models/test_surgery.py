"""On real models: gate times input is output, and ablation is surgery, to the bit."""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention.errors import InvalidRequest
from attention.watch import ablate, capture, watch
from tests.models.zoo import efficientnet, library, made, ramp, smp, timm, torchvision

pytestmark = [pytest.mark.models, pytest.mark.slow]

ZERO = {"zero_init_last": False}
MULTIPLYING: dict[str, Callable[[], nn.Module]] = {
    "seresnet50": timm("seresnet50", **ZERO),
    "ecaresnet50t": timm("ecaresnet50t", **ZERO),
    "efficientnet_b0": timm("efficientnet_b0"),
    "ese_vovnet19b_dw": timm("ese_vovnet19b_dw"),
    "resnet18 + ceca": timm("resnet18", block_args={"attn_layer": "ceca"}, **ZERO),
    "tv mobilenet_v3_large": torchvision("mobilenet_v3_large"),
    "tv regnet_y_400mf": torchvision("regnet_y_400mf"),
}
ADDING: dict[str, Callable[[], nn.Module]] = {
    "resnet18 + gca": timm("resnet18", block_args={"attn_layer": "gca"}, **ZERO),
}
CHILDREN = {"resnet50 + cbam": timm("resnet50", block_args={"attn_layer": "cbam"}, **ZERO)}


class Instead(nn.Module):
    """What surgery puts where attention was."""

    def __init__(self, weights: Tensor, adds: bool) -> None:
        super().__init__()
        self.weights, self.adds = weights, adds

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weights if self.adds else x * self.weights


def around(model: nn.Module, paths: tuple[str, ...], x: Tensor) -> tuple[dict[str, tuple[Tensor, Tensor]], Any]:
    """Input and output of modules, cloned, for timm adds to them in place afterwards."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(path: str) -> Callable[..., None]:
        def before(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            seen[path] = (args[0].clone(), args[0])

        def after(module: nn.Module, args: Any, output: Tensor) -> None:
            seen[path] = (seen[path][0], output.clone())

        module = model.get_submodule(path)
        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)
        return after

    for path in paths:
        keep(path)
    return seen, model(x)


@pytest.mark.parametrize("name", [*MULTIPLYING, *ADDING, *CHILDREN])
def test_gate_times_input_is_output_in_every_module(name: str) -> None:
    model, x = made((MULTIPLYING | ADDING | CHILDREN)[name]), ramp(224)
    with torch.no_grad(), capture(model) as gates:
        seen, _ = around(model, tuple(watch(model).paths), x)
    assert len(gates) >= 4
    for path, gate in gates.items():
        before, after = seen[path]
        assert torch.equal(before + gate if name in ADDING else before * gate, after), path


@pytest.mark.parametrize("name", [*MULTIPLYING, *ADDING])
def test_ablation_is_surgery(name: str) -> None:
    adds = name in ADDING
    make, x = (MULTIPLYING | ADDING)[name], ramp(224)
    model = made(make)
    others = torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    reference = capture(model, others)
    neutral = torch.full((1, 1, 1, 1), 0.0 if adds else 1.0)
    with torch.no_grad():
        bare = model(x)
        for kind, weights in {
            "constant": dict.fromkeys(reference, torch.full((1, 1, 1, 1), 0.5)),
            "neutral": dict.fromkeys(reference, neutral),
            "mean": {path: gate.mean(0, keepdim=True) for path, gate in reference.items()},
        }.items():
            edited = made(make)
            for path, put in weights.items():
                parent, _, child = path.rpartition(".")
                setattr(edited.get_submodule(parent), child, Instead(put, adds))
            with ablate(model, kind, reference):  # type: ignore[arg-type]
                ablated = model(x)
            assert torch.equal(ablated, edited(x)), kind
            assert not torch.equal(ablated, bare), kind
            assert torch.equal(model(x), bare)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_gates_that_a_block_computes_itself_are_replaced_as_if_it_had_none() -> None:
    model, x = made(efficientnet("efficientnet-b0")), ramp(224)
    edited: Any = made(efficientnet("efficientnet-b0"))
    for block in edited._blocks:
        block.has_se = False
    with torch.no_grad(), ablate(model, "neutral"):
        assert torch.equal(model(x), edited(x))


def test_scse_is_two_gates_whose_products_are_added() -> None:
    model = made(lambda: library("segmentation_models_pytorch").base.modules.SCSEModule(16))
    x = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), ablate(model, "constant", value=0.5):
        assert torch.equal(model(x), x * 0.5 + x * 0.5)
    unet = made(
        lambda: library("segmentation_models_pytorch").Unet(encoder_weights=None, decoder_attention_type="scse")
    )
    found = watch(unet, 64)
    assert found["decoder.blocks.0.attention1.attention"].kind == "channel"
    assert found["decoder.blocks.0.attention1.attention#2"].kind == "spatial"


class Ones(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.ones(len(x), 128, 1, 1)


def test_lraspp_without_its_gates() -> None:
    make, x = torchvision("segmentation.lraspp_mobilenet_v3_large"), ramp(224)
    model: Any = made(make)
    edited: Any = made(make)
    for path in watch(model).paths:
        if path.startswith("backbone"):
            parent, _, child = path.rpartition(".")
            setattr(edited.get_submodule(parent), child, nn.Identity())
    edited.classifier.scale = Ones()
    with torch.no_grad(), ablate(model, "neutral"):
        assert torch.equal(model(x)["out"], edited(x)["out"])


def detector(make: Callable[[], nn.Module]) -> tuple[nn.Module, Tensor]:
    """A detector whose normalisations have real statistics, so that its maps do not fade, and four images."""
    model: Any = made(make)
    images = torch.rand(4, 3, 320, 320, generator=torch.Generator().manual_seed(3))
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    model.backbone.train()
    with torch.no_grad():
        model.backbone(images)
    return model.eval(), images


def test_a_detectors_boxes_are_those_of_the_edited_model() -> None:
    make = torchvision("detection.ssdlite320_mobilenet_v3_large")
    model, images = detector(make)
    edited, _ = detector(make)
    example = [images[0]]
    found = watch(model, example)
    assert [(gate.kind, gate.activation) for gate in found] == [("channel", "hardsigmoid")] * 8
    for path in found.paths:
        parent, _, child = path.rpartition(".")
        setattr(edited.get_submodule(parent), child, Instead(torch.tensor(0.25), False))
    with torch.no_grad():
        bare = model(example)[0]
        with ablate(model, "constant", value=0.25):
            ablated = model(example)[0]
        expected = edited(example)[0]
        for key in ("boxes", "scores", "labels"):
            assert torch.equal(ablated[key], expected[key])
        assert float(bare["scores"].max()) == pytest.approx(0.442, rel=0.01)
        for kind, best in {"constant": 0.013, "scalar": 0.164, "neutral": 0.976}.items():
            with ablate(model, kind, value=0.25):  # type: ignore[arg-type]
                assert float(model(example)[0]["scores"].max()) == pytest.approx(best, rel=0.05)


PLAIN = {
    **{name: timm(name) for name in ("resnet18", "convnext_atto", "densenet121", "vit_tiny_patch16_224", "hrnet_w18")},
    **{f"tv {name}": torchvision(name) for name in ("swin_t", "regnet_x_400mf", "vgg11", "shufflenet_v2_x1_0")},
    "tv fcn": torchvision("segmentation.fcn_resnet50"),
    "smp Unet": smp("Unet", "resnet18"),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_networks_have_none(name: str) -> None:
    assert not watch(made(PLAIN[name])).gates


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn", "fcos_resnet50_fpn"])
def test_plain_detectors_have_none(name: str) -> None:
    assert not watch(made(torchvision(f"detection.{name}")), [torch.rand(3, 160, 160)]).gates


@pytest.mark.parametrize(("name", "matrices"), [("botnet26t_256", 3), ("swin_tiny_patch4_window7_224", 12)])
def test_softmaxes_that_go_into_matrix_products_are_named(name: str, matrices: int) -> None:
    library("timm").layers.set_fused_attn(False)
    found = watch(made(timm(name)))
    assert sum(entry.kind == "matrix" for entry in found.unclear) == matrices


def test_pointing_at_activations_is_the_same_as_following() -> None:
    model, x = made(timm("seresnet50", **ZERO)), ramp(224)
    pointed = {"layer*.*.se.gate": "channel"}
    by_flow, by_path = capture(model, x), capture(model, x, gates=pointed)  # type: ignore[arg-type]
    assert [f"{path}.gate" for path in by_flow] == list(by_path)
    assert all(torch.equal(a, b) for a, b in zip(by_flow.values(), by_path.values(), strict=True))
    with torch.no_grad():
        with ablate(model, "scalar"):
            ablated = model(x)
        with ablate(model, "scalar", gates=pointed):  # type: ignore[arg-type]
            assert torch.equal(model(x), ablated)


def test_an_int8_mobilenet_is_refused() -> None:
    library("torchvision")
    quantization = importlib.import_module("torchvision.models.quantization")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.backends.quantized.engine = "qnnpack"
        model = quantization.mobilenet_v3_large(quantize=True).eval()
        with pytest.raises(InvalidRequest, match=r"quantised \(torch\..*\): its products are integers"):
            watch(model)
