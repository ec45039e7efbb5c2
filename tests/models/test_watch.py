"""Gates of real models: how many, where, what they are on one input, and what replacing them does.

The numbers are those of a run with torch 2.14.1, torchvision 0.29.1, timm 1.0.31, segmentation-models-pytorch 0.6.0,
efficientnet_pytorch 0.7.1, pytorchcv 0.0.74 and MONAI 1.6.1, made by another program than this one.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from attention.watch import ablate, capture, watch
from tests.models.zoo import (
    attention_unet,
    efficientnet,
    made,
    pytorchcv,
    ramp,
    smp,
    timm,
    torchvision,
)

pytestmark = [pytest.mark.models, pytest.mark.slow]


class Row(NamedTuple):
    """One model of the table: gates by kind and activation, the first one's path and mean, and two relative changes."""

    make: Callable[[], nn.Module]
    side: int
    gates: dict[tuple[str, str | None], int]
    first: str = ""
    mean: float | None = None
    constant: float | None = None
    scalar: float | None = None


CHANNEL, HARD = ("channel", "sigmoid"), ("channel", "hardsigmoid")
CBAM = {"block_args": {"attn_layer": "cbam"}, "zero_init_last": False}
CECA = {"block_args": {"attn_layer": "ceca"}, "zero_init_last": False}
ATTN = "stages.0.blocks.0.attn"
MAXVIT = "blocks.0.layers.0.layers.MBconv.layers.squeeze_excitation"
DICE = "features.stage1.unit1.branches.right_branch.dice"
TABLE = {
    "seresnet50": Row(
        timm("seresnet50", zero_init_last=False), 224, {CHANNEL: 16}, "layer1.0.se", 0.49889, 0.1274, 0.12704
    ),
    "efficientnet_b0": Row(timm("efficientnet_b0"), 224, {CHANNEL: 16}, "blocks.0.0.se", 0.49541, 0.017752, 0.012133),
    "mobilenetv3_large_100": Row(
        timm("mobilenetv3_large_100"), 224, {HARD: 8}, "blocks.2.0.se", 0.50475, 0.15258, 0.15063
    ),
    "ese_vovnet19b_dw": Row(timm("ese_vovnet19b_dw"), 224, {HARD: 4}, ATTN, 0.50033, 0.014235, 0.014202),
    "skresnet18": Row(
        timm("skresnet18", zero_init_last=False),
        224,
        {("branch", "softmax"): 8},
        "layer1.0.conv1",
        0.5,
        0.084086,
        0.081521,
    ),
    "gcresnet50t": Row(
        timm("gcresnet50t", zero_init_last=False), 224, {("channel", None): 16}, "stages.0.0.attn", 0, 11.426, 0
    ),
    "resnet50 + cbam": Row(
        timm("resnet50", **CBAM),
        224,
        {CHANNEL: 16, ("spatial", "sigmoid"): 16},
        "layer1.0.se.channel",
        0.50031,
        0.083385,
        0.058467,
    ),
    "mobilevitv2_075": Row(
        timm("mobilevitv2_075"),
        224,
        {("spatial", "softmax"): 9},
        "stages.2.1.transformer.0.attn",
        0.005102,
        1.5222,
        0.32145,
    ),
    "resnet18 + ceca": Row(timm("resnet18", **CECA), 224, {CHANNEL: 8}, "layer1.0.se", 0.5052, 0.048283, 0.045501),
    "nfnet_l0": Row(timm("nfnet_l0"), 224, {CHANNEL: 12}, "stages.0.0.attn_last", 0.5),
    "tv mobilenet_v3_large": Row(
        torchvision("mobilenet_v3_large"), 224, {HARD: 8}, "features.4.block.2", 0.50007, 0.0003266, 0.00041531
    ),
    "tv efficientnet_b0": Row(
        torchvision("efficientnet_b0"), 224, {CHANNEL: 16}, "features.1.0.block.1", 0.50025, 0.0029997, 0.0028852
    ),
    "tv efficientnet_v2_s": Row(
        torchvision("efficientnet_v2_s"), 224, {CHANNEL: 30}, "features.4.0.block.2", 0.50017, 0.0059743, 0.0058832
    ),
    "tv maxvit_t": Row(torchvision("maxvit_t"), 224, {CHANNEL: 11}, MAXVIT, 0.5),
    "tv resnet50": Row(torchvision("resnet50"), 224, {}),
    "tv lraspp": Row(
        torchvision("segmentation.lraspp_mobilenet_v3_large"), 224, {HARD: 8, CHANNEL: 1}, "backbone.4.block.2", 0.50007
    ),
    "tv deeplabv3": Row(
        torchvision("segmentation.deeplabv3_mobilenet_v3_large"), 224, {HARD: 8}, "backbone.4.block.2", 0.50007
    ),
    "smp MAnet": Row(smp("MAnet", "resnet18"), 128, {CHANNEL: 4}, "decoder.blocks.0", 1.0374, 0.99503, 0.71089),
    "smp PAN": Row(smp("PAN", "resnet18"), 128, {CHANNEL: 3}, "decoder.gau3", 0.51401, 0.35105, 0.35317),
    "smp Unet senet154": Row(
        smp("Unet", "senet154"), 128, {CHANNEL: 50}, "encoder.layer1.0.se_module", 0.49932, 0.0024003, 0.0023949
    ),
    "efficientnet-b0": Row(efficientnet("efficientnet-b0"), 224, {CHANNEL: 16}, "_blocks.0", 0.49507),
    "cbam_resnet18": Row(
        pytorchcv("cbam_resnet18"),
        224,
        {CHANNEL: 8, ("spatial", "sigmoid"): 8},
        "features.stage1.unit1.cbam.ch_gate",
        0.51634,
        0.20778,
        0.15298,
    ),
    "bam_resnet18": Row(
        pytorchcv("bam_resnet18"), 224, {("full", "sigmoid"): 3}, "features.stage2.unit1.bam", 1.4997, 0.9675, 0.1739
    ),
    "airnet50_1x64d_r2": Row(
        pytorchcv("airnet50_1x64d_r2"),
        224,
        {("full", "sigmoid"): 11},
        "features.stage1.unit1.body",
        0.49767,
        0.45067,
        0.4347,
    ),
    "dicenet_wd5": Row(pytorchcv("dicenet_wd5"), 224, {CHANNEL: 16}, DICE, 0.49992, 0.000165, 0.00026617),
    "AttentionUnet": Row(
        attention_unet, 64, {("spatial", "sigmoid"): 2}, "model.1.submodule.1.attention", 0.42781, 0.11102, 0.015696
    ),
    "ghostnet": Row(
        pytorchcv("ghostnet"),
        224,
        {("channel", "clamp"): 7},
        "features.stage3.unit1.body.se",
        0.016503,
        16.24,
        0.15355,
    ),
}


def output(model: nn.Module, x: Tensor) -> Tensor:
    """Logits, or the map of a segmenter."""
    with torch.no_grad():
        given: Any = model(x)
    return given["out"] if isinstance(given, dict) else given


def change(model: nn.Module, x: Tensor, kind: Any) -> float:
    """Relative change of the output when every gate is replaced."""
    before = output(model, x)
    with ablate(model, kind):
        after = output(model, x)
    assert torch.equal(output(model, x), before), "something stays behind after the block"
    return float((after - before).norm() / before.norm())


@pytest.mark.parametrize("name", TABLE)
def test_gates_of_a_real_model(name: str) -> None:
    row = TABLE[name]
    model, x = made(row.make), ramp(row.side)
    found = watch(model, row.side)
    assert Counter((gate.kind, gate.activation) for gate in found) == row.gates
    if not row.gates:
        assert "has no gates" in found.sentence
        return
    assert found[0].path == row.first
    with capture(model) as gates:
        captured = output(model, x)
    assert torch.equal(captured, output(model, x))
    assert list(gates) == list(found.paths)
    assert float(gates[row.first].mean()) == pytest.approx(row.mean, rel=0.01, abs=1e-6)
    if row.constant is not None:
        assert change(model, x, "constant") == pytest.approx(row.constant, rel=0.01, abs=1e-6)
        assert change(model, x, "scalar") == pytest.approx(row.scalar, rel=0.01, abs=1e-6)
