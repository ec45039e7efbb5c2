"""timm's and torchvision's networks on the shelf: their own attention has gates, a bill, ablations and a fold."""

from importlib.util import find_spec

import pytest
import torch

from attention.analyses.effects import compared
from attention.build import build
from attention.counting.cost import count
from attention.gate import ablate, capture, sites
from attention.interventions.fold import fold_model, foldable
from attention.network import describe
from attention.spec import Ablation, Variant
from attention.watch import watch
from tests.models.zoo import made, ramp, torchvision

pytestmark = [pytest.mark.models, pytest.mark.slow]


def network(name: str) -> Variant:
    library = name.partition("(")[0]
    if find_spec(library) is None:
        pytest.skip(f"{library} is not here: make test-models has an environment for it")
    return Variant.parse(f"{name}/none")


@pytest.mark.parametrize(
    ("name", "number", "first", "parameters", "macs"),
    [
        ("timm(model=seresnet50)", 16, "layer1.0.se", 2_530_992, 2_514_944),
        ("timm(model=efficientnet_b0)", 16, "blocks.0.0.se", 636_540, 627_200),
        ("torchvision(model=efficientnet_b0)", 16, "features.1.0.block.1", 636_540, 627_200),
        ("torchvision(model=mobilenet_v3_large)", 8, "features.4.block.2", 1_512_280, 1_507_200),
        ("torchvision(model=regnet_y_400mf)", 16, "trunk_output.block1.block1-0.f.se", 668_024, 662_816),
    ],
)
def test_their_own_attention_is_seen_and_on_the_bill(
    name: str, number: int, first: str, parameters: int, macs: int
) -> None:
    variant = network(name)
    bill, places = count(variant), sites(build(variant))
    assert (len(places), places[0].path) == (number, first)
    assert (bill.attention.parameters, bill.attention.macs) == (parameters, macs)
    assert bill.delta.parameters == 0 and len(bill.attention_modules) == number


@pytest.mark.parametrize("name", ["timm(model=efficientnet_b0)", "torchvision(model=mobilenet_v3_large)"])
def test_gates_and_ablations_are_those_of_the_library_s_own_model(name: str) -> None:
    model = build(network(name))
    with torch.no_grad(), capture(model) as weights:
        model(ramp(224))
    found = watch(model.get_submodule("body"), 224)
    assert list(weights) == list(found.paths)
    with torch.no_grad(), ablate(model, Ablation(kind="constant", value=0.5)):
        halved = model(ramp(224))
    with torch.no_grad():
        assert not torch.equal(halved, model(ramp(224)))


def test_mobilenet_folds_forward_into_its_projections() -> None:
    model = build(network("torchvision(model=mobilenet_v3_large)"))
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    places = foldable(model, "mobilenet")
    assert len(places) == 8 and all(place.taken_up_by.endswith("block.3.0") for place in places)
    folded = fold_model(model, images)
    assert sum(parameter.numel() for parameter in model.parameters()) == 5_483_032
    assert sum(parameter.numel() for parameter in folded.parameters()) == 3_970_752
    with torch.no_grad(), capture(model) as weights:
        model(images)
    means = {path: gate.mean(0, keepdim=True) for path, gate in weights.items()}
    asked = Ablation.model_construct(kind="mean", gates=None)
    with torch.no_grad(), ablate(model, asked, means):
        truth = model(images)
    with torch.no_grad():
        assert float((folded(images) - truth).norm() / truth.norm()) < 5e-6


@pytest.mark.parametrize(
    ("kind", "best", "met"), [("constant", 0.013, 3), ("scalar", 0.164, 19), ("neutral", 0.976, 12)]
)
def test_a_detector_loses_boxes(kind: str, best: float, met: int) -> None:
    """The figures are those of another program on the same weights."""
    model = build(network("torchvision(model=ssdlite320_mobilenet_v3_large)"))
    model.get_submodule("body").load_state_dict(
        made(torchvision("detection.ssdlite320_mobilenet_v3_large")).state_dict()
    )
    images = torch.rand(4, 3, 320, 320, generator=torch.Generator().manual_seed(3))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        model.get_submodule("body.backbone").train()(images)
        model.eval()
        untouched = model(images[:1])
        with ablate(model, Ablation(kind=kind, value=0.25)):  # type: ignore[arg-type]
            effect = compared(untouched, model(images[:1]))
    assert float(untouched[0]["scores"].max()) == pytest.approx(0.442, abs=5e-4)
    assert effect["best"] == pytest.approx(best, abs=5e-4) and round(20 * effect["kept"]) == met


def test_segmenters_and_detectors_are_described() -> None:
    lraspp = describe(network("torchvision(model=lraspp_mobilenet_v3_large)"))
    assert (lraspp.outputs, lraspp.gates, lraspp.parameters, lraspp.macs) == ("map", 9, 3_221_538, 379_281_312)
    ssdlite = describe(network("torchvision(model=ssdlite320_mobilenet_v3_large)"))
    assert (ssdlite.outputs, ssdlite.gates) == ("boxes", 8)


def test_places_are_named_as_the_library_names_them() -> None:
    network("torchvision(model=convnext_tiny)")
    model = build(Variant.parse("torchvision(model=convnext_tiny)/se@after:features.7"))
    assert [site.path for site in sites(model)] == ["attached.features_7.0.gate"]
