"""What if this gate were not there: a photo's classes, followed through every replacement."""

from pathlib import Path
from typing import Any

import pytest
import torch

from attention.analyses import run
from attention.build import build
from attention.data.files import samples
from attention.data.preprocessing import preprocess
from attention.errors import InvalidRequest
from attention.gate import ablate
from attention.network import describe
from attention.reports.sweep import WhatIfRequest
from attention.spec import Ablation, Variant
from tests.attention.analyses.test_sweep import NaiveLab

IDS = tuple(sample.id for sample in samples()[:2])


def ask(**changes: Any) -> WhatIfRequest:
    return WhatIfRequest(**{"variant": "resnet20/eca?weights=shipped", **changes})


@pytest.fixture
def lab(tmp_path: Path) -> NaiveLab:
    return NaiveLab(tmp_path)


@pytest.mark.full
def test_the_classes_of_a_photo_are_followed_through_every_replacement(lab: NaiveLab) -> None:
    report = run(ask(variant="resnet20/se?weights=shipped", images=IDS, kinds=("shuffle",), seed=4, top_k=3), lab)
    model = build(Variant.parse("resnet20/se?weights=shipped"))
    how = describe(Variant.parse("resnet20/se?weights=shipped")).preprocess
    assert [photo.image for photo in report.photos] == list(IDS)
    assert len(report.effects) == 2 * (9 + 3 + 1) and report.calibration is None
    members = {scope.id: scope.gates for scope in report.scopes}
    for photo in report.photos:
        x = preprocess(lab.files.image(photo.image), how)[None]
        with torch.inference_mode():
            before = model(x).softmax(1)[0]
        top = [score.index for score in photo.top]
        assert top == before.argsort(descending=True)[:3].tolist()
        assert all(score.label is not None for score in photo.top)
        for effect in (one for one in report.effects if one.image == photo.image):
            with torch.inference_mode(), ablate(model, Ablation(kind="shuffle", gates=members[effect.scope], seed=4)):
                after = model(x).softmax(1)[0]
            assert effect.probabilities == pytest.approx(after[top].tolist(), abs=1e-6)
            assert effect.change == pytest.approx(float(after[top[0]] - before[top[0]]), abs=1e-6)
            assert effect.first.index == int(after.argmax()) and effect.flips == (int(after.argmax()) != top[0])
            assert effect.kl == pytest.approx(float((before * (before / after).log()).sum()), rel=1e-3, abs=1e-6)


@pytest.mark.full
def test_a_photos_answer_does_not_depend_on_the_photos_beside_it(lab: NaiveLab) -> None:
    both = run(ask(images=IDS), lab)
    alone = run(ask(images=IDS[1:]), lab)
    assert any(f"{len(samples())} sample photos" in caveat for caveat in both.caveats)
    for one, other in zip(both.effects[13:], alone.effects, strict=True):
        assert (one.image, one.scope, one.first.index) == (other.image, other.scope, other.first.index)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_any_set_of_gates_can_be_switched_off_alone(lab: NaiveLab) -> None:
    request = ask(images=IDS[:1], kinds=("scalar",), scopes=(), sets=(("layer1.0", "layer3"), ("layer2.1",)))
    report = run(request, lab)
    assert [(effect.scope, effect.gates) for effect in report.effects] == [("set:1", 4), ("set:2", 1)]
    with pytest.raises(InvalidRequest, match="nothing to replace"):
        run(ask(images=IDS[:1], scopes=()), lab)


def test_a_network_without_gates_gets_a_sentence(lab: NaiveLab) -> None:
    with pytest.raises(InvalidRequest, match="has no attention"):
        run(ask(variant="resnet20/none?weights=shipped", images=IDS[:1]), lab)
