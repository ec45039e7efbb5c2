"""Disagreement: the images that a naive search finds, scores with their formulas' properties, and a list to read."""

import base64
import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from attention.analyses import run
from attention.build import resolve
from attention.data.files import samples
from attention.data.preprocessing import preprocess
from attention.data.sampling import pictures
from attention.errors import InvalidRequest
from attention.gate import ablate
from attention.measuring.agreement import divergence, kappa, rights
from attention.network import describe
from attention.reports.disagreement import DisagreementReport, DisagreementRequest
from attention.spec import Ablation, Pictures, Variant
from tests.attention.analyses.test_sweep import NaiveLab, write

NAMES = ("resnet20/none?weights=shipped", "resnet20/se?weights=shipped", "resnet20/eca?weights=shipped")
WITHOUT = " without attention"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> NaiveLab:
    root = tmp_path_factory.mktemp("data")
    write(root, "pets", ("cat", "dog", "frog"), 12)
    return NaiveLab(root)


def ask(**changes: Any) -> DisagreementRequest:
    return DisagreementRequest(**{"variants": NAMES, "images": {"data": "pets"}, **changes})


def jensen_shannon(predictions: list[np.ndarray[Any, Any]]) -> float:
    """By the other formula, the mean of KL(p || mixture), in base M."""
    mixture = sum(predictions) / len(predictions)
    return float(np.mean([(one * np.log(one / mixture)).sum() for one in predictions])) / math.log(len(predictions))


# ------------------------------------------------------------------ the formulas


def test_the_divergence_is_nothing_for_the_same_and_one_for_sure_contraries() -> None:
    same = np.tile(np.array([[0.7, 0.2, 0.1]]), (3, 4, 1))
    assert divergence(same) == pytest.approx([0.0] * 4, abs=1e-15)
    for count in (2, 3, 5):
        assert divergence(np.eye(count)[:, None]) == pytest.approx([1.0])
    with pytest.raises(ValueError, match="At least two"):
        divergence(same[:1])


def test_the_divergence_is_the_mean_divergence_from_the_mixture() -> None:
    shares = np.random.default_rng(0).dirichlet(np.ones(6), (4, 9))  # (M, B, K)
    assert divergence(shares) == pytest.approx([jensen_shannon(list(shares[:, image])) for image in range(9)])
    assert divergence(shares[[1, 0, 3, 2]]) == pytest.approx(divergence(shares))


def test_kappa_is_that_of_the_textbook_and_nothing_where_nothing_varies() -> None:
    """Two readers of 50 grants: 20 both yes, 15 both no, 5 and 10 apart: 0.7 seen, 0.5 by chance."""
    one = [1] * 25 + [0] * 25
    other = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert kappa(one, other) == pytest.approx(0.4)
    assert kappa(one, one) == 1.0 and kappa([1, 0, 1, 0], [0, 1, 0, 1]) == -1.0
    assert kappa([2, 2], [2, 2]) is None and kappa([2, 2], [1, 1]) == 0.0


def test_who_is_right_where_the_other_is_not_is_counted() -> None:
    found = rights([True, True, False, True, False, False], [True, False, True, False, False, False])
    assert [found[name] for name in ("both_right", "only_first", "only_second", "both_wrong")] == [1, 2, 1, 2]
    assert found["p"] == 1.0  # one against two is nothing


# ------------------------------------------------------------------ against a naive search


@pytest.mark.full
def test_the_list_is_what_a_naive_search_finds(lab: NaiveLab) -> None:
    report = run(ask(limit=500), lab)
    calibration = Pictures(data="pets", split="train")
    every = list(pictures(Pictures(data="pets"), lab.files))
    mean = Ablation(kind="mean", reference=calibration)
    shares: dict[str, np.ndarray[Any, Any]] = {}
    for name in NAMES:
        variant = resolve(Variant.parse(name))
        model, how = lab.kept(variant), describe(variant).preprocess
        images = torch.stack([preprocess(one.image, how) for one in every])
        with torch.inference_mode():
            shares[variant.name] = model(images).double().softmax(1).numpy()
            if variant.attention:
                with ablate(model, mean, lab.means(variant, calibration)):
                    shares[variant.name + WITHOUT] = model(images).double().softmax(1).numpy()
    assert [arm.id for arm in report.arms] == list(shares)
    whole = [name for name in shares if not name.endswith(WITHOUT)]
    removed = [name for name in whole if name + WITHOUT in shares]
    truth = {}
    for number, one in enumerate(every):
        firsts = {name: int(own[number].argmax()) for name, own in shares.items()}
        flips = tuple(name for name in removed if firsts[name] != firsts[name + WITHOUT])
        if flips or len({firsts[name] for name in whole}) > 1:
            between = jensen_shannon([shares[name][number] for name in whole])
            taken = max(jensen_shannon([shares[name][number], shares[name + WITHOUT][number]]) for name in removed)
            truth[one.name] = (max(between, taken), between, taken, flips, one.label)
    assert 0 < len(truth) < len(every) and report.differing == len(truth) == len(report.entries)
    for entry in report.entries:
        score, between, taken, flips, label = truth[entry.image]
        assert (entry.flips, entry.label) == (flips, label)
        assert (entry.score, entry.networks, entry.removal) == pytest.approx((score, between, taken), abs=1e-6)
    scores = [entry.score for entry in report.entries]
    assert scores == sorted(scores, reverse=True) and [one.rank for one in report.entries] == [
        *range(1, len(truth) + 1)
    ]
    classes = describe(Variant.parse("resnet20/none?weights=shipped")).labels
    right = {
        name: np.array([classes[int(own[number].argmax())] == one.label for number, one in enumerate(every)])
        for name, own in shares.items()
    }
    assert [arm.accuracy for arm in report.arms] == pytest.approx([100 * right[name].mean() for name in shares])
    for pair in report.pairs:
        same = shares[pair.first].argmax(1) == shares[pair.second].argmax(1)
        assert (pair.same, pair.n) == (int(same.sum()), 36) and pair.agreement == pytest.approx(same.mean())
        assert pair.only_first == int((right[pair.first] & ~right[pair.second]).sum())
        apart = [jensen_shannon([shares[pair.first][one], shares[pair.second][one]]) for one in range(36)]
        assert pair.divergence == pytest.approx(np.mean(apart), abs=1e-6)
    assert len(report.pairs) == 10
    for change in report.flips:
        before, after = shares[change.network].argmax(1), shares[change.network + WITHOUT].argmax(1)
        assert change.flipped == int((before != after).sum()) and change.share == pytest.approx(change.flipped / 36)
        assert change.to_wrong == int((right[change.network] & ~right[change.network + WITHOUT]).sum())


@pytest.mark.full
def test_answers_are_those_of_the_arms(lab: NaiveLab) -> None:
    report = run(ask(limit=3), lab)
    for entry in report.entries:
        assert [answer.arm for answer in entry.answers] == [arm.id for arm in report.arms]
        firsts = {answer.first.index for answer in entry.answers}
        assert len(firsts) > 1
        for answer in entry.answers:
            assert answer.right == (answer.first.label == entry.label)
            assert answer.true_probability is not None and answer.true_probability <= answer.first.probability


@pytest.mark.full
def test_a_short_list_has_the_first_of_the_long_one(lab: NaiveLab) -> None:
    long, short = run(ask(limit=500), lab), run(ask(limit=4), lab)
    assert short.entries == long.entries[:4] and short.differing == long.differing
    assert any(f"4 of {long.differing}" in caveat for caveat in short.caveats)


@pytest.mark.full
def test_the_list_can_be_of_networks_only_or_of_removal_only(lab: NaiveLab) -> None:
    networks, removal = run(ask(rank_by="networks", limit=500), lab), run(ask(rank_by="removal", limit=500), lab)
    assert all(entry.first_classes > 1 and entry.score == entry.networks for entry in networks.entries)
    assert all(entry.flips and entry.score == entry.removal for entry in removal.entries)
    both = {entry.image for entry in (*networks.entries, *removal.entries)}
    assert both == {entry.image for entry in run(ask(limit=500), lab).entries}
    alone = run(ask(variants=("resnet20/eca?weights=shipped",), limit=500), lab)
    assert alone.entries and all(entry.networks is None and entry.flips for entry in alone.entries)
    assert alone.headline.startswith("Replacing all gates ('mean')")
    plain = run(ask(removal=None), lab)
    assert len(plain.arms) == 3 and plain.flips == () and plain.calibration is None and plain.removal is None


# ------------------------------------------------------------------ what can be done with it


@pytest.mark.full
def test_thumbnails_are_small_jpegs_of_the_images_and_never_enlarged(lab: NaiveLab) -> None:
    report = run(ask(limit=2, thumbnail=16), lab)
    wide = run(ask(limit=2, thumbnail=256), lab)
    for entry, other in zip(report.entries, wide.entries, strict=True):
        assert entry.thumbnail is not None and other.thumbnail is not None
        small, whole = (Image.open(io.BytesIO(base64.b64decode(one))) for one in (entry.thumbnail, other.thumbnail))
        assert small.format == "JPEG" and small.size == (16, 16) and whole.size == (32, 32)
        (stored,) = lab.files.root.glob(f"datasets/pets/{entry.image}")
        apart = np.abs(np.asarray(Image.open(stored), float) - np.asarray(whole, float))
        assert apart.mean() < 8  # of 255: it is that image, but for JPEG's losses
    assert all(entry.thumbnail is None for entry in run(ask(limit=2, thumbnail=0), lab).entries)


@pytest.mark.full
def test_the_list_is_a_table_too(lab: NaiveLab) -> None:
    report = run(ask(limit=3), lab)
    rows = list(csv.DictReader(io.StringIO(report.csv())))
    assert [row["image"] for row in rows] == [entry.image for entry in report.entries]
    arm = report.arms[1].id
    assert rows[0][f"{arm}: class"] == report.entries[0].answers[1].first.label
    assert float(rows[0]["score"]) == report.entries[0].score and rows[0]["rank"] == "1"


@pytest.mark.full
def test_photos_are_ranked_without_labels(lab: NaiveLab) -> None:
    ids = [sample.id for sample in samples()[:6]]
    report = run(ask(images=ids), lab)
    assert report.n == 6 and not report.labelled and report.arms[0].accuracy is None and report.pairs[0].p is None
    assert {entry.image for entry in report.entries} <= set(ids)
    assert all(answer.right is None for entry in report.entries for answer in entry.answers)
    assert any("Photos have no true class" in caveat for caveat in report.caveats)
    assert any("sample photos" in caveat for caveat in report.caveats)


@pytest.mark.full
def test_what_is_known_so_far_can_be_read_on_the_way(tmp_path: Path) -> None:
    write(tmp_path, "many", ("cat", "dog"), 50)
    lab = NaiveLab(tmp_path)
    report = run(
        ask(
            images={"data": "many"},
            variants=("resnet20/none?weights=shipped", "resnet20/none?classes=10"),
            removal=None,
        ),
        lab,
    )
    assert lab.told == [(64, 100), (100, 100)]
    part = lab.partial[0]
    assert isinstance(part, DisagreementReport) and part.n == 64 and not part.complete and report.complete
    assert lab.partial[-1] == report


@pytest.mark.full
def test_gates_that_have_no_neutral_weight_cannot_be_taken_away_so(lab: NaiveLab) -> None:
    with pytest.raises(InvalidRequest, match="no neutral weight"):
        run(ask(variants=("resnet20(width=4)/sk@spatial?classes=10",), removal="neutral"), lab)
    report = run(ask(variants=("resnet20/se?weights=shipped",), removal="neutral"), lab)
    assert any("not attention's value" in caveat or "scale artefact" in caveat for caveat in report.caveats)


# ------------------------------------------------------------------ what cannot be answered


@pytest.mark.full
def test_networks_of_other_classes_cannot_disagree(lab: NaiveLab) -> None:
    with pytest.raises(InvalidRequest, match="tells 10 classes apart, and .* 7"):
        run(ask(variants=("resnet20/none?weights=shipped", "resnet20/none?classes=7")), lab)
    nameless = run(
        ask(variants=("resnet20/none?weights=shipped", "resnet20(width=4)/none?classes=10"), removal=None), lab
    )
    assert nameless.labelled and any("does not say what its classes are called" in one for one in nameless.caveats)
    assert any("Untrained" in one for one in nameless.caveats)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"variants": ("resnet20/se?weights=shipped", "resnet20/se?weights=shipped")}, "named twice"),
        ({"variants": ("resnet20/se?weights=shipped",), "removal": None}, "nothing to disagree with"),
        ({"variants": ("resnet20/se?weights=shipped",), "rank_by": "networks"}, "at least two networks"),
        ({"rank_by": "removal", "removal": None}, "needs a kind of removal"),
    ],
)
def test_a_question_without_two_sides_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        ask(**changes)


def test_a_removal_needs_gates(lab: NaiveLab) -> None:
    with pytest.raises(InvalidRequest, match="nothing to disagree with"):
        run(ask(variants=("resnet20/none?weights=shipped",)), lab)
    two = ("resnet20/none?weights=shipped", "resnet20/none")
    with pytest.raises(InvalidRequest, match="a network with gates"):
        run(ask(variants=two, rank_by="removal"), lab)
