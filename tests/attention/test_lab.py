"""Lab and look: photos in every form give one answer, references are put in, and mistakes are sentences."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import attention
from attention.data.files import SAMPLES, Files, samples
from attention.errors import BadCheckpoint, BadImage, InvalidRequest, NotFound, UnknownName
from attention.reports.compare import CompareRequest
from attention.spec import Ablation, Pictures, Variant

PHOTO = SAMPLES / samples()[0].name


@pytest.fixture
def lab(tmp_path: Path) -> attention.Lab:
    return attention.Lab(tmp_path, device="cpu")


def test_a_photo_is_one_photo_in_whatever_form_it_comes(lab: attention.Lab, tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8))
    image.save(tmp_path / "photo.png")
    array = np.asarray(image)
    forms = (tmp_path / "photo.png", str(tmp_path / "photo.png"), (tmp_path / "photo.png").read_bytes(), image, array)
    ids = lab.photos(*forms, array / 255)
    for name in ids:
        assert np.array_equal(np.asarray(lab.files.image(name)), array)
    grey = lab.photos(array[:, :, 0])
    assert np.array_equal(np.asarray(lab.files.image(grey[0]))[:, :, 1], array[:, :, 0])


def test_a_sample_is_named_by_its_file_and_an_id_by_itself(lab: attention.Lab) -> None:
    assert lab.photos(PHOTO.name, samples()[0].id) == (samples()[0].id,) * 2
    assert lab.photos(PHOTO) == (samples()[0].id,)  # the same bytes have the same id


def test_look_is_compare_in_one_line(lab: attention.Lab) -> None:
    report = attention.look(PHOTO, "none", "se", "eca", lab=lab, top_k=2)
    variants = tuple(map(Variant.parse, ("none", "se", "eca")))
    asked = CompareRequest(images=(samples()[0].id,), variants=variants, top_k=2)
    assert report == lab.ask(asked) == lab.compare(images=lab.photos(PHOTO), variants=("none", "se", "eca"), top_k=2)
    assert [prediction.variant for prediction in report.predictions] == [summary.name for summary in report.variants]


def test_the_mean_gates_of_reference_images_are_put_in(lab: attention.Lab) -> None:
    """Replacing the gates of one image by their mean over that image alone changes nothing."""
    photos = lab.photos(PHOTO)
    mean = Ablation(kind="mean", reference=Pictures(images=photos))
    untouched = lab.compare(images=photos, variants=("eca",)).predictions[0]
    replaced = lab.compare(images=photos, variants=("eca",), ablation=mean).predictions[0]
    assert [score.probability for score in replaced.top] == pytest.approx(
        [score.probability for score in untouched.top], abs=1e-5
    )


def test_weights_may_be_any_file_of_the_user_and_never_any_file_of_a_service(
    lab: attention.Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ``attention-lab train --out FOLDER`` writes can be asked about where it lies."""
    state = attention.build(attention.Variant.parse("resnet20(width=4)/se")).state_dict()
    state["fc.bias"] += 1
    save_file(state, tmp_path / "trained.safetensors")
    variant = attention.Variant.parse(f"resnet20(width=4)/se?weights=file:{tmp_path}/trained.safetensors")
    model = attention.build(variant, lab.files.checkpoints)
    assert torch.equal(model.state_dict()["fc.bias"], state["fc.bias"])
    monkeypatch.chdir(tmp_path)  # as `attention-lab convert` leaves its file, and says what to ask for
    beside = attention.Variant.parse("resnet20(width=4)/se?weights=file:trained")
    assert torch.equal(attention.build(beside, lab.files.checkpoints).state_dict()["fc.bias"], state["fc.bias"])
    with pytest.raises(NotFound, match="no checkpoint 'trained'"):
        attention.build(beside, Files(tmp_path).checkpoints)
    with pytest.raises(BadCheckpoint, match="a path is not taken"):
        attention.build(variant, Files(tmp_path).checkpoints)


def test_mistakes_are_sentences(lab: attention.Lab, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(NotFound, match="There is no file 'kitten.jpg'"):
        lab.photos("kitten.jpg")
    with pytest.raises(BadImage):
        lab.photos(tmp_path / "text.jpg")
    for array, words in ((np.zeros((3, 8, 8), np.uint8), r"\(H, W, 3\)"), (np.full((8, 8), 7.0), "0 to 1")):
        with pytest.raises(BadImage, match=words):
            lab.photos(array)
    with pytest.raises(UnknownName, match="Did you mean 'cbam'"):
        attention.look(PHOTO, "resnet20/cbma", lab=lab)
    for wrong, words in (
        ({"top_k": 0}, "The field 'top_k' is not right: input should be"),
        ({"variant": "se"}, "There is no field 'variant' here. Did you mean 'variants'?"),
        ({"images": []}, "The field 'images' has 0 entries; it needs 1 or more."),
    ):
        with pytest.raises(InvalidRequest, match=re.escape(words)):
            lab.compare(**{"images": lab.photos(PHOTO)} | wrong)
    with pytest.raises(InvalidRequest, match="There is no field 'variants' here. Did you mean 'variant'"):
        lab.sweep(variants=["se"])  # and variant is missing, being misspelt
    with pytest.raises(AttributeError, match="no attribute 'swep'.*sweep"):
        lab.swep(variant="eca")
    with pytest.raises(InvalidRequest, match="no device 'tpu'"):
        attention.Lab(tmp_path, device="tpu")
