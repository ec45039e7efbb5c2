"""The static fold: the same answers as mean gates, a plain network to take away, and a refusal where not."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from attention.analyses import run
from attention.backbones import Backbone
from attention.build import build, resolve
from attention.data.sampling import batches
from attention.errors import InvalidRequest
from attention.gate import ablate, capture, gates
from attention.interventions.fold import ALLOWED, fold, foldable
from attention.network import describe
from attention.reports.compare import CompareRequest
from attention.reports.fold import FoldReport, FoldRequest
from attention.spec import Ablation, Pictures, Variant
from tests.attention.analyses.test_sweep import write
from tests.attention.direct_lab import DirectLab

SHIPPED_NONE = "resnet20/none?weights=shipped"
SHIPPED_SE = "resnet20/se?weights=shipped"
SHIPPED_ECA = "resnet20/eca?weights=shipped"

CALIBRATION = Pictures(data="pets", split="train")


@pytest.fixture
def lab(tmp_path: Path) -> DirectLab:
    write(tmp_path, "pets", ("cat", "dog"), 4)
    write(tmp_path, "flowers", ("rose", "tulip"), 2)
    return DirectLab(tmp_path)


def ask(variant: str = SHIPPED_SE, **changes: Any) -> FoldRequest:
    return FoldRequest(**{"variant": variant, "images": {"data": "pets"}, "rounds": 0, **changes})


def lived(name: str) -> Backbone:
    """A network whose normalisations and attention are as if it had been trained: nothing is 0 or 1 any more."""
    model = build(Variant.parse(name))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values, low in ((module.running_mean, -0.2), (module.running_var, 0.5), (module.weight, 0.5)):
                    assert values is not None
                    values.copy_(low + torch.rand(values.shape, generator=generator))
                module.bias.copy_(torch.rand(module.bias.shape, generator=generator) - 0.5)
        for path, parameter in model.named_parameters():
            if ".0." in path and any(place in path for place in ("standard", "identity")):
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


# ------------------------------------------------------------------ it is exact


@pytest.mark.full
@pytest.mark.parametrize(
    "name",
    [
        "resnet20/fca",
        *(f"resnet20(width=8)/{module}" for module in ("se", "eca", "ese", "srm", "gct", "ceca", "static", "random")),
        "resnet20(width=8)/ge",
        "resnet20(width=8)/se@standard:2+3.1",
        "mobilenetv2(width=0.1)/eca",
        "resnet18(width=0.125)/se",
        "resnet50(width=0.0625)/eca",
        "resnet33ts(width=0.1)/eca",
        "resnet18(width=0.125)/se@identity:2.1+3.1+4.1",
    ],
)
def test_the_folded_network_answers_as_the_one_with_mean_gates(name: str) -> None:
    model, plain = lived(name), build(Variant.parse(name).plain)
    side = min(*model.height_and_width, 64)
    images = torch.randn(6, 3, side, side, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode(), capture(model) as seen:
        trained = model(images)
    means = {path: weights.mean(0, keepdim=True) for path, weights in seen.items()}
    everywhere = Ablation(kind="mean", reference=CALIBRATION)
    fold(model, plain, foldable(model, name), everywhere, means)
    with torch.inference_mode():
        folded = plain(images)
        with ablate(model, everywhere, means):
            mean = model(images)
    largest = float(mean.abs().max())
    assert float((folded - mean).abs().max()) <= 1e-5 * largest
    if name.startswith("resnet20") and not name.endswith(("static", "random")):
        assert float((mean - trained).abs().max()) > 1e-5 * largest  # it is not the same for want of a difference
    assert plain.state_dict().keys() == build(Variant.parse(name).plain).state_dict().keys()


@pytest.mark.full
def test_what_is_reported_is_what_separate_passes_give(lab: DirectLab) -> None:
    report = run(ask(SHIPPED_SE, calibration=CALIBRATION), lab)
    variant = resolve(Variant.parse(SHIPPED_SE))
    network = describe(variant)
    how, classes = network.preprocess, network.labels
    ((pictures, images),) = batches(Pictures(data="pets"), how, lab.files)
    ((_, reference),) = batches(CALIBRATION, how, lab.files)
    truth = torch.tensor([classes.index(picture.label or "") for picture in pictures])
    model = build(variant)
    with torch.inference_mode(), capture(model) as seen:
        model(reference)
    means = {path: weights.mean(0, keepdim=True) for path, weights in seen.items()}
    with torch.inference_mode():
        before = model(images)
        with ablate(model, Ablation(kind="mean", reference=CALIBRATION), means):
            after = model(images)
    logits: dict[str, Tensor] = {"trained": before, "mean": after, "folded": after}
    assert [arm.kind for arm in report.arms] == list(logits)
    for arm in report.arms:
        first = logits[arm.kind].argmax(1)
        assert arm.accuracy == pytest.approx(100 * float((first == truth).double().mean()))
        assert arm.agreement == pytest.approx(float((first == before.argmax(1)).double().mean()))
        kl = nn.functional.kl_div(logits[arm.kind].log_softmax(1), before.softmax(1), reduction="batchmean")
        assert arm.kl == pytest.approx(float(kl), rel=1e-3, abs=1e-6)
    assert report.n == 8 and report.complete and 0 <= report.error <= ALLOWED
    trained, _, folded = report.arms
    assert (trained.parameters, folded.parameters) == (271_738, 269_722)  # SE's cost in ResNet-20, and He et al.'s own
    assert folded.macs == 40_551_040 and trained.macs > folded.macs and trained.elementwise > folded.elementwise
    assert [gate.gate for gate in report.gates] == list(gates(model))
    for gate in report.gates:
        own = seen[gate.gate].flatten(1).double()
        assert gate.normalisation == gate.gate.replace("standard.0.gate", "bn2")
        assert gate.mean == pytest.approx(float(own.mean())) and gate.high == pytest.approx(float(own.mean(0).max()))
        spread = float(own.var(0, correction=1).mean().sqrt())
        assert gate.over_images == pytest.approx(spread, rel=1e-4, abs=1e-7)


@pytest.mark.full
def test_a_gate_that_never_looked_at_the_image_loses_nothing(lab: DirectLab) -> None:
    report = run(ask("resnet20(width=4)/static?classes=10"), lab)
    assert all(arm.agreement == 1 and arm.kl < 1e-6 for arm in report.arms)
    assert {gate.over_images for gate in report.gates} == {0.0}


# ------------------------------------------------------------------ it can be taken away and used


@pytest.mark.full
def test_the_plain_network_is_a_variant_like_any_other(lab: DirectLab) -> None:
    report = run(ask(SHIPPED_ECA), lab)
    assert report.kept is not None and report.kept.variant.attention is None
    kept = Variant.parse(report.kept.name)
    assert kept == report.kept.variant and kept.weights == f"file:{report.kept.checkpoint}"
    path = lab.files.root / "checkpoints" / f"{report.kept.checkpoint}.safetensors"
    assert path.stat().st_size == report.kept.bytes
    loaded = describe(kept, lab.files.checkpoints).load
    assert loaded is not None and not loaded.fresh and not loaded.missing and not loaded.unexpected
    model = build(kept, lab.files.checkpoints)
    assert model.state_dict().keys() == build(Variant.parse(SHIPPED_NONE)).state_dict().keys()
    assert describe(kept, lab.files.checkpoints).preprocess == describe(Variant.parse(SHIPPED_ECA)).preprocess
    told, origin = (
        describe(kept, lab.files.checkpoints).card,
        describe(Variant.parse(SHIPPED_ECA)).card,
    )
    assert told is not None and origin is not None
    assert told.labels == origin.labels and told.recipe == origin.recipe and origin.data in told.data
    assert told.test_images == 8 and 100 * told.test_accuracy == pytest.approx(report.arms[2].accuracy)
    assert "folded" in told.data and told.variant.name == "resnet20/none" and "/v1/fold" in told.command
    photos = Pictures(data="pets")
    ((_, images),) = batches(photos, describe(kept, lab.files.checkpoints).preprocess, lab.files)
    assert lab.forward(kept, images).logits.argmax(1).shape == (8,)


@pytest.mark.full
def test_photos_are_compared_with_the_folded_network_under_its_class_names(lab: DirectLab, tmp_path: Path) -> None:
    photo = lab.files.put_image(
        next(iter((tmp_path / "datasets" / "pets" / "test" / "cat").glob("*.png"))).read_bytes()
    )
    report = run(ask(SHIPPED_SE, images=[photo], calibration=CALIBRATION), lab)
    assert report.kept is not None
    compared = run(
        CompareRequest(images=(photo,), variants=(Variant.parse(SHIPPED_SE), report.kept.variant), top_k=1),
        lab,
    )
    assert compared.variants[1].trained and compared.predictions[1].top[0].label is not None
    assert compared.predictions[1].gates == ()
    assert report.arms[0].accuracy is None and "Photos have no true class" in report.caveats[-1]
    told = describe(report.kept.variant, lab.files.checkpoints).card
    assert told is not None and "the trained network's, before that" in told.data


@pytest.mark.full
def test_the_same_fold_has_the_same_name_and_another_one_another(lab: DirectLab) -> None:
    def name(**changes: Any) -> str:
        report = run(ask(SHIPPED_SE, **changes), lab)
        assert report.kept is not None
        return report.kept.checkpoint

    first = name()
    assert name() == first and name(calibration={"data": "flowers", "split": "train"}) != first
    assert len(list((lab.files.root / "checkpoints").glob("*.safetensors"))) == 2


@pytest.mark.full
def test_images_of_other_classes_have_no_accuracy_and_that_is_said(lab: DirectLab) -> None:
    report = run(ask(SHIPPED_SE, images={"data": "flowers"}), lab)
    assert [arm.accuracy for arm in report.arms] == [None] * 3 and report.arms[1].p is None
    assert any("rose, tulip" in caveat and "no accuracy" in caveat for caveat in report.caveats)
    assert "keep their class" in report.headline


@pytest.mark.full
def test_an_untrained_network_is_folded_with_a_warning_and_without_a_card(lab: DirectLab) -> None:
    report = run(ask("resnet20(width=4)/eca?classes=10"), lab)
    assert report.kept is not None and not report.kept.card
    assert any("Untrained" in caveat for caveat in report.caveats)
    assert report.kept.name == f"resnet20(width=4)/none?classes=10&weights=file:{report.kept.checkpoint}"
    assert "=" not in report.kept.checkpoint and "%" not in report.kept.name
    build(report.kept.variant, lab.files.checkpoints)


@pytest.mark.full
def test_the_table_has_a_row_for_each_state_and_progress_ends_where_it_said(lab: DirectLab) -> None:
    report = run(ask("resnet20(width=4)/eca?classes=10", rounds=6, calibration=CALIBRATION), lab)
    rows = list(csv.DictReader(io.StringIO(report.csv())))
    assert [row["kind"] for row in rows] == ["trained", "mean", "folded"] and rows[0]["n"] == "8"
    assert {total for _, total in lab.told} == {8 + 8 + 6} and lab.told[-1][0] == 22
    assert [done for done, _ in lab.told] == sorted(done for done, _ in lab.told)
    assert FoldReport.model_validate_json(report.model_dump_json()) == report


# ------------------------------------------------------------------ time


@pytest.mark.full
def test_time_is_given_or_withheld_with_the_reason(lab: DirectLab) -> None:
    sure = run(ask("resnet20(width=4)/se?classes=10", rounds=8, tolerance=0.5), lab).timing
    strict = run(ask("resnet20(width=4)/se?classes=10", rounds=8, tolerance=1e-9), lab).timing
    assert sure is not None and strict is not None
    assert strict.withheld is not None and strict.ratio is None and strict.before_ms is None
    assert "two timings of the same network differ" in strict.withheld
    assert (sure.withheld is None) == (sure.ratio is not None) == (sure.after_ms is not None)
    assert sure.clock == "CPU time" and sure.rounds == sure.control.n == 8 and sure.passes >= 1
    assert sure.input_size == 32 and sure.threads == 1


def test_too_few_rounds_for_an_interval_are_refused() -> None:
    with pytest.raises(ValidationError, match="at least 6"):
        ask(rounds=5)
    assert ask(rounds=0).rounds == 0


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet20/none", "no attention, so there is nothing to fold"),
        ("resnet20(width=8)/cbam", "one of its gates weighs places"),
        ("resnet20(width=8)/simam", "its gate has a weight for every place"),
        ("resnet20(width=8)/coord", "one of its gates weighs rows"),
        ("resnet20(width=8)/gc", "one of its gates"),
        ("resnet20(width=8)/danet", "mixes places or channels"),
        ("resnet20(width=8)/sk@spatial", "chooses between branches"),
        ("resnet20(width=8)/se@post", "at|straight from a batch normalisation"),
        ("resnet20(width=8)/se@inner", "an activation stands between"),
        ("resnet20(width=8)/se@pre", "layer1.0.pre: at 'pre' an activation .*; layer1.1.pre"),
        ("vgg11_small/se", "an activation stands between"),
        ("resnet20(width=8)/eca@tail", "None of its attention modules can"),
        ("resnet18(width=0.125)/se@identity", r"5 of its 8 modules cannot .*: layer1.0.identity, layer1.1.identity"),
    ],
)
def test_what_would_not_be_exact_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        foldable(build(Variant.parse(name)), name)


def test_a_refusal_leaves_nothing_behind(lab: DirectLab) -> None:
    with pytest.raises(InvalidRequest, match="cannot be folded exactly"):
        run(ask("resnet20(width=4)/cbam?classes=10"), lab)
    assert not (lab.files.root / "checkpoints").exists()


def test_a_normalisation_that_others_read_too_is_refused() -> None:
    """The places look right one by one; that the network would not be the same shows when it is tried."""

    name = "resnet20(width=4)/se"
    model, plain = lived(name), build(Variant.parse(name).plain)
    block = model.get_submodule("layer1.1")
    handle = block.register_forward_hook(lambda module, args, out: out + module.bn2(args[0]).mean())
    try:
        places = foldable(model, name)
        means = {place.site.path: torch.full((1, place.channels, 1, 1), 0.5) for place in places}
        plain.get_submodule("layer1.1").register_forward_hook(
            lambda module, args, out: out + module.bn2(args[0]).mean()
        )
        with pytest.raises(InvalidRequest, match="read by more than their gates"):
            fold(model, plain, places, Ablation(kind="mean", reference=CALIBRATION), means)
    finally:
        handle.remove()
