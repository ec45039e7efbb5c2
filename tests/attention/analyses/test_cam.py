"""Grad-CAM: equal to CAM where it must be, to finite differences elsewhere, and drawn over what the network saw."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from attention.analyses import run
from attention.analyses.cam import feature_map, grad_cam
from attention.build import build
from attention.data.files import samples
from attention.data.preprocessing import crop, preprocess
from attention.errors import InvalidRequest, NotFound
from attention.gate import slots
from attention.network import describe
from attention.reports.cam import CamReport, CamRequest
from attention.reports.compare import CompareRequest
from attention.spec import Preprocess, Variant
from tests.attention.direct_lab import DirectLab

IDS = tuple(sample.id for sample in samples()[:2])


@pytest.fixture
def lab(tmp_path: Path) -> DirectLab:
    return DirectLab(tmp_path)


def ask(**changes: Any) -> CamRequest:
    return CamRequest(
        **{"images": IDS, "variants": ("resnet20/none?weights=shipped", "resnet20/eca?weights=shipped"), **changes}
    )


def seen_by(name: str, lab: DirectLab) -> Tensor:
    how = describe(Variant.parse(name)).preprocess
    return torch.stack([preprocess(lab.files.image(image), how) for image in IDS])


def last_map(model: nn.Module, images: Tensor) -> Tensor:
    kept: list[Tensor] = []
    handle = model.get_submodule("tail").register_forward_hook(lambda _, __, out: kept.append(out))
    with torch.no_grad():
        model(images)
    handle.remove()
    return kept[0]


# ------------------------------------------------------------------ what it must be equal to


@pytest.mark.full
@pytest.mark.parametrize(
    "name", ["resnet20/none?weights=shipped", "resnet20/se?weights=shipped", "resnet20/eca?weights=shipped"]
)
def test_on_a_linear_head_on_the_mean_it_is_the_class_activation_map(name: str, lab: DirectLab) -> None:
    """Zhou et al. 2016: M_c = sum_k w_kc A_k; Grad-CAM's weights are w_kc / HW, and it cuts M off at 0."""
    model, images = build(Variant.parse(name)), seen_by(name, lab)
    maps = last_map(model, images)  # (B, C, H, W)
    for target in (0, 4, 9):
        heat = grad_cam(model, model.get_submodule("tail"), images, target).heat
        cam = torch.einsum("c,bchw->bhw", model.get_submodule("fc").get_parameter("weight")[target], maps).clamp_min(0)
        torch.testing.assert_close(heat * maps[0, 0].numel(), cam.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.full
def test_a_channels_importance_is_what_raising_it_everywhere_does_to_the_logit() -> None:
    """Finite differences: adding e to every place of a channel changes the logit by e times the sum of derivatives."""
    model = build(Variant.parse("resnet20(width=4)/se?seed=3")).double()
    images = torch.randn(1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    place, target, step = model.get_submodule("after2"), 7, 1e-5
    kept: list[Tensor] = []
    handle = place.register_forward_hook(lambda _, __, out: kept.append(out.clone()))
    with torch.no_grad():
        model(images)
    handle.remove()
    feature, importance = kept[0], []
    for channel in range(feature.shape[1]):
        logits = []
        for sign in (1, -1):
            shift = torch.zeros_like(feature)
            shift[:, channel] = sign * step
            handle = place.register_forward_hook(lambda _, __, out, shift=shift: out + shift)
            with torch.no_grad():
                logits.append(float(model(images)[0, target]))
            handle.remove()
        importance.append((logits[0] - logits[1]) / (2 * step) / feature[0, 0].numel())
    truth = (torch.tensor(importance).view(1, -1, 1, 1) * feature).sum(1).clamp_min(0)
    assert truth.max() > 0
    torch.testing.assert_close(grad_cam(model, place, images, target).heat, truth.float(), rtol=1e-3, atol=1e-7)


@pytest.mark.full
def test_scores_are_those_of_a_comparison(lab: DirectLab) -> None:
    report = run(ask(), lab)
    compared = run(
        CompareRequest(
            images=IDS,
            variants=(Variant.parse("resnet20/none?weights=shipped"), Variant.parse("resnet20/eca?weights=shipped")),
            top_k=1,
        ),
        lab,
    )
    for one, prediction in zip(report.maps, compared.predictions, strict=True):
        assert (one.image, one.network) == (prediction.image, prediction.variant)
        assert one.first == one.target and one.first.index == prediction.top[0].index
        assert one.first.label == prediction.top[0].label
        assert one.first.probability == pytest.approx(prediction.top[0].probability, abs=1e-6)


@pytest.mark.full
def test_a_photos_map_does_not_depend_on_the_photos_beside_it(lab: DirectLab) -> None:
    both, alone = (
        run(ask(variants=("resnet20/se?weights=shipped",)), lab),
        run(ask(variants=("resnet20/se?weights=shipped",), images=IDS[1:]), lab),
    )
    assert both.maps[1].maximum == pytest.approx(alone.maps[0].maximum, rel=1e-4)
    for one, other in zip(both.maps[1].grid, alone.maps[0].grid, strict=True):
        assert one == pytest.approx(other, abs=2e-4)


def test_it_works_in_a_thread_that_infers_and_leaves_no_hook_behind(lab: DirectLab) -> None:
    model, images = build(Variant.parse("resnet20/eca?weights=shipped")), seen_by("resnet20/eca?weights=shipped", lab)
    place = model.get_submodule("tail")
    truth = grad_cam(model, place, images, 2)
    with torch.inference_mode():
        again = grad_cam(model, place, images, 2)
    assert torch.equal(again.heat, truth.heat) and not place._forward_hooks


# ------------------------------------------------------------------ what the report says


@pytest.mark.full
def test_maps_are_divided_by_their_maximum_and_say_where_they_were_taken(lab: DirectLab) -> None:
    report = run(ask(variants=("resnet20/none?weights=shipped", "resnet18(width=0.125)/eca"), stage=2), lab)
    first, second = report.networks
    assert (first.layer, first.stage, first.channels, first.height, first.width) == ("after2", 2, 32, 16, 16)
    assert (second.layer, second.channels, second.height, second.classes) == ("after2", 16, 28, 1000)
    assert [(one.image, one.network) for one in report.maps] == [
        (image, network.name) for image in IDS for network in report.networks
    ]
    for one in report.maps:
        entries = [entry for row in one.grid for entry in row]
        assert max(entries) == 1.0 and min(entries) >= 0.0 and one.maximum > 0
    assert any("differ in size" in caveat for caveat in report.caveats)
    assert any("Untrained" in caveat and second.name in caveat for caveat in report.caveats)
    assert not any(first.name in caveat for caveat in report.caveats)


@pytest.mark.full
def test_a_class_may_be_named_or_numbered(lab: DirectLab) -> None:
    def maps(target: int | str) -> CamReport:
        return run(ask(images=IDS[:1], target=target), lab)

    assert maps("dog").maps == maps(5).maps == maps("5").maps
    assert {one.target.label for one in maps("dog").maps} == {"dog"}


def test_a_map_of_which_nothing_speaks_for_the_class_is_empty_and_said_to_be(tmp_path: Path) -> None:
    class Against(DirectLab):
        def network(self, variant: Variant) -> nn.Module:
            model = super().network(variant)
            with torch.no_grad():
                model.get_submodule("fc").get_parameter("weight")[3] = -1.0  # the last map is not negative
            return model

    report = run(ask(images=IDS[:1], variants=("resnet20/none?weights=shipped",), target=3), Against(tmp_path))
    assert report.maps[0].maximum == 0 and {entry for row in report.maps[0].grid for entry in row} == {0.0}
    assert any("1 of 1 maps are empty" in caveat for caveat in report.caveats)


@pytest.mark.parametrize("size", [(90, 40), (40, 90), (64, 64), (500, 31)])
def test_the_crop_is_what_the_network_sees(size: tuple[int, int]) -> None:
    how = Preprocess(size=28, resize=32, mean=(0, 0, 0), std=(1, 1, 1))
    left, top, right, bottom = crop(*size, how)
    assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    assert (right - left) * size[0] == pytest.approx((bottom - top) * size[1], rel=0.02)  # nothing is distorted
    inside = (
        round(left * size[0]) + 2,
        round(top * size[1]) + 2,
        round(right * size[0]) - 2,
        round(bottom * size[1]) - 2,
    )
    photo = Image.new("RGB", size, "black")
    photo.paste("white", inside)
    seen = preprocess(photo, how)
    assert float(seen[:, 6:-6, 6:-6].min()) > 0.99  # its middle is white,
    photo = Image.new("RGB", size, "white")
    photo.paste("black", tuple(edge + change for edge, change in zip(inside, (-4, -4, 4, 4), strict=True)))  # type: ignore[arg-type]
    assert float(preprocess(photo, how).max()) < 0.01  # and of what is outside nothing is seen


# ------------------------------------------------------------------ what cannot be answered


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"target": 10}, r"numbered 0 to 9; there is no class 10"),
        ({"target": -1}, "there is no class -1"),
        ({"target": "dgo"}, "Did you mean 'dog'"),
        ({"target": "dog", "variants": ("resnet20/se",)}, "Say the class by its number, 0 to 9"),
        ({"stage": 4}, "has no stage 4. It has stages 1, 2, 3"),
    ],
)
def test_a_class_or_stage_that_is_not_there_gets_a_sentence(
    lab: DirectLab, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        run(ask(images=IDS[:1], **changes), lab)


def test_photos_that_are_not_here_or_too_many_maps_get_a_sentence(lab: DirectLab) -> None:
    with pytest.raises(NotFound, match="no image"):
        run(ask(images=("0" * 64,)), lab)
    with pytest.raises(ValidationError, match="60 heat maps are asked for; at most 48"):
        ask(
            images=IDS * 5,
            variants=(
                "resnet20/none?weights=shipped",
                "resnet20/se?weights=shipped",
                "resnet20/eca?weights=shipped",
                "resnet20/srm",
                "resnet20/gct",
                "resnet20/simam",
            ),
        )


@pytest.mark.full
def test_every_backbone_says_where_its_last_map_is() -> None:
    for name in ("resnet20(width=4)", "mobilenetv2(width=0.1)", "vgg11_small", "fpn_resnet18(width=0.1)", "resnet33ts"):
        model = build(Variant.parse(f"{name}/none"))
        path, _, stage = feature_map(model, None, name)
        tails = [one.stage for one in slots(model).values() if one.position == "tail"]
        assert path == "tail" and [stage] == tails
