"""Fresh attention in a trained backbone: neither trained nor untrained, and it says what it does to the activations."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attention.analyses import run
from attention.build import build, resolve
from attention.errors import BadCheckpoint
from attention.network import describe
from attention.reports.compare import CompareRequest
from attention.reports.parts.checkpoints import Card
from attention.spec import Preprocess, Recipe, Variant
from attention.weights import load as weights
from attention.weights.find import Checkpoints
from tests.attention.direct_lab import DirectLab
from tests.attention.weights.checkpoint_files import TENSORS, logits, report_of, stored, trained, write


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    """A folder that holds ``plain``, a trained ResNet-20."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write(folder / "plain.safetensors", trained("resnet20/none").state_dict())
    return Checkpoints(folder)


def card_of(name: str, labels: tuple[str, ...], preprocess: Preprocess) -> Card:
    return Card(
        variant=weights.bare(resolve(Variant.parse(name))),
        data="stripes",
        labels=labels,
        recipe=Recipe(),
        seed=0,
        preprocess=preprocess,
        train_images=10,
        test_images=10,
        test_accuracy=0.5,
        device="CPU",
        torch="2",
        date="2026-01-01",
        seconds=1.0,
        command="none",
    )


@pytest.mark.parametrize(
    ("attention", "kept", "identity", "count"),
    [
        ("se", 0.5, False, 9),
        ("eca", 0.5, False, 9),
        ("static", 0.5, False, 9),
        ("cbam", 0.25, False, 9),
        ("coord", 0.25, False, 9),
        ("gc", 1.0, True, 9),
        ("gct", 1.0, True, 9),
        ("identity", 1.0, True, 9),
        ("danet@tail", 1.0, True, 1),
        ("eca@standard:3", 0.5, False, 3),
    ],
)
def test_a_fresh_module_says_what_it_does_to_the_activations(
    plain: Checkpoints, attention: str, kept: float, identity: bool, count: int
) -> None:
    report = report_of(f"resnet20/{attention}?weights=file:plain", plain)
    assert report.loaded == TENSORS and len(report.fresh) == count
    for one in report.fresh:
        assert one.identity == identity
        assert one.kept == pytest.approx(kept, rel=0 if identity else 0.4)
    said = weights.warning(report)
    assert said and ("pass" in said and "unchanged" in said) == identity


def test_a_fresh_identity_leaves_the_trained_predictions_alone(plain: Checkpoints) -> None:
    trained_logits = logits(build(Variant.parse("resnet20/none?weights=file:plain"), plain))
    fresh = {name: logits(build(Variant.parse(f"resnet20/{name}?weights=file:plain"), plain)) for name in ("gct", "se")}
    torch.testing.assert_close(fresh["gct"], trained_logits)
    assert not torch.allclose(fresh["se"], trained_logits)


def test_the_measured_share_is_that_of_the_branch(plain: Checkpoints) -> None:
    variant = Variant.parse("resnet20/se@standard:1?weights=file:plain")
    model, seen = build(variant, plain), []
    slot = model.get_submodule("layer1.0.standard")
    slot.register_forward_hook(lambda _, args, out: seen.append(float(out.std() / args[0].std())))
    with torch.no_grad():
        model(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    first = report_of(variant.name, plain).fresh[0]
    assert first.slot == "layer1.0.standard" and first.kept == pytest.approx(seen[0], rel=1e-5)


def test_measuring_leaves_no_hook_and_no_trace(plain: Checkpoints) -> None:
    variant = Variant.parse("resnet20/se?weights=file:plain")
    model, report = build(variant, plain), report_of(variant.name, plain)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weights.measure(model, report, 32)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_modules_that_the_checkpoint_has_are_trained_and_only_the_others_fresh(tmp_path: Path) -> None:
    checkpoints = stored(tmp_path, "resnet20/se@standard:3")
    report = report_of("resnet20/se?weights=file:it", checkpoints)
    assert [one.slot for one in report.fresh] == [
        f"layer{stage}.{block}.standard" for stage in (1, 2) for block in range(3)
    ]
    assert len(report.missing) == 12 and all(name.split(".")[0] in ("layer1", "layer2") for name in report.missing)


def test_one_fresh_module_is_spoken_of_as_one(plain: Checkpoints) -> None:
    said = weights.warning(report_of("resnet20/eca@tail?weights=file:plain", plain))
    assert said and said.startswith(
        "The backbone is trained, its attention is not: 1 module at tail is fresh and leaves 0."
    )


def test_a_card_says_that_a_module_without_weights_was_trained_with(tmp_path: Path) -> None:
    write(tmp_path / "it.safetensors", trained("resnet20/simam").state_dict())
    variant = Variant.parse("resnet20/simam?classes=10&weights=file:it")
    alone = describe(variant, Checkpoints(tmp_path)).load
    assert alone and len(alone.fresh) == 9
    labels = tuple("abcdefghij")
    (tmp_path / "it.json").write_text(
        card_of("resnet20/simam", labels, Preprocess(size=32, resize=32)).model_dump_json()
    )
    report = describe(variant, Checkpoints(tmp_path)).load
    assert report and report.fresh == () and weights.warning(report) is None
    assert describe(variant, Checkpoints(tmp_path)).labels == labels


def test_a_card_that_is_not_one_and_a_card_that_promises_more_get_sentences(tmp_path: Path) -> None:
    write(tmp_path / "it.safetensors", trained("resnet20/none").state_dict())
    variant = Variant.parse("resnet20/se?classes=10&weights=file:it")
    (tmp_path / "it.json").write_text("{}")
    with pytest.raises(BadCheckpoint, match=r"The card it\.json beside the checkpoint is not one"):
        build(variant, Checkpoints(tmp_path))
    (tmp_path / "it.json").write_text(card_of("resnet20/se", tuple("abcdefghij"), Preprocess()).model_dump_json())
    with pytest.raises(BadCheckpoint, match="lacks tensors of what its card says it is"):
        build(variant, Checkpoints(tmp_path))
    write(tmp_path / "it.safetensors", trained("resnet20/se").state_dict())
    with pytest.raises(BadCheckpoint, match=r"Ask for resnet20/se\?weights=file:it\."):
        build(Variant.parse("resnet20/none?classes=10&weights=file:it"), Checkpoints(tmp_path))


@pytest.mark.full
def test_options_that_change_no_shape_are_said_to_be_taken_on_trust(tmp_path: Path) -> None:
    checkpoints = stored(tmp_path, "resnet50(width=0.25)/none")
    report = report_of("resnet50(width=0.25,version=v1)/none?weights=file:it", checkpoints)
    assert report.notes == ("Options that change no shape are taken on trust: version=v1, width=0.25.",)


@pytest.mark.full
def test_compare_tells_trained_untrained_and_fresh_apart(tmp_path: Path) -> None:
    lab = DirectLab(tmp_path)
    write(tmp_path / "checkpoints" / "plain.safetensors", trained("resnet20/none").state_dict())
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(file, "PNG")
    names = ("resnet20/none?weights=file:plain", "resnet20/se", "resnet20/se?weights=file:plain")
    request = CompareRequest(images=(lab.files.put_image(file.getvalue()),), variants=names)  # type: ignore[arg-type]
    whole, untrained, fresh = run(request, lab).variants
    assert (whole.state, whole.trained, whole.warning) == ("trained", True, None)
    assert whole.load and whole.load.loaded == TENSORS and whole.card is None
    assert (untrained.state, untrained.trained, untrained.load) == ("untrained", False, None)
    assert untrained.warning and untrained.warning.startswith("Untrained")
    assert (fresh.state, fresh.trained) == ("fresh attention", False)
    assert fresh.load and len(fresh.load.fresh) == 9 and fresh.warning and "9 modules" in fresh.warning


def test_a_stored_file_that_is_replaced_is_read_anew(tmp_path: Path) -> None:
    checkpoints = stored(tmp_path, "resnet20/none")
    assert report_of("resnet20/none?weights=file:it", checkpoints).unexpected == ()
    stored(tmp_path, "resnet20/none", total_ops=torch.zeros(1))
    assert report_of("resnet20/none?weights=file:it", checkpoints).unexpected == ("total_ops",)
