"""The bill of any model: torch's own counter agrees, attention is told apart or said not to be, nothing is left out."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from attention.attach import attach
from attention.build import build
from attention.counting import cost
from attention.counting.model_cost import count
from attention.errors import InvalidRequest
from attention.spec import Variant
from tests.attention.tracing import gated
from tests.attention.tracing.gated import CHANNELS, Classifier, Function, SqueezeExcitation


def maps(*shape: int) -> Tensor:
    return torch.randn(*(shape or (2, CHANNELS, 6, 6)), generator=torch.Generator().manual_seed(1))


def torchs_macs(model: nn.Module, *inputs: Tensor) -> int:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model.eval()(*inputs)
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2


class Transformer(nn.Module):
    """Both spellings of attention among tokens, with other widths of keys and of values."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, kdim=8, vdim=12, batch_first=True)
        self.self_attention = nn.MultiheadAttention(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.attention(x, x[:, :5, :8], x[:, :5, :12])
        z, _ = self.self_attention(y, y, y)
        return F.scaled_dot_product_attention(z.unsqueeze(1), z[:, None, :3], z[:, None, :3, :7])


MODELS: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    **{family.__name__: (family, maps()) for family in (gated.EcaLayer, gated.CBAM, gated.SKUnit, gated.CoordAtt)},
    "global context": (gated.ContextBlock, maps()),
    "classifier": (Classifier, maps(1, 3, 12, 12)),
    "einsum": (lambda: Function(lambda x: torch.einsum("bchw,bdhw->bcd", x, x)), maps()),
    "a list to einsum": (lambda: Function(lambda x: torch.einsum("bchw, bchv -> bcwv", [x, x])), maps()),
    "transformer": (Transformer, maps(2, 9, 16)),
    "masks and copies": (
        lambda: Function(lambda x: x.roll(1, 2).masked_fill(x.eq(0) | x.ne(x), 0).reshape_as(x)),
        maps(),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_torchs_own_counter_agrees(name: str) -> None:
    make, x = MODELS[name]
    model = make().eval()
    bill = count(model, x)
    assert not bill.not_counted
    assert bill.total.macs == torchs_macs(model, x) > 0
    assert bill.total.parameters == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.full
def test_our_own_networks_cost_what_their_variant_costs() -> None:
    for name in ("resnet20/se", "resnet20/cbam@post:2", "resnet20/none", "resnet20/sk@spatial"):
        variant = Variant.parse(name)
        bill, model_bill = cost.count(variant), count(build(variant))
        assert model_bill.total == bill.total and model_bill.attention == bill.attention, name
        assert model_bill.peak_activation_bytes == bill.peak_activation_bytes
        assert model_bill.conventions == bill.conventions


def test_frozen_parameters_are_parameters_and_buffers_are_none() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    model[0].requires_grad_(False)
    bill = count(model, 16)
    assert (bill.total.parameters, bill.total.buffers) == (3 * 4 * 9 + 4 + 2 * 4 + 4 * 2 + 2, 2 * 4)


def test_attention_is_what_runs_inside_modules_that_own_gates() -> None:
    bill = count(Classifier(), (3, 12, 12))
    parameters, macs = 2 * CHANNELS * 4 + 4 + CHANNELS, 2 * CHANNELS * 4  # of two 1x1 convolutions on one place
    assert bill.attention is not None and bill.gates == 3
    assert (bill.attention.parameters, bill.attention.macs) == (3 * parameters, 3 * macs)
    plain = count(Classifier(nn.Identity), (3, 12, 12))
    assert plain.gates == 0 and plain.attention is not None and plain.attention.macs == 0
    assert bill.total.macs - plain.total.macs == bill.attention.macs
    assert bill.total.elementwise - plain.total.elementwise == bill.attention.elementwise


def test_a_gate_inside_a_block_is_not_separable_and_never_zero() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(CHANNELS, CHANNELS, 3), nn.Conv2d(CHANNELS, CHANNELS, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return x * torch.sigmoid(self.fc(x.mean((2, 3), keepdim=True)))

    bill = count(nn.Sequential(Block(), SqueezeExcitation()), maps())
    assert bill.attention is None and bill.not_separable == ("0",) and bill.gates == 2
    assert "not separable: 1 blocks" in str(bill)


def test_a_unit_with_convolutions_of_its_own_is_said_to_be_one() -> None:
    bill = count(nn.Sequential(gated.SKUnit()), maps())
    assert bill.units == ("0",) and bill.attention == bill.total
    assert "convolutions of 1 units included" in str(bill)


def test_attached_modules_are_attention_with_the_number_that_mixes_them_in() -> None:
    model = Classifier(nn.Identity)
    before = count(model, 12)
    attached = attach(model, "layer*.*.bn", "se", reduction=2, example=12)
    after = count(model, 12)
    assert after.attention is not None and after.attention.parameters == attached.added_parameters
    assert after.total.parameters - before.total.parameters == attached.added_parameters
    assert after.attention.macs == after.total.macs - before.total.macs == 3 * 2 * CHANNELS * CHANNELS // 2


class Deciding(nn.Module):
    """A model whose numbers decide its way, as a detector's do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images: list[Tensor]) -> Tensor:
        x = self.bn(self.conv(torch.stack(images)))
        x.clamp_(min=0)
        kept = x.flatten(1)[:, :10]
        return kept[kept[:, 0] > -1] if float(x.max()) >= 0 else kept


def test_a_model_whose_numbers_decide_its_way_is_counted_with_real_ones() -> None:
    model, image = Deciding(), maps(3, 8, 8)
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    bill = count(model, [image])
    assert bill.device == "cpu" and "real numbers, cpu" in str(bill)
    assert bill.total.macs == 6 * 6 * 4 * 27 and bill.total.parameters == 4 * 27 + 4 + 8
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items()) and model.training
    assert not any("memory" in tensor.__dict__ for tensor in (image, *model.parameters(), *model.buffers()))


def test_what_has_no_rule_is_named_and_makes_the_total_a_lower_bound() -> None:
    bill = count(Function(lambda x: torch.cumsum(x, 1) + torch.einsum("bchw,bchw,bchw->bchw", x, x, x)), maps())
    assert bill.not_counted == ("cumsum", "einsum")
    assert "at least" in str(bill) and "not counted  cumsum, einsum" in str(bill)
    assert "at least" not in str(count(Classifier(), 12))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_scripted_part_is_not_counted_and_named() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Conv2d(3, CHANNELS, 1)))
    bill = count(nn.Sequential(nn.Sequential(scripted), nn.Conv2d(CHANNELS, 4, 1), gated.SqueezeExcitation(4)), 12)
    assert bill.not_counted == ("0.0 (TorchScript)",)
    assert bill.total.parameters == 3 * CHANNELS + CHANNELS + 4 * CHANNELS + 4 + 2 * 4 * 4 + 4 + 4
    assert bill.total.macs == 12 * 12 * 4 * CHANNELS + 2 * 4 * 4, "at least"


def test_counting_changes_nothing_and_lists_layers_when_asked() -> None:
    model = Classifier().train()
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    bill = count(model, 12, layers=True)
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())
    assert all(module.training and not module._forward_hooks for module in model.modules())
    assert bill.layers is not None and sum(layer.macs for layer in bill.layers) == bill.total.macs
    assert bill.device == "meta" and bill.example == "1 x 3 x 12 x 12"
    assert count(model, 12).layers is None


def test_wrapped_and_meta_models_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    bill = count(Classifier(), 12)
    assert count(nn.DataParallel(Classifier()), 12) == bill
    with torch.device("meta"):
        assert count(Classifier(), 12) == bill


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda: count(Classifier(), (4, 8, 8)), r"does not take a tensor \(1, 4, 8, 8\).*Give an example"),
        (lambda: count(torch.jit.trace(Classifier(), torch.zeros(1, 3, 8, 8)), 8), "TorchScript"),  # type: ignore[no-untyped-call]
        (lambda: count("resnet50"), "is no model"),  # type: ignore[arg-type]
        (lambda: count(Classifier(), 0), "An example is"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_counted_gets_a_sentence(act: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        act()
