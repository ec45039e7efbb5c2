"""Position `after`: a variant that names submodules of any backbone, wherever slots are not."""

import copy

import pytest
import torch
from torch import Tensor, nn

from attention.build import build
from attention.counting import cost
from attention.errors import AttentionError, BadPlacement
from attention.gate import ablate, capture, gates, sites
from attention.running.fused import fused_copy
from attention.running.many_ablations import forward_each
from attention.spec import Ablation, Placement, Variant

AFTER = Variant.parse("resnet20/eca@after:layer*.*.bn2")


def photos(batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def run(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(photos())


def test_a_name_and_its_variant_are_each_others() -> None:
    for name in (
        "resnet20/eca@after:layer*.*.bn2",
        "resnet50/se(reduction=8)@after:layer1.0.conv2+layer2.**?seed=3",
        "vgg11_small/cbam@after:features.3",
    ):
        assert Variant.parse(name).name == name
    assert Placement.model_validate("after:layer1+layer2").paths == ("layer1", "layer2")
    assert Placement.model_validate({"position": "after", "paths": ["layer1"]}) == Placement.model_validate(
        "after:layer1"
    )


@pytest.mark.full
def test_after_the_last_normalisation_is_the_standard_place() -> None:
    after, standard = build(AFTER), build(Variant.parse("resnet20/eca"))
    assert torch.equal(run(after), run(standard))
    bills = cost.count(AFTER), cost.count(Variant.parse("resnet20/eca"))
    assert bills[0].total == bills[1].total and bills[0].attention == bills[1].attention
    assert len(bills[0].attention_modules) == 9


def test_the_plain_networks_keys_stay_what_they_are() -> None:
    plain, after = build(AFTER.plain).state_dict(), build(AFTER).state_dict()
    assert [key for key in after if not key.startswith("attached.")] == list(plain)
    assert all(torch.equal(value, after[key]) for key, value in plain.items())


def test_its_gates_are_sites_that_are_seen_and_replaced() -> None:
    model = build(AFTER)
    assert [(site.path, site.position, site.stage) for site in sites(model)] == [
        (path, "after", number) for number, path in enumerate(gates(model), start=1)
    ]
    with capture(model) as weights:
        before = run(model)
    assert list(weights) == list(gates(model))
    with ablate(model, Ablation(kind="constant", value=0.25)):
        assert not torch.equal(run(model), before)


def test_many_ablations_at_once_are_those_one_by_one() -> None:
    model = build(AFTER)
    ablations = [Ablation(kind="constant", value=0.25, gates=(path,)) for path in list(gates(model))[::4]]
    with torch.no_grad():
        together = forward_each(model, photos(), ablations)
        for number, ablation in enumerate(ablations, start=1):
            with ablate(model, ablation):
                torch.testing.assert_close(together[number], model(photos()), rtol=1e-4, atol=1e-5)


@pytest.mark.full
@pytest.mark.parametrize("name", ["resnet20/gct@after:layer*.*.bn2", "resnet20/eca@after:layer*.*.conv1"])
def test_a_copy_for_serving_keeps_what_is_attached(name: str) -> None:
    model = build(Variant.parse(name))  # a fresh GCT is the identity, so its loss would not show in the logits
    served, copied = fused_copy(model), copy.deepcopy(model)
    for other in (served, copied):
        torch.testing.assert_close(run(other), run(model), rtol=1e-4, atol=1e-4)
        with capture(other) as weights:
            run(other)
        assert list(weights) == list(gates(model))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("resnet20/eca@after:layer9.*", r"no submodule 'layer9\.\*'. Did you mean 'layer"),
        ("resnet20/eca@after:fc", "not a map"),
        ("resnet20/sk@after:layer1.0.conv1+nothing", "no submodule 'nothing'"),
    ],
)
def test_a_path_that_names_no_map_gets_a_sentence(name: str, part: str) -> None:
    with pytest.raises(BadPlacement, match=part):
        build(Variant.parse(name))


@pytest.mark.parametrize(
    ("placement", "part"),
    [
        ({"position": "after"}, "names submodules"),
        ({"position": "standard", "paths": ["layer1"]}, "and no other, names submodules"),
        ({"position": "after", "paths": ["layer1"], "stages": [1]}, "neither stages nor blocks"),
        ({"position": "after", "paths": ["../etc"]}, "pattern"),
    ],
)
def test_a_placement_that_contradicts_itself_is_refused(placement: dict[str, object], part: str) -> None:
    with pytest.raises((AttentionError, ValueError), match=part):
        Placement.model_validate(placement)
