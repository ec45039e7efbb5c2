"""The checkpoints that come with the project: they load, say where they come from, and have learnt something."""

import csv
import json
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from attention import shipped_reports
from attention.build import build
from attention.data.files import Files, samples
from attention.data.folder import SHIPPED
from attention.data.images import decode
from attention.data.preprocessing import preprocess
from attention.errors import BadCheckpoint
from attention.measuring.decision import Rule
from attention.measuring.verdicts import judge_differences
from attention.network import describe
from attention.reports.parts.evidence import printed_end
from attention.reports.parts.predictions import PackedClasses
from attention.reports.study import StudyReport, StudyRequest
from attention.spec import Variant
from attention.weights import load as weights
from dashboard.drawing.verdicts import interval

NAMES = ("none", "se", "eca", "coord")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FLOWERS = ("none", "se", "se(reduction=4)", "eca", "cbam", "coord", "sk", "danet")
ROOT = Path(__file__).parents[3]


def cifar(name: str) -> Variant:
    return Variant.parse(f"resnet20/{name}?weights=shipped")


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_was_trained_on_what_and_how_well_it_does(name: str) -> None:
    card = describe(cifar(name)).card
    assert card is not None and card.labels == CIFAR10
    assert card.data == "CIFAR-10 (JPEG q75)", "accuracies on these copies must not pass for those on the originals"
    assert (card.train_images, card.test_images) == (50_000, 10_000)
    assert 0.75 < card.test_accuracy < 0.95 and card.seconds > 0
    assert card.command.startswith("python -m attention.") and card.variant.name in card.command
    assert card.preprocess.size == 32 and card.device and card.date and card.torch


@pytest.mark.parametrize("name", FLOWERS)
def test_a_modules_name_alone_is_its_network_of_flowers(name: str) -> None:
    variant = Variant.parse(name)
    at = "@tail" if name == "danet" else ""
    assert variant.name == f"resnet18(width=0.25)/{name}{at}?weights=shipped"
    card = describe(variant).card
    assert card is not None and card.labels == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert (card.train_images, card.validation_images, card.test_images) == (2640, 294, 736)
    assert card.test_accuracy > 0.75 and card.preprocess.size == 96 and card.seed == 0
    assert card.command.startswith("attention-lab study ") and variant.name.partition("?")[0] in card.command


@pytest.mark.full
def test_all_were_trained_alike() -> None:
    for variants in (map(cifar, NAMES), map(Variant.parse, FLOWERS)):
        cards = [describe(variant).card for variant in variants]
        assert len({(card.recipe, card.seed, card.preprocess, card.data) for card in cards if card}) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("photo", "label"), [("horses.jpg", "horse"), ("moose.jpg", "deer")])
def test_it_sees_in_a_real_photo_what_a_person_would(name: str, photo: str, label: str, tmp_path: Path) -> None:
    sees(cifar(name), photo, label, tmp_path)


@pytest.mark.parametrize("name", FLOWERS)
@pytest.mark.parametrize("photo", ["sunflowers_22183529245.jpg", "tulips_142235237.jpg", "daisy_2473825306.jpg"])
def test_it_names_the_flowers_of_the_gallery(name: str, photo: str, tmp_path: Path) -> None:
    sees(Variant.parse(name), photo, photo.partition("_")[0], tmp_path)


def sees(variant: Variant, photo: str, label: str, folder: Path) -> None:
    (sample,) = (sample for sample in samples() if sample.name == photo)
    card = describe(variant).card
    assert card is not None and sample.label == label
    image = preprocess(Files(folder).image(sample.id), describe(variant).preprocess)[None]
    with torch.inference_mode():
        share = build(variant)(image).softmax(1)[0]
    assert card.labels[int(share.argmax())] == label and share.max() > 0.5


@pytest.mark.full
@pytest.mark.parametrize("name", FLOWERS)
def test_in_half_precision_it_tells_photos_as_its_run_told_them(name: str) -> None:
    """Each run kept the class that it gave every test photo, in float32; some of the photos come along."""
    variant = Variant.parse(name)
    arm = variant.model_copy(update={"weights": None, "classes": 5}).name
    records = [json.loads(path.read_text()) for path in (ROOT / "examples/flowers_study/runs").glob("*.json")]
    (run,) = (record for record in records if record["arm"] == arm and record["seed"] == 0)
    told = PackedClasses.model_validate(run["predicted"]).numbers()
    assert len(told) == 736
    with zipfile.ZipFile(SHIPPED.path("datasets/flowers-sample.zip")) as photos:
        rows = list(
            csv.DictReader((ROOT / "attention/data/shipped/datasets/flowers-sample.csv").read_text().splitlines())
        )
        images = [preprocess(decode(photos.read(row["file"])), describe(variant).preprocess) for row in rows]
    with torch.inference_mode():
        answers = build(variant)(torch.stack(images)).argmax(1).tolist()
    assert len(rows) == 200
    assert sum(answer != told[int(row["position"])] for answer, row in zip(answers, rows, strict=True)) <= 1


def test_the_weights_that_come_along_take_little_room() -> None:
    assert sum(path.stat().st_size for path in weights.SHIPPED.glob("*.safetensors")) < 18e6
    for path in weights.SHIPPED.glob("resnet18*.safetensors"):
        with safe_open(path, framework="pt") as tensors:
            kinds = {key.rpartition(".")[2]: tensors.get_slice(key).get_dtype() for key in tensors.keys()}  # noqa: SIM118
        assert (kinds["running_mean"], kinds["running_var"], kinds["weight"]) == ("F32", "F32", "F16")


def study() -> StudyReport:
    """The study of CIFAR-10."""
    return next(report for stored, report in shipped_reports.of(StudyRequest) if stored.id == "shipped-study-cifar10")


def test_the_study_that_comes_along_has_ten_pairs_of_every_network() -> None:
    report = study()
    assert report.complete and [arm.variant.attention for arm in report.arms] == [None, "se", "eca", "coord"]
    assert report.data.name == "CIFAR-10 (JPEG q75)"
    for arm in report.arms:
        assert {run.seed for run in report.runs if run.arm == arm.name and run.test_accuracy} == set(range(10))


@pytest.mark.full
def test_its_verdicts_are_what_its_runs_say() -> None:
    report = study()
    assert report.plan is None and any("No plan was recorded" in caveat for caveat in report.caveats)
    differences = {arm.name: arm.differences for arm in report.arms if arm.name != report.baseline}
    for looks in (3, 1):
        rule = Rule(arms=3, first_look=10, looks=looks, margin=report.margin, image_points=0.01)
        for name, verdict in judge_differences(rule, differences).items():
            if looks == 3:
                assert next(arm.verdict for arm in report.arms if arm.name == name) == verdict
            else:
                assert f"Taken as a plan of one look: {verdict.sentence}" in report.caveats


@pytest.mark.parametrize(
    ("arm", "growing", "fixed"),
    [
        ("se", ("undecided", -0.6117, 0.6137, 57), ("undecided", -0.4953, 0.4973, 46)),
        ("eca", ("undecided", -0.3346, 1.0226, 68), ("undecided", -0.2056, 0.8936, 56)),
        ("coord", ("undecided", -1.0905, 0.0005, 46), ("worse", -0.9868, -0.1032, 37)),
    ],
)
def test_its_verdicts_are_those_worked_out_apart(
    arm: str, growing: tuple[str, float, float, int], fixed: tuple[str, float, float, int]
) -> None:
    """The numbers were computed for the rule's specification, from the same runs by other code."""
    report = study()
    (differences,) = (one.differences for one in report.arms if one.variant.attention == arm)
    for looks, (kind, low, high, needed) in ((3, growing), (1, fixed)):
        rule = Rule(arms=3, first_look=10, looks=looks, margin=0.3, image_points=0.01)
        (verdict,) = judge_differences(rule, {arm: differences}).values()
        assert verdict.kind == kind and verdict.seeds_needed == needed and verdict.difference
        assert (verdict.difference.low, verdict.difference.high) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_of_every_network_of_the_study_comes_along(name: str) -> None:
    variant = cifar(name)
    card, report = describe(variant).card, study()
    first = next(run for run in report.runs if run.seed == 0 and f"/{name}?" in run.arm)
    assert card is not None and card.test_accuracy == first.test_accuracy and first.weights == "shipped"
    assert card.recipe == report.recipe and card.seed == 0
    assert card.command.startswith("python -m attention.run_study ")
    assert sum(value.numel() for value in build(variant).parameters()) == next(
        arm.parameters for arm in report.arms if arm.name == first.arm
    )


def test_a_network_that_no_longer_comes_along_names_the_one_that_does() -> None:
    """Links to the half-width networks of version 0.1 are still about."""
    with pytest.raises(BadCheckpoint, match=r"same attention, .*, comes along: resnet20/se\?weights=shipped\."):
        weights.check(Variant.parse("resnet20(width=8)/se?weights=shipped"))


@pytest.mark.parametrize("name", ["shipped-study-eca-se", "shipped-study-cifar10"])
def test_the_readme_tells_the_studies_as_they_are(name: str) -> None:
    text = (Path(__file__).parents[3] / "README.md").read_text("utf-8")
    for arm in next(report for stored, report in shipped_reports.of(StudyRequest) if stored.id == name).arms:
        assert arm.accuracy and arm.spread is not None
        assert f"{arm.accuracy.estimate:.2f} % ({arm.spread:.2f})" in text
        if arm.verdict and arm.verdict.difference:
            found, p = arm.verdict.difference, arm.verdict.p_adjusted
            high = f"{found.high:+.4f}" if abs(found.high) < 0.005 else f"{found.high:+.2f}"  # +0.00 would say zero
            told = f"{found.estimate:+.2f} points [{found.low:+.2f}, {high}] | {p:.3f}"
            assert f"| {told.replace('-', '−')} | {arm.extra_parameters} | not decided |" in text
            least, most = arm.verdict.seeds_needed_range or (None, None)
            assert arm.verdict.kind == "undecided" and not found.low > 0 and not found.high < 0
            assert f"{arm.verdict.seeds_needed} seeds in all ({least} to {most})" in text


def test_the_study_of_eleven_modules_is_told_as_it_is() -> None:
    folder = Path(__file__).parents[3] / "examples" / "flowers_study"
    text = (folder / "README.md").read_text("utf-8")
    report = next(report for stored, report in shipped_reports.of(StudyRequest) if stored.id == "shipped-study")
    assert report.complete and report.plan is not None and len(report.arms) == 12
    for arm in report.arms:
        assert arm.n == 8 and arm.accuracy and f"{arm.accuracy.estimate:.2f} % ({arm.spread:.2f})" in text
        if arm.verdict and (found := arm.verdict.difference):
            assert arm.verdict.kind == "undecided"
            told = f"{round(found.estimate, 9) + 0:+.2f} [{found.low:+.2f}, {found.high:+.2f}]".replace("-", "−")
            least, most = arm.verdict.seeds_needed_range or (None, None)
            needed = f"{arm.verdict.seeds_needed} ({least} to {most})" if arm.verdict.seeds_needed else "more photos"
            assert f"| {told} | {arm.verdict.p_adjusted:.3f} | {arm.extra_parameters} | {needed} |" in text
    kept = {
        (run["arm"], run["seed"]): run
        for path in (folder / "runs").glob("*.json")
        if (run := json.loads(path.read_text()))
    }
    assert len(kept) == 112 and all(run["done"] for run in kept.values())
    for run in report.runs:
        assert kept[run.arm, run.seed]["test_accuracy"] == run.test_accuracy


def test_an_end_of_an_interval_is_never_printed_as_the_zero_that_it_is_not() -> None:
    """The Overview said +0.00 of CA's upper end beside "not decided", where the verdict's sentence said +0.0005."""
    (arm,) = (arm for arm in study().arms if arm.variant.attention == "coord")
    assert arm.verdict and arm.verdict.difference
    assert arm.verdict.difference.ends(arm.verdict.margin) == ("-1.09", "+0.0005")
    assert "+0.0005" in study().latex() and interval(arm.verdict.difference) == "−1.09 … +0.0005"
    assert (printed_end(0.3004, 0.3), printed_end(-0.2996, 0.3), printed_end(0.31, 0.3)) == (
        "+0.3004",
        "-0.2996",
        "+0.31",
    )
