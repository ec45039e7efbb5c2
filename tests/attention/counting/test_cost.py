"""The ledger against published counts, torch's own counter, torch's own memory, and spellings of the same maths."""

import gc
import weakref

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from attention.backbones import backbones
from attention.build import build, skeleton
from attention.counting.conventions import CONVENTIONS
from attention.counting.cost import count
from attention.counting.ledger import UNUSED, walk
from attention.errors import AttentionError, InvalidRequest
from attention.gate import gates, slots
from attention.modules import modules
from attention.modules.danet import PositionAttention
from attention.names import height_and_width
from attention.reports.cost import Cost, LayerCost
from attention.spec import Variant

# Exact figures: torchvision's and timm's published counts, the papers' formulas summed by hand over the blocks.
ANCHORS = [
    ("resnet18/none", 11_689_512, 1_814_073_344),
    ("resnet50/none", 25_557_032, 4_089_184_256),
    ("mobilenetv2/none", 3_504_872, 300_774_272),
    ("resnet50/se", 25_557_032 + 2_514_944, 4_089_184_256 + 2_514_944),
    ("resnet50/se(bias=true)", 25_557_032 + 2_530_992, 4_089_184_256 + 2_514_944),
    ("resnet50/eca", 25_557_032 + 86, 4_089_184_256 + 87_808),
    ("resnet50/eca(kernel_size=released)", 25_557_032 + 80, 4_089_184_256 + 86_272),
    ("resnet50/eca(kernel_size=3)", 25_557_032 + 48, 4_089_184_256 + 45_312),
    ("resnet50/cbam", 28_089_624, 4_089_184_256 + 6_388_854),
    ("mobilenetv2/coord@published", 3_950_648, 306_666_368),
]
PARAMETERS = [
    ("resnet50/gc", 25_557_032 + 2_548_000),
    ("resnet50/bam@published", 25_915_099),
    ("resnext50/sk@published", 27_479_784),
]


@pytest.mark.parametrize(("name", "parameters", "macs"), ANCHORS)
def test_counts_are_the_exact_anchors(name: str, parameters: int, macs: int) -> None:
    bill = count(Variant.parse(name))
    assert (bill.total.parameters, bill.total.macs) == (parameters, macs)
    plain = count(Variant.parse(name).plain)
    assert bill.delta.parameters == parameters - plain.total.parameters
    assert bill.delta.macs == macs - plain.total.macs


@pytest.mark.full
@pytest.mark.parametrize(("name", "parameters"), PARAMETERS)
def test_parameters_are_the_exact_anchors(name: str, parameters: int) -> None:
    assert count(Variant.parse(name)).total.parameters == parameters


def test_position_attention_costs_what_its_formula_says() -> None:
    c, places = 512, 7 * 7
    with torch.device("meta"):
        rows = walk(PositionAttention(c, reduction=8), c, 7, 7).rows
    assert sum(row.parameters for row in rows) == 328_321
    assert sum(row.macs for row in rows) == places * (c * c // 4 + c * c) + places**2 * (c // 8 + c)


# Printed in the ECA paper's tables: millions and billions, which are 2^20 and 2^30, by thop.
PRINTED = [
    ("resnet50/none", "24.37", "3.86"),
    ("resnet50/se", "26.77", "3.87"),
    ("resnet50/eca(kernel_size=released)", "24.37", "3.86"),
    ("resnet101/none", "42.49", "7.34"),
    ("resnet101/se", "47.01", "7.35"),
    ("resnet101/eca(kernel_size=released)", "42.49", "7.35"),
    ("resnet152/none", "57.40", "10.82"),
]


@pytest.mark.parametrize(("name", "parameters", "work"), PRINTED)
def test_the_eca_papers_tables_come_out(name: str, parameters: str, work: str) -> None:
    found = {one.quantity: one for one in count(Variant.parse(name)).conventions if one.name == "eca_paper"}
    assert (f"{found['parameters'].total:.2f}", f"{found['work'].total:.2f}") == (parameters, work)
    assert (found["parameters"].unit, found["work"].unit) == ("Mi parameters", "Gi FLOPs")


def test_the_eca_papers_units_to_the_last_known_digit() -> None:
    totals = {}
    for name in ("none", "se", "eca(kernel_size=released)"):
        found = [one for one in count(Variant.parse(f"resnet50/{name}")).conventions if one.name == "eca_paper"]
        totals[name] = (round(found[0].total, 3), round(found[1].total, 4))
    assert list(totals.values()) == [(24.373, 3.8576), (26.772, 3.8675), (24.373, 3.8629)]


def test_a_small_network_is_given_in_the_smaller_unit() -> None:
    found = [one for one in count(Variant.parse("mobilenetv2/none")).conventions if one.name == "eca_paper"]
    assert (found[1].unit, round(found[1].total, 1)) == ("Mi FLOPs", 319.4)
    assert (found[0].unit, round(found[0].total, 2)) == ("Mi parameters", 3.34)


@pytest.mark.parametrize(("reduction", "millions"), [(None, 25.6), (2, 45.7), (4, 35.7), (16, 28.1), (32, 26.9)])
def test_the_se_papers_parameters_have_running_statistics_in_them(reduction: int | None, millions: float) -> None:
    name = "resnet50/none" if reduction is None else f"resnet50/se(reduction={reduction})"
    bill = count(Variant.parse(name))
    (found,) = [one for one in bill.conventions if (one.name, one.quantity) == ("se_paper", "parameters")]
    assert found.total == bill.total.parameters + 53_120
    assert round(found.total / 1e6, 1) == millions


def test_version_1_of_resnet_50_is_the_one_of_the_se_and_cbam_papers() -> None:
    assert round(count(Variant.parse("resnet50(version=1)/none")).total.macs / 1e9, 3) == 3.858


def test_flops_are_twice_the_macs_in_every_part() -> None:
    bill = count(Variant.parse("resnet50/cbam"))
    macs, flops = (next(c for c in bill.conventions if c.name == n and c.quantity == "work") for n in ("macs", "flops"))
    assert (macs.total, macs.attention, macs.delta) == (bill.total.macs, bill.attention.macs, bill.delta.macs)
    assert (flops.total, flops.attention, flops.delta) == (2 * macs.total, 2 * macs.attention, 2 * macs.delta)


# ---------------------------------------------------------------- every module and backbone


@pytest.mark.full
@pytest.mark.parametrize("name", [f"{backbone}/eca" for backbone in backbones] + [f"resnet20/{m}" for m in modules])
def test_every_shelf_entry_is_counted_whole_and_its_delta_is_the_twins(name: str) -> None:
    variant = Variant.parse(name)
    try:
        bill = count(variant, layers=True)
    except AttentionError as error:
        assert str(error).endswith(".")
        return
    plain, model = count(variant.plain), skeleton(variant)
    assert bill.not_counted == ()
    trained = [p for p in model.parameters() if p.requires_grad]
    kept = [p for p in model.parameters() if not p.requires_grad] + list(model.buffers())
    assert bill.total.parameters == sum(p.numel() for p in trained)
    assert bill.buffers == bill.total.buffers == sum(b.numel() for b in kept if b.is_floating_point())
    for field in Cost.model_fields:
        assert getattr(bill.total, field) - getattr(plain.total, field) == getattr(bill.delta, field), field
        assert sum(getattr(row, field) for row in bill.layers or ()) == getattr(bill.total, field)
        assert sum(getattr(one.cost, field) for one in bill.attention_modules) == getattr(bill.attention, field)
    for here, there in zip(bill.conventions, plain.conventions, strict=True):
        assert here.unit == there.unit
        assert here.total - there.total == pytest.approx(here.delta, abs=1e-9 * here.total)
    assert [one.path for one in bill.attention_modules] == [path for path, slot in slots(model).items() if len(slot)]
    assert [gate.path for one in bill.attention_modules for gate in one.gates] == list(gates(model))
    assert all(gate.shape for one in bill.attention_modules for gate in one.gates)


@pytest.mark.full
@pytest.mark.parametrize("name", [f"resnet20/{m}" for m in modules] + ["resnet50/se", "resnet50/eca@tail"])
def test_torch_says_the_same_of_macs_and_of_every_shape(name: str) -> None:
    variant = Variant.parse(name)
    try:
        bill = count(variant)
    except AttentionError:
        return
    model, size = skeleton(variant), height_and_width(bill.input_size)
    with FlopCounterMode(display=False) as counter:
        asked = walk(model, 3, *size, shapes={})
    assert counter.get_total_flops() == 2 * bill.total.macs
    known = walk(model, 3, *size)
    assert [row.shape for row in asked.rows] == [row.shape for row in known.rows]
    assert asked.rows == known.rows and asked.peak_bytes == known.peak_bytes == bill.peak_activation_bytes


class Alive(TorchDispatchMode):
    """Watches a real forward pass: the most bytes of storage alive at once, without what was there before."""

    def __init__(self, model: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.before = {id(kept.untyped_storage()) for kept in (*model.parameters(), *model.buffers())}
        self.alive: dict[int, int] = {}
        self.peak = 0
        self.note(image)

    def note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if id(storage) not in self.alive and id(storage) not in self.before:
            self.alive[id(storage)] = storage.nbytes()
            weakref.finalize(storage, self.alive.pop, id(storage))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else (out,):
            if isinstance(one, Tensor):
                self.note(one)
        self.peak = max(self.peak, sum(self.alive.values()))
        return out


@pytest.mark.full
@pytest.mark.parametrize("name", ["none", "se", "eca", "cbam", "gct", "coord@inner", "eca@post"])
def test_peak_memory_is_what_a_real_pass_holds(name: str) -> None:
    variant = Variant.parse(f"resnet20/{name}?classes=10")
    model, image = build(variant), torch.zeros(1, 3, 32, 32)
    gc.collect()
    with Alive(model, image) as alive, torch.no_grad():
        model(image)
    assert count(variant).peak_activation_bytes == alive.peak


def test_activation_bytes_are_the_outputs_that_are_new_memory() -> None:
    class Three(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(x + 1, inplace=True)  # a sum; its ReLU writes over it
            return x.flatten(1).t().contiguous()  # a view, another, and a copy

    ledger = walk(Three(), 2, 3, 3)
    assert [(row.operation, row.activation_bytes) for row in ledger.rows] == [("add", 72), ("relu", 0)]
    assert ledger.peak_bytes == 2 * 72  # (18, 1) is contiguous already: no copy


# ---------------------------------------------------------------- the ledger itself


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
            rows = walk(Spelled(functions), 3, 64, 64).rows
        costs.append([sum(getattr(row, f) for row in rows) for f in ("parameters", "macs", "elementwise", "pooling")])
    # 3 channels of 64 x 64: k C MACs; the product writes every entry, the sigmoid 3; pooling reads every entry.
    assert costs[0] == costs[1] == [3, 3 * 3, 3 * 64 * 64 + 3, 3 * 64 * 64]


def test_an_operation_without_a_rule_is_named() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x[:, 0] = 1.0
            return torch.cumsum(x, 1)

    assert walk(Odd(), 3, 4, 4).not_counted == {"cumsum"}  # putting entries into a map multiplies nothing


def test_parameters_that_nothing_reads_are_still_in_the_bill() -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = nn.Parameter(torch.zeros(3, 1, 1, device="meta"))
            self.frozen = nn.Parameter(torch.zeros(5, device="meta"), requires_grad=False)
            self.head = nn.Linear(7, 2, device="meta")
            self.looked_at = nn.Parameter(torch.zeros(11, device="meta"))

        def forward(self, x: Tensor) -> Tensor:
            x = x * self.used[None]  # read through a view
            assert self.looked_at[None].dim() == 2
            return x

    rows = walk(Dead(), 3, 4, 4).rows
    dead = [("", UNUSED, 5, 0), ("head", UNUSED, 14, 0), ("head", UNUSED, 2, 0), ("", UNUSED, 11, 0)]
    assert [(row.layer, row.operation, row.parameters, row.buffers) for row in rows] == [("", "mul", 3, 0), *dead]


def test_columns_of_a_row_a_layer_and_a_sum_have_the_same_names() -> None:
    row = walk(nn.ReLU(), 3, 4, 4).rows[0]
    assert row._fields[-len(Cost.model_fields) :] == tuple(Cost.model_fields)
    assert len(row.amounts) == len(Cost.model_fields)
    assert set(Cost.model_fields) < set(LayerCost.model_fields) < set(row._fields)


@pytest.mark.full
def test_the_input_size_scales_the_macs_and_not_the_parameters() -> None:
    small, large = (count(Variant.parse("resnet50/eca"), size) for size in (224, 448))
    assert small.total.parameters == large.total.parameters
    classifier = 2048 * 1000 + 87_808
    assert large.total.macs - classifier == 4 * (small.total.macs - classifier)


def test_a_module_is_billed_where_it_stands() -> None:
    bill = count(Variant.parse("resnet50/eca@standard:3.2"))
    (one,) = bill.attention_modules
    assert (one.path, one.stage, one.block, one.channels) == ("layer3.1.standard", 3, 2, 1024)
    assert (one.cost.parameters, one.cost.macs, one.cost.pooling) == (5, 5 * 1024, 1024 * 14 * 14)
    assert one.cost == bill.attention
    assert [(gate.kind, gate.shape) for gate in one.gates] == [("channel", (1, 1024, 1, 1))]


def test_counting_leaves_no_trace_on_a_model() -> None:
    model = skeleton(Variant.parse("resnet20/se"))
    modes = [module.training for module in model.modules()]
    walk(model, 3, 32, 32)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_walk_that_fails_leaves_no_hook() -> None:
    model = skeleton(Variant.parse("resnet20/se"))
    with pytest.raises(RuntimeError):
        walk(model, 5, 32, 32)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.full
def test_a_skeleton_has_the_structure_of_the_network_and_no_numbers() -> None:
    for name in ("resnet20/bam", "mobilenetv2/coord@published"):
        variant = Variant.parse(name)
        bones, flesh = skeleton(variant).state_dict(), build(variant).state_dict()
        assert {key: value.shape for key, value in bones.items()} == {key: v.shape for key, v in flesh.items()}
        assert all(value.is_meta for value in bones.values())


def test_a_copy_of_the_bill_says_which_variant_was_asked() -> None:
    one, two = (count(Variant.parse(f"resnet20/se?seed={seed}")) for seed in (1, 2))
    assert one.variant.seed == 1 and two.variant.seed == 2 and one.total == two.total and one.layers is None


def test_every_convention_says_its_rule_and_its_source() -> None:
    for name, convention in CONVENTIONS.items():
        assert convention.name == name and convention.rule.endswith(".") and len(convention.source) > 20


def test_a_shape_that_does_not_fit_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: nn.Module, x: Tensor) -> Tensor:
        raise RuntimeError("Calculated output size is too small")

    monkeypatch.setattr("attention.backbones.cifar_resnet.CifarResNet.forward", refuse)
    with pytest.raises(InvalidRequest, match="cannot take an image of 3 x 3 pixels"):
        count(Variant.parse("resnet20/se(reduction=3)"), 3)
