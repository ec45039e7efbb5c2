"""What every place of every backbone keeps, whatever fills it; and where each paper's own place is."""

from functools import cache

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from attention.backbones import Backbone, backbones
from attention.build import build, chosen_slots, fill, map_sides, resolve, skeleton
from attention.counting.cost import count
from attention.counting.ledger import walk
from attention.errors import AttentionError
from attention.gate import AttentionModule, UnitSlot, ablate, capture, gates, sites, slots
from attention.modules import modules
from attention.modules.sk import SelectiveKernel
from attention.names import height_and_width
from attention.spec import Ablation, Placement, Variant

every_backbone = pytest.mark.parametrize("name", list(backbones))

SMALL = (
    "resnet20(width=8)",
    "resnet18(width=0.125)",
    "resnet50(width=0.125,stem=deep,shortcut=pool)",
    "resnext50(width=0.25)",
    "mobilenetv2(width=0.25)",
    "resnet33ts(width=0.125)",
    "vgg11_small(width=0.5)",
    "fpn_resnet18(width=0.125)",
)


@cache
def plain(name: str) -> Backbone:
    """A plain network on the meta device; not to be changed."""
    return skeleton(Variant.parse(f"{name}/none"))


def positions(name: str) -> list[str]:
    return list(dict.fromkeys(slot.position for slot in slots(plain(name)).values()))


def fits(position: str, module: type[AttentionModule]) -> bool:
    return position != "spatial" or hasattr(module, "select")


@pytest.mark.full
@every_backbone
def test_with_every_place_filled_shapes_names_gates_and_macs_are_right(name: str) -> None:
    model = skeleton(Variant(backbone=name))
    by_position = {"spatial": "sk", "inner": "cbam", "standard": "se", "tail": "coord", "stage": "bam"}
    with torch.device("meta"):
        for position in positions(name):
            placement = Placement.model_validate(position)
            fill(model, Variant(backbone=name, attention=by_position.get(position, "eca"), placement=placement))
    twin, state = plain(name).state_dict(), model.eval().state_dict()
    assert [key for key in state if key in twin] == list(twin)
    assert all(state[key].shape == twin[key].shape for key in twin)
    inside = tuple(f"{path}." for path in slots(model))
    assert all(key.startswith(inside) for key in state if key not in twin)
    assert all(len(slot) == 1 for slot in slots(model).values())
    shape = (3, *model.height_and_width)
    image = torch.empty(1, *shape, device="meta")
    with torch.no_grad(), capture(model) as seen, FlopCounterMode(display=False) as counter:
        assert model(image).shape == plain(name)(image).shape
    assert set(seen) == set(gates(model)) == {site.path for site in sites(model)}
    # The counter also ran the plain twin, which has no attention: its share is taken off again.
    ledger, without = (sum(row.macs for row in walk(one, *shape).rows) for one in (model, plain(name)))
    assert counter.get_total_flops() == 2 * (ledger + without)


def images() -> Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


PAIRS = [
    (name, module)
    for name in SMALL
    for module in modules
    if name == "fpn_resnet18(width=0.125)" or module in ("se", "cbam", "bam", "sk")
]
"""Every module in the backbone that has every kind of place, and in every backbone a module of each kind of gate."""


@pytest.mark.full
@pytest.mark.parametrize(("name", "module"), PAIRS)
def test_every_module_stands_at_every_place_or_is_told_why_not(name: str, module: str) -> None:
    keys, image = set(plain(name).state_dict()), images().double()
    for position in positions(name):
        try:
            model = build(Variant.parse(f"{name}/{module}@{position}")).double()
        except AttentionError as error:
            assert str(error).endswith("."), error
            continue
        assert keys <= set(model.state_dict())
        with torch.no_grad(), capture(model) as seen:
            together = model(image)
        assert set(seen) == set(gates(model)) and seen, position
        with torch.no_grad():
            torch.testing.assert_close(model(image[1:2]), together[1:2], rtol=1e-6, atol=1e-8)
        assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.modules())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("module", ["se", "coord"])
def test_neutral_gates_make_the_plain_network_at_every_place(name: str, module: str) -> None:
    with torch.no_grad():
        expected = build(Variant.parse(f"{name}/none")).double()(images().double())
        for position in positions(name):
            if not fits(position, modules[module]):
                continue
            model = build(Variant.parse(f"{name}/{module}@{position}")).double()
            with capture(model) as seen:
                gated = model(images().double())
            assert seen.keys() == gates(model).keys() and not torch.allclose(gated, expected), position
            with ablate(model, Ablation(kind="neutral")):
                torch.testing.assert_close(model(images().double()), expected)


@pytest.mark.full
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("module", ["cbam", "sk"])
def test_batch_mates_do_not_matter_at_any_place(name: str, module: str) -> None:
    for position in positions(name):
        if not fits(position, modules[module]):
            continue
        model = build(Variant.parse(f"{name}/{module}@{position}")).double()
        with torch.no_grad():
            together = model(images().double())
            alone = torch.cat([model(image[None]) for image in images().double()])
        torch.testing.assert_close(alone, together)


UNITS = [module for module in modules if hasattr(modules[module], "select")]


@pytest.mark.full
@pytest.mark.parametrize("module", UNITS)
@pytest.mark.parametrize("name", SMALL)
def test_a_units_bill_is_all_that_it_adds_and_torchs_own_counter_agrees(name: str, module: str) -> None:
    variant = Variant.parse(f"{name}/{module}@spatial")
    bill, twin, model = count(variant), count(variant.plain), skeleton(variant)
    assert bill.not_counted == () and bill.modules == len(gates(model))
    for field in type(bill.total).model_fields:
        assert getattr(bill.total, field) - getattr(twin.total, field) == getattr(bill.delta, field), field
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, *height_and_width(bill.input_size), device="meta"))
    assert counter.get_total_flops() == 2 * bill.total.macs


@pytest.mark.parametrize("name", SMALL)
def test_choosing_the_blocks_own_convolution_makes_the_plain_network(name: str) -> None:
    model = build(Variant.parse(f"{name}/sk@spatial"))

    def own(gate: torch.nn.Module, args: tuple[Tensor, ...], weights: Tensor) -> Tensor:
        return torch.stack((torch.ones_like(weights[:, 0]), torch.zeros_like(weights[:, 1])), 1)

    for gate in gates(model).values():
        gate.register_forward_hook(own)
    with torch.no_grad():
        torch.testing.assert_close(model(images()), build(Variant.parse(f"{name}/none"))(images()))


@every_backbone
def test_a_unit_finds_a_convolution_like_its_own_at_every_spatial_place(name: str) -> None:
    if "spatial" not in positions(name):
        pytest.skip("it has no places inside its blocks")
    model = skeleton(Variant(backbone=name, attention="sk", placement=Placement(position="spatial")))
    places = [slot for slot in slots(model).values() if isinstance(slot, UnitSlot)]
    convolutions = [
        (module.in_channels, module.out_channels, module.stride[0], module.groups)
        for path, module in plain(name).named_modules()
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3)
    ]
    for slot in places:
        unit = slot[0]
        assert isinstance(unit, SelectiveKernel) and len(unit.branches) == 1
        conv = unit.branches[0][0]  # type: ignore[index]
        own = (conv.in_channels, conv.out_channels, conv.stride[0], conv.groups)
        assert own == (slot.in_channels, slot.channels, slot.stride, slot.groups) and own in convolutions


@pytest.mark.full
@pytest.mark.parametrize("name", SMALL)
def test_places_are_listed_in_the_order_of_the_network(name: str) -> None:
    for position in positions(name):
        model = build(Variant.parse(f"{name}/{'sk' if position == 'spatial' else 'se'}@{position}"))
        with torch.no_grad(), capture(model) as seen:
            model(images())
        assert list(seen) == [site.path for site in sites(model)], position
        along = [(site.stage, site.block) for site in sites(model)]
        assert along == sorted(along), position


@every_backbone
def test_the_side_of_every_place_is_known(name: str) -> None:
    sides = map_sides(Variant(backbone=name))
    every = slots(plain(name))
    assert set(sides) == set(every)
    assert all(0 < side <= plain(name).height_and_width[1] for side in sides.values())
    for position in ("standard", "stage"):
        along = [sides[path] for path, slot in every.items() if slot.position == position]
        assert along == sorted(along, reverse=True)


# Each paper's own place, as a word.


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet50/bam", "resnet50/bam@stage:1-3"),
        ("resnet20/bam", "resnet20/bam@stage:1-2"),
        ("mobilenetv2/bam", "mobilenetv2/bam@stage:1-3+5"),
        ("resnet50/simam", "resnet50/simam@inner"),
        ("mobilenetv2/simam", "mobilenetv2/simam@inner"),
        ("resnet18/simam", "resnet18/simam"),
        ("resnext50/sk", "resnext50/sk@spatial"),
        ("resnet50/danet", "resnet50/danet@tail"),
        ("mobilenetv2/coord", "mobilenetv2/coord@inner:2-7"),
        ("resnet50/coord", "resnet50/coord"),
        ("resnet50/gct", "resnet50/gct@pre"),
        ("resnet50/ge", "resnet50/ge"),
        ("mobilenetv2/se", "mobilenetv2/se"),
        ("mobilenetv2/eca", "mobilenetv2/eca"),
        ("resnet50/cbam", "resnet50/cbam"),
    ],
)
def test_published_is_the_papers_own_place(name: str, said: str) -> None:
    published = Variant.parse(f"{name}@published")
    assert resolve(published) == resolve(Variant.parse(said))


def test_stages_and_blocks_of_a_published_place_can_be_chosen() -> None:
    assert resolve(Variant.parse("resnet50/simam@published:4")).placement == Placement(position="inner", stages=(4,))
    assert resolve(Variant.parse("resnext50/sk@published:3.2")).placement == Placement(
        position="spatial", blocks=((3, 2),)
    )


@every_backbone
@pytest.mark.parametrize("module", list(modules))
def test_the_published_place_of_every_module_is_there_in_every_backbone(name: str, module: str) -> None:
    if "standard" not in positions(name):
        pytest.skip("it has no places inside its blocks")
    variant = resolve(Variant(backbone=name, attention=module, placement=Placement(position="published")))
    chosen = chosen_slots(plain(name), variant)
    assert chosen and all(fits(slot.position, modules[module]) for slot in chosen.values())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenetv2/se@inner:1+7", {(1, 1), (7, 1)}),
        ("mobilenetv2/se@standard:2.2+3.1", {(2, 2), (3, 1)}),
        ("resnext50/sk@spatial:4+1.2", {(1, 2), (4, 1), (4, 2), (4, 3)}),
        ("resnet50/bam@published", {(1, 3), (2, 4), (3, 6)}),
        ("fpn_resnet18/eca@branch:1+4", {(1, 2), (4, 2)}),
        ("vgg11_small/se@standard:3-4", {(3, 1), (3, 2), (4, 1), (4, 2)}),
    ],
)
def test_chosen_stages_and_blocks_are_filled_and_no_others(name: str, expected: set[tuple[int, int]]) -> None:
    model = skeleton(Variant.parse(name))
    assert {(slot.stage, slot.block) for slot in slots(model).values() if len(slot)} == expected
