"""Exemplars: the images at the ends of each channel are those of a sort of all weights, however they stream by."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from attention.analyses import exemplars as exemplars_file
from attention.analyses import run
from attention.data.files import samples
from attention.data.sampling import batches
from attention.errors import InvalidRequest
from attention.reports.exemplars import ExemplarsRequest
from attention.spec import Pictures, Variant
from tests.attention.direct_lab import DirectLab

PHOTOS = tuple(sample.id for sample in samples()[:7])
ECA = Variant.parse("resnet20/eca?weights=shipped")


@pytest.fixture
def lab(tmp_path: Path) -> DirectLab:
    return DirectLab(tmp_path)


def weights(variant: Variant, lab: DirectLab, path: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The gate (N, C) of all photos in one pass."""
    how = lab.describe(variant).preprocess
    ((_, images),) = batches(Pictures(images=PHOTOS), how, lab.files)
    return lab.forward(variant, images).gates[path].flatten(1).numpy()


@pytest.mark.full
def test_the_ends_are_those_of_a_sort_of_all_weights(lab: DirectLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exemplars_file, "BATCH", 3)  # so that ends are merged over three batches
    report = run(ExemplarsRequest(variant=ECA, pictures=Pictures(images=PHOTOS), gates=("layer3.2",), count=2), lab)
    (gate,) = report.gates
    truth = weights(ECA, lab, gate.path)
    assert truth.shape == (7, 64) and gate.channels == len(gate.ends) == 64 and report.seen == report.total == 7
    for ends in gate.ends:
        column = truth[:, ends.channel]
        order = column.argsort()
        assert [PHOTOS.index(exemplar.image) for exemplar in ends.closed] == order[:2].tolist()
        assert [PHOTOS.index(exemplar.image) for exemplar in ends.open] == order[::-1][:2].tolist()
        assert [e.weight for e in ends.open] == pytest.approx(column[order[::-1][:2]].tolist(), abs=1e-5)
    used = {exemplar.image for ends in gate.ends for exemplar in (*ends.open, *ends.closed)}
    assert {image.name for image in report.images} == used, "and no picture is sent that nothing names"
    photo = next(image for image in report.images if image.name in PHOTOS)
    with Image.open(io.BytesIO(base64.b64decode(photo.thumbnail or ""))) as small:
        assert max(small.size) == 64
    assert lab.told[0] == (0, 7) and lab.told[-1] == (7, 7), "it says how far it is"
    assert len(report.csv().splitlines()) == 1 + 64 * 2 * 2


@pytest.mark.full
def test_a_gate_that_is_the_same_for_every_image_is_said(lab: DirectLab) -> None:
    request = ExemplarsRequest(
        variant=Variant.parse("resnet20/static"), pictures=Pictures(images=PHOTOS[:3]), thumbnail=0
    )
    report = run(request, lab)
    assert any("same for every image" in caveat for caveat in report.caveats)
    assert all(image.thumbnail is None for image in report.images)


@pytest.mark.full
@pytest.mark.parametrize(("name", "count"), [("resnet20/none", 4), ("resnet20/danet", 4)])
def test_a_network_without_channel_weights_is_a_sentence(name: str, count: int, lab: DirectLab) -> None:
    with pytest.raises(InvalidRequest, match="Ask for a network with channel weights"):
        run(ExemplarsRequest(variant=Variant.parse(name), pictures=Pictures(images=PHOTOS[:2]), count=count), lab)


@pytest.mark.full
def test_fewer_images_than_asked_for_are_all_named(lab: DirectLab) -> None:
    request = ExemplarsRequest(variant=ECA, pictures=Pictures(images=PHOTOS[:2]), gates=("layer1.0",), count=4)
    ends = run(request, lab).gates[0].ends[0]
    assert {e.image for e in ends.open} == {e.image for e in ends.closed} == set(PHOTOS[:2])
    assert torch.tensor([e.weight for e in ends.open]).diff().le(0).all()


def test_a_question_about_no_gates_is_refused() -> None:
    with pytest.raises(ValidationError, match="gates"):
        ExemplarsRequest(variant=ECA, pictures=Pictures(images=PHOTOS[:2]), gates=())
