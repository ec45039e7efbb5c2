"""Bills of real models, to the last digit."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention.attach import attach
from attention.counting.model_cost import count
from tests.models.test_watch import TABLE
from tests.models.zoo import efficientnet, made, pytorchcv, ramp, timm, torchvision

pytestmark = [pytest.mark.models, pytest.mark.slow]

COUNTS = {
    "seresnet50": (28_088_024, 4_091_699_200),
    "efficientnet_b0": (5_288_548, 385_814_752),
    "mobilenetv3_large_100": (5_483_032, 216_589_760),
    "ese_vovnet19b_dw": (6_543_080, 1_333_489_824),
    "skresnet18": (11_958_056, 1_814_337_536),
    "gcresnet50t": (25_897_080, 4_126_879_744),
    "resnet50 + cbam": (28_073_576, 4_095_573_110),
    "mobilevitv2_075": (2_866_009, 801_021_888),
    "resnet18 + ceca": (11_689_548, 1_814_082_688),
    "nfnet_l0": (35_074_488, 4_255_094_784),
    "tv mobilenet_v3_large": (5_483_032, 216_589_760),
    "tv efficientnet_b0": (5_288_548, 385_814_752),
    "tv efficientnet_v2_s": (21_458_488, 2_849_895_872),
    "tv maxvit_t": (30_919_624, 5_381_025_792 + 177_020_928),  # the second is its einsum
    "tv resnet50": (25_557_032, 4_089_184_256),
    "tv lraspp": (3_221_538, 379_281_312),
    "tv deeplabv3": (11_025_477, 1_882_169_120),
    "smp MAnet": (21_675_473, 1_474_467_840),
    "smp PAN": (11_367_656, 1_029_631_978),
    "smp Unet senet154": (122_071_489, 8_158_208_000),
    "efficientnet-b0": (5_288_548, 385_814_752),
    "cbam_resnet18": (11_779_392, 1_815_063_764),
    "bam_resnet18": (11_712_503, 1_819_224_000),
    "airnet50_1x64d_r2": (27_425_864, 4_742_275_072),
    "dicenet_wd5": (1_130_704, 14_902_464),
    "AttentionUnet": (30_454, 22_732_800),
    "ghostnet": (5_180_840, 140_760_880),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_bill_of_a_real_model(name: str) -> None:
    bill = count(made(TABLE[name].make), TABLE[name].side)
    assert (bill.total.parameters, bill.total.macs) == COUNTS[name]
    assert bill.device == "meta" and not bill.not_counted
    assert bill.gates == sum(TABLE[name].gates.values())


@pytest.mark.parametrize(
    ("make", "parameters", "macs"),
    [
        (timm("seresnet50"), 2_530_992, 2_514_944),
        (timm("ecaresnet50t"), 86, 87_808),
        (timm("efficientnet_b0"), 636_540, 627_200),
        (torchvision("efficientnet_b0"), 636_540, 627_200),
        (torchvision("mobilenet_v3_large"), 1_512_280, 1_507_200),
        (torchvision("regnet_y_400mf"), 668_024, 662_816),
        (pytorchcv("cbam_resnet18"), 89_880, 990_420),
        (timm("skresnet18"), 4_990_976, 751_699_968),
    ],
)
def test_the_attention_subtotal_is_what_runs_in_modules_that_own_gates(
    make: Callable[[], nn.Module], parameters: int, macs: int
) -> None:
    bill = count(made(make), 224)
    assert bill.attention is not None
    assert (bill.attention.parameters, bill.attention.macs) == (parameters, macs)


def test_gates_that_blocks_compute_themselves_have_no_subtotal() -> None:
    bill = count(made(efficientnet("efficientnet-b0")), 224)
    assert bill.attention is None and len(bill.not_separable) == 16


@pytest.mark.parametrize(
    ("host", "place", "module", "macs"),
    [
        ("resnet50", "layer*.*.bn3", "se", 4_091_699_200),
        ("resnet50", "layer*.*.bn3", "eca", 4_089_272_064),
        ("resnet50", "layer*.*.bn3", "cbam", 4_095_573_110),
        ("resnet50", "layer*.*.bn3", "srm", 4_089_214_464),
        ("resnet18", "layer*.*.bn2", "eca", 1_814_082_688),
        ("resnet101", "layer*.*.bn3", "eca", 7_801_580_288),
    ],
)
def test_what_attaching_costs(host: str, place: str, module: str, macs: int) -> None:
    model = made(torchvision(host))
    before = count(model, 224)
    attach(model, place, module, start="published")
    after = count(model, 224)
    assert after.total.macs == macs and after.attention is not None
    assert after.attention.macs == after.total.macs - before.total.macs
    assert after.attention.parameters == after.total.parameters - before.total.parameters


def test_attention_among_tokens_is_counted() -> None:
    assert count(made(timm("vit_tiny_patch16_224")), 224).total.macs == 1_253_683_200


@pytest.mark.parametrize(
    "make",
    [torchvision("vit_b_16"), torchvision("swin_t"), timm("convnext_atto"), timm("botnet26t_256"), timm("coat_tiny")],
)
def test_torchs_own_counter_agrees(make: Callable[[], nn.Module]) -> None:
    model = made(make)
    counter = FlopCounterMode(display=False)
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:  # the fused kernels of the CPU it does not count
        size = 256 if "botnet" in type(model).__name__.lower() or hasattr(model, "stages") else 224
        model(ramp(size))
    bill = count(model, size)
    assert not bill.not_counted and 2 * bill.total.macs == counter.get_total_flops()


def test_a_detector_is_counted_with_real_numbers() -> None:
    model = made(torchvision("detection.ssdlite320_mobilenet_v3_large"))
    image = torch.rand(3, 320, 320, generator=torch.Generator().manual_seed(0))
    bill = count(model, [image])
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model([image])
    assert bill.device == "cpu" and 2 * bill.total.macs == counter.get_total_flops()
    assert bill.total.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert bill.gates == 8 and bill.attention is not None and bill.attention.macs > 0
