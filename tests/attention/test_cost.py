"""The ledger against published counts, torch's own counter, and spellings of the same maths."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from attention.backbones import backbones
from attention.build import skeleton
from attention.cost import count, walk
from attention.errors import AttentionError, InvalidRequest
from attention.modules import modules
from attention.spec import Variant

# Exact figures: torchvision's and timm's published counts, and 2C²/r, k and kC summed by hand over the blocks.
ANCHORS = [
    ("resnet18/none", 11_689_512, 1_814_073_344),
    ("resnet50/none", 25_557_032, 4_089_184_256),
    ("resnet50/se", 25_557_032 + 2_514_944, 4_089_184_256 + 2_514_944),
    ("resnet50/se(bias=true)", 25_557_032 + 2_530_992, 4_089_184_256 + 2_514_944),
    ("resnet50/eca", 25_557_032 + 86, 4_089_184_256 + 87_808),
    ("resnet50/eca(kernel_size=released)", 25_557_032 + 80, 4_089_184_256 + 86_272),
    ("resnet50/eca(kernel_size=3)", 25_557_032 + 48, 4_089_184_256 + 45_312),
]


@pytest.mark.parametrize(("name", "parameters", "macs"), ANCHORS)
def test_counts_are_the_exact_anchors(name: str, parameters: int, macs: int) -> None:
    bill = count(Variant.parse(name))
    assert (bill.total.parameters, bill.total.macs) == (parameters, macs)
    plain = count(Variant.parse(name).plain)
    assert bill.delta.parameters == parameters - plain.total.parameters
    assert bill.delta.macs == macs - plain.total.macs


@pytest.mark.parametrize("name", [f"{backbone}/eca" for backbone in backbones] + [f"resnet20/{m}" for m in modules])
def test_every_shelf_entry_is_counted_whole_and_its_delta_is_the_twins(name: str) -> None:
    variant = Variant.parse(name)
    try:
        bill = count(variant, layers=True)
    except AttentionError as error:
        assert str(error).endswith(".")
        return
    plain = count(variant.plain)
    assert bill.not_counted == ()
    assert bill.total.parameters == sum(p.numel() for p in skeleton(variant).parameters())
    for field in type(bill.total).model_fields:
        assert getattr(bill.total, field) - getattr(plain.total, field) == getattr(bill.delta, field), field
        assert sum(getattr(row, field) for row in bill.layers or ()) == getattr(bill.total, field)


@pytest.mark.parametrize("name", ["resnet18/none", "resnet50/se", "resnet20/eca", "resnet50/eca@tail"])
def test_macs_are_half_of_what_torchs_own_counter_says(name: str) -> None:
    variant = Variant.parse(name)
    bill, model = count(variant), skeleton(variant)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, bill.input_size, bill.input_size, device="meta"))
    assert counter.get_total_flops() == 2 * bill.total.macs


class Spelled(nn.Module):
    """One ECA module, spelled with nn modules or with functions."""

    def __init__(self, functions: bool) -> None:
        super().__init__()
        self.functions = functions
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.pool, self.act = nn.AdaptiveAvgPool2d(1), nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        if self.functions:
            z = F.conv1d(x.mean((2, 3))[:, None], self.conv.weight, padding=1)
            return x * torch.sigmoid(z)[:, 0, :, None, None]
        z = self.conv(self.pool(x).squeeze(-1).transpose(1, 2))
        return x * self.act(z).transpose(1, 2).unsqueeze(-1)


def test_the_spelling_of_the_maths_does_not_matter() -> None:
    costs = []
    for functions in (False, True):
        with torch.device("meta"):
            rows = walk(Spelled(functions), 64).rows
        costs.append([sum(getattr(row, f) for row in rows) for f in ("parameters", "macs", "elementwise")])
    # 3 channels of 64 x 64: k C MACs; pooling reads and the product writes every entry, the sigmoid 3.
    assert costs[0] == costs[1] == [3, 3 * 3, 2 * 3 * 64 * 64 + 3]


def test_an_operation_without_a_rule_is_named() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cumsum(x, 1)

    assert walk(Odd(), 4).not_counted == {"cumsum"}


def test_the_input_size_scales_the_macs_and_not_the_parameters() -> None:
    small, large = (count(Variant.parse("resnet50/eca"), size) for size in (224, 448))
    assert small.total.parameters == large.total.parameters
    classifier = 2048 * 1000 + 87_808
    assert large.total.macs - classifier == 4 * (small.total.macs - classifier)


def test_counting_leaves_no_trace_on_a_model() -> None:
    model = skeleton(Variant.parse("resnet20/se"))
    modes = [module.training for module in model.modules()]
    walk(model, 32)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_copy_of_the_bill_says_which_variant_was_asked() -> None:
    one, two = (count(Variant.parse(f"resnet20/se?seed={seed}")) for seed in (1, 2))
    assert one.variant.seed == 1 and two.variant.seed == 2 and one.total == two.total and one.layers is None


def test_a_shape_that_does_not_fit_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: nn.Module, x: Tensor) -> Tensor:
        raise RuntimeError("Calculated output size is too small")

    monkeypatch.setattr("attention.backbones.cifar_resnet.CifarResNet.forward", refuse)
    with pytest.raises(InvalidRequest, match="cannot take an image of 3 x 3 pixels"):
        count(Variant.parse("resnet20/se(reduction=3)"), 3)
