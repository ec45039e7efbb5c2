"""The widened control: no width comes closer, and the analysis says how close."""

from pathlib import Path
from typing import Literal

import pytest

from attention.analyses import run
from attention.backbones import backbones
from attention.build import resolve, skeleton
from attention.counting.cost import count
from attention.counting.match import widened
from attention.errors import InvalidRequest
from attention.registry.options import schema
from attention.reports.match import MatchRequest
from attention.spec import Variant
from tests.attention.direct_lab import DirectLab


def parameters(variant: Variant) -> int:
    return sum(p.numel() for p in skeleton(variant).parameters())


@pytest.mark.full
@pytest.mark.parametrize("name", ["resnet20/cbam", "vgg11_small/se(reduction=4)", "resnet20(width=8)/se(reduction=2)"])
def test_no_width_comes_closer(name: str) -> None:
    variant = Variant.parse(name)
    found, target = widened(variant), parameters(variant)
    own = variant.backbone_options.get("width", schema(backbones[variant.backbone])["properties"]["width"]["default"])
    others = {
        parameters(variant.plain.model_copy(update={"backbone_options": {"width": round(own * step / 200, 6)}}))
        for step in range(200, 260)
    }
    assert abs(parameters(found) - target) <= min(abs(other - target) for other in others)
    assert found.attention is None and found.classes == 10


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "by", "share"),
    [
        ("resnet50/se", "parameters", 0.002),
        ("resnet50/se", "macs", 0.0002),
        ("resnext50/sk@published", "macs", 0.01),
        ("mobilenetv2/coord@published", "parameters", 0.02),
    ],
)
def test_networks_of_papers_find_a_plain_one_of_their_size(
    name: str, by: Literal["parameters", "macs"], share: float
) -> None:
    variant = Variant.parse(name)
    full, twin, wide = (getattr(count(one).total, by) for one in (variant, variant.plain, widened(variant, by)))
    assert abs(wide - full) < abs(twin - full) and abs(wide - full) <= share * full


@pytest.mark.full
@pytest.mark.parametrize("name", ["resnet50/eca", "resnet50/simam", "resnet20/none", "resnet50(width=2)/eca"])
def test_what_adds_next_to_nothing_is_matched_by_the_plain_twin(name: str) -> None:
    assert widened(Variant.parse(name)) == resolve(Variant.parse(name)).plain


@pytest.mark.full
def test_the_widened_network_keeps_everything_else() -> None:
    asked = Variant.parse("resnet50(stem=deep,shortcut=pool)/cbam@standard:4?classes=10&seed=3")
    found = widened(asked)
    assert (found.classes, found.seed, found.weights) == (10, 3, None)
    width = found.backbone_options["width"]
    assert isinstance(width, float) and 1 < width < 1.2
    assert found.backbone_options == {"stem": "deep", "shortcut": "pool", "width": width}


def test_a_backbone_without_a_width_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attention.counting.match.schema", lambda thing: {})
    with pytest.raises(InvalidRequest, match="'resnet20' has no option 'width'"):
        widened(Variant.parse("resnet20/se?seed=71"))


@pytest.mark.full
def test_a_backbone_whose_width_is_whole_grows_by_whole_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {"properties": {"width": {"type": "integer", "default": 16}}}
    monkeypatch.setattr("attention.counting.match.schema", lambda thing: whole)
    found = widened(Variant.parse("resnet20/se(reduction=1)?seed=72"))
    assert found.backbone_options == {"width": 17}


def test_the_analysis_gives_the_three_networks_and_the_gap(tmp_path: Path) -> None:
    request = MatchRequest.model_validate({"variants": ["resnet20/cbam", "resnet20/se"], "by": "parameters"})
    report = run(request, DirectLab(tmp_path))
    cbam, se = report.matches
    assert report.by == "parameters"
    assert cbam.plain.parameters == se.plain.parameters == se.widened.parameters == 269_722
    assert cbam.variant.parameters == parameters(Variant.parse("resnet20/cbam"))
    assert cbam.widened.parameters == parameters(cbam.widened.variant)
    assert cbam.gap == cbam.widened.parameters - cbam.variant.parameters
    assert se.gap == 269_722 - se.variant.parameters < 0
    assert Variant.parse(cbam.widened.name) == cbam.widened.variant
