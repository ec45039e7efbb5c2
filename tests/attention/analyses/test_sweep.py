"""Sweeps: the same numbers as the naive loop, statistics as worked out by hand, and what cannot be told is said."""

import csv
import io
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from attention.analyses import run
from attention.build import resolve, skeleton
from attention.data.files import samples
from attention.data.sampling import batches
from attention.errors import InvalidRequest
from attention.gate import ablate, capture, gates
from attention.interventions import plan as planning
from attention.interventions.effects import Outcomes, Tally, effects, redundancy
from attention.interventions.plan import Plan
from attention.interventions.scopes import labelled_sites, scopes
from attention.network import describe
from attention.reports.sweep import Effect, Measure, Scope, SweepReport, SweepRequest
from attention.spec import Ablation, AblationKind, Pictures, Plain, Variant
from tests.attention.direct_lab import DirectLab

SHIPPED_NONE = "resnet20/none?weights=shipped"
SHIPPED_ECA = "resnet20/eca?weights=shipped"


class NaiveLab(DirectLab):
    """A whole pass for each ablation, and reference means taken by hand; it keeps its networks to be quick."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.kept = cache(self.network)
        self.means = cache(self._means)
        self.partial: list[Plain | None] = []
        self.passes = 0

    def _means(self, variant: Variant, asked: Pictures) -> dict[str, Tensor]:
        model = self.kept(variant)
        (whole,) = (inputs for _, inputs in batches(asked, self.describe(variant).preprocess, self.files, 1000))
        with torch.inference_mode(), capture(model) as seen:
            model(whole)
        return {path: gate.mean(0, keepdim=True) for path, gate in seen.items()}

    def forward_each(self, variant: Variant, images: Tensor, ablations: Sequence[Ablation]) -> Tensor:
        model, found = self.kept(variant), []
        self.passes += 1
        for ablation in (None, *ablations):
            put = self.means(variant, ablation.reference) if ablation and ablation.reference else None
            with torch.inference_mode(), ablate(model, ablation, put):
                found.append(model(images))
        return torch.stack(found)

    def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
        super().progress(done, total, note)
        self.partial.append(partial)


def write(root: Path, name: str, classes: Sequence[str], count: int, splits: Sequence[str] = ("train", "test")) -> None:
    for split in splits:
        for number, label in enumerate(classes):
            for index in range(count):
                rng = np.random.default_rng(1000 * number + index + (500 if split == "test" else 0))
                coarse = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
                path = root / "datasets" / name / split / label / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(coarse).resize((32, 32), Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def lab(tmp_path: Path) -> NaiveLab:
    write(tmp_path, "pets", ("cat", "dog"), 4)
    write(tmp_path, "flowers", ("rose", "tulip"), 3)
    write(tmp_path, "tested", ("cat", "dog"), 3, splits=("test",))
    return NaiveLab(tmp_path)


def ask(**changes: Any) -> SweepRequest:
    usual = {
        "variant": SHIPPED_ECA,
        "images": {"data": "pets"},
        "kinds": ("mean",),
        "scopes": ("gate", "stage", "all"),
    }
    return SweepRequest(**{**usual, **changes})


def by_place(report: SweepReport, anew: bool = False) -> dict[tuple[str, str], Effect]:
    return {(one.scope, one.kind): one for one in report.effects if one.reestimated == anew}


# ------------------------------------------------------------------ against the naive loop


@pytest.mark.full
def test_every_effect_is_what_a_pass_of_its_own_gives(lab: NaiveLab) -> None:
    kinds: tuple[AblationKind, ...] = ("mean", "shuffle", "neutral")
    report = run(ask(kinds=kinds, scopes=("gate", "stage", "all", "first_to_last", "last_to_first")), lab)
    variant = resolve(Variant.parse(SHIPPED_ECA))
    model, classes = lab.kept(variant), describe(variant).labels
    ((pictures, images),) = batches(Pictures(data="pets"), describe(variant).preprocess, lab.files)
    truth = torch.tensor([classes.index(picture.label or "") for picture in pictures])
    means = lab.means(variant, Pictures(data="pets", split="train"))
    paths = list(gates(model))
    sets = {f"gate:{path}": [path] for path in paths}
    sets |= {f"stage:{stage}": [path for path in paths if path.startswith(f"layer{stage}")] for stage in (1, 2, 3)}
    sets |= {"all": paths}
    sets |= {f"first_to_last:{count}": paths[:count] for count in range(1, 10)}
    sets |= {f"last_to_first:{count}": paths[-count:] for count in range(1, 10)}
    found = by_place(report)
    assert list(found) == [(scope, kind) for scope in sets for kind in kinds]
    with torch.inference_mode():
        before = model(images).double()
    assert report.accuracy == pytest.approx(100 * float((before.argmax(1) == truth).double().mean()))
    for scope, members in sets.items():
        for kind in kinds:
            reference = Pictures(data="pets", split="train") if kind == "mean" else None
            ablation = Ablation(kind=kind, gates=tuple(members), reference=reference)
            with torch.inference_mode(), ablate(model, ablation, means):
                after = model(images).double()
            effect, rows = found[scope, kind], torch.arange(len(truth))
            assert effect.gates == len(members) and effect.n == 8
            assert effect.accuracy == pytest.approx(100 * float((after.argmax(1) == truth).double().mean()))
            assert effect.agreement == pytest.approx(float((after.argmax(1) == before.argmax(1)).double().mean()))
            kl = nn.functional.kl_div(after.log_softmax(1), before.softmax(1), reduction="batchmean")
            assert effect.kl == pytest.approx(float(kl), rel=1e-4, abs=1e-6)
            change = (after.softmax(1) - before.softmax(1))[rows, truth].mean()
            assert effect.true_change == pytest.approx(float(change), abs=1e-6)


def test_no_replacement_is_done_twice_although_scopes_share_their_gates(lab: NaiveLab) -> None:
    everything = ask(scopes=("gate", "stage", "all", "first_to_last", "last_to_first"))
    what = planning.plan(everything, everything.scopes, everything.images, lab, calibrate=False)
    # 9 gates, 3 stages and all; of 9 + 9 in sequence both ends are there already, as are stage 1 and stage 3.
    assert len(what.ablations) == 9 + 3 + 1 + 6 + 6
    starts = [[site.path for site in what.sites].index((one.gates or ("",))[0]) for one in what.ablations]
    assert starts == sorted(starts)


@pytest.mark.full
def test_how_images_and_replacements_are_put_together_changes_nothing(
    lab: NaiveLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OneByOne(NaiveLab):
        def forward_each(self, variant: Variant, images: Tensor, ablations: Sequence[Ablation]) -> Tensor:
            alone = [super(OneByOne, self).forward_each(variant, images[[n]], ablations) for n in range(len(images))]
            return torch.cat(alone, 1)

    request = ask(kinds=("mean", "shuffle"), scopes=("gate", "all"))
    together = run(request, lab)
    assert lab.passes == 1
    monkeypatch.setattr(planning, "ROWS_PIXELS", 5 * 32 * 32)
    singly = OneByOne(lab.files.root)
    apart = run(request, singly)
    assert singly.passes == 8 * math.ceil(2 * 10 / 4)
    for one, other in zip(together.effects, apart.effects, strict=True):
        assert (one.scope, one.kind, one.agreement) == (other.scope, other.kind, other.agreement)
        assert one.kl == pytest.approx(other.kl, rel=1e-4, abs=1e-6)
        assert one.true_change == pytest.approx(other.true_change, abs=1e-6)


@pytest.mark.full
def test_a_sweep_says_how_far_it_is_and_what_it_knows_already(lab: NaiveLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attention.analyses.sweep.batches", lambda asked, how, files: batches(asked, how, files, 3))
    report = run(ask(scopes=("all",)), lab)
    assert lab.told == [(0, 8), (3, 8), (6, 8), (8, 8)]
    first, second = lab.partial[1:3]
    assert isinstance(first, SweepReport) and isinstance(second, SweepReport)
    assert (first.n, second.n, first.complete, second.complete) == (3, 6, False, False)
    assert report.n == 8 and report.complete and first.effects[0].kl_low is None
    assert lab.partial[3] == report


# ------------------------------------------------------------------ statistics, by hand


def logits(*shares: Sequence[float]) -> Tensor:
    return torch.tensor(shares, dtype=torch.float64).log()


SCOPE = Scope(id="all", family="all", label="all", stage=None, order=0, gates=("x",))
BEFORE = logits((0.9, 0.1), (0.6, 0.4), (0.3, 0.7), (0.2, 0.8))
AFTER = logits((0.8, 0.2), (0.4, 0.6), (0.4, 0.6), (0.75, 0.25))


def tallied(labelled: Sequence[str | None]) -> Effect:
    tally = Tally(("a", "b"), 2)
    for part in (slice(0, 1), slice(1, 4)):  # in two batches
        tally.begin(labelled[part])
        tally.put(slice(1, 2), torch.stack([BEFORE[part], AFTER[part]]))
    (effect,) = effects(tally.found(), [(SCOPE, "mean", False, 1)], sure=True)
    return effect


def test_an_effect_is_what_four_images_give_on_paper() -> None:
    effect = tallied(["a", "a", "b", "a"])  # right before: yes yes yes no; after: yes no yes yes
    assert (effect.accuracy, effect.lost, effect.gained, effect.p, effect.p_holm) == (75, 1, 1, 1, 1)
    assert effect.agreement == 0.5
    pairs = [((0.9, 0.1), (0.8, 0.2)), ((0.6, 0.4), (0.4, 0.6)), ((0.3, 0.7), (0.4, 0.6)), ((0.2, 0.8), (0.75, 0.25))]
    kl = sum(p * math.log(p / q) for before, after in pairs for p, q in zip(before, after, strict=True)) / 4
    assert effect.kl == pytest.approx(kl, rel=1e-5)
    assert effect.true_change == pytest.approx((-0.1 - 0.2 - 0.1 + 0.55) / 4, abs=1e-6)
    change = effect.accuracy_change
    half = 1.959964 * math.sqrt((2 / 6 + 2 / 6) / 6)
    assert change is not None and (change.estimate, change.n) == (0, 4)
    assert (change.low, change.high) == pytest.approx((-100 * half, 100 * half), rel=1e-5)
    assert effect.kl_low is None and effect.true_low is None  # four images are too few for a bootstrap


@pytest.mark.parametrize("labelled", [[None] * 4, ["a", "a", "c", "a"]])
def test_without_labels_only_what_needs_none_is_told(labelled: list[str | None]) -> None:
    effect = tallied(labelled)
    told = (effect.accuracy, effect.accuracy_change, effect.lost, effect.gained, effect.p, effect.p_holm)
    assert told == (None,) * 6 and effect.true_change is None
    assert effect.agreement == 0.5 and effect.kl > 0


def test_effects_are_corrected_for_how_many_there_are() -> None:
    right = np.array([[True] * 40, [False] * 8 + [True] * 32, [True] * 40])
    found = Outcomes(right.astype(np.int32), np.zeros((3, 40), np.float32), np.zeros((3, 40), np.float32), right)
    some, none = effects(found, [(SCOPE, "mean", False, 1), (SCOPE, "scalar", False, 2)], sure=False)
    assert some.p == pytest.approx(2 * 0.5**8) and some.p_holm == pytest.approx(4 * 0.5**8)
    assert (none.p, none.p_holm) == (1, 1) and some.accuracy == 80


def test_redundancy_is_the_joint_effect_beyond_the_sum_of_single_ones() -> None:
    """Two gates. In 'mean' each stands in for the other; in 'scalar' they are needed by the same images."""
    one, other = (Scope(id=f"gate:{p}", family="gate", label=p, stage=1, order=0, gates=(p,)) for p in "xy")
    both = Scope(id="stage:1", family="stage", label="stage 1", stage=1, order=0, gates=("x", "y"))
    kinds: tuple[AblationKind, ...] = ("mean", "scalar")
    cells = {(scope.id, kind): 3 * k + s for k, kind in enumerate(kinds) for s, scope in enumerate((one, other, both))}
    what = Plan(describe(Variant()), (), (one, other, both), kinds, (), cells, None, ())
    first_half = np.arange(40) < 20
    wrong = np.stack([np.zeros(40, bool)] * 3 + [first_half] + [first_half] * 3)  # rows: untouched, then the cells
    kl, true = 0.5 * wrong.astype(np.float32), (~wrong).astype(np.float32)
    found = Outcomes(np.zeros((7, 40), np.int32), kl, true, ~wrong)
    table = {(row.kind, row.measure): row for row in redundancy(what, found, sure=True)}
    assert {(row.scope, row.gates, row.stage) for row in table.values()} == {("stage:1", 2, 1)}
    harms: dict[Measure, float] = {"accuracy": -50, "true_probability": -0.5, "kl": 0.25}
    for measure, harm in harms.items():
        mean, scalar = table["mean", measure], table["scalar", measure]
        assert (mean.joint, mean.sum, mean.excess, mean.reading) == (harm, 0, harm, "redundant")
        assert (scalar.joint, scalar.sum, scalar.excess, scalar.reading) == (harm, 2 * harm, -harm, "overlapping")
        assert mean.low is not None and mean.high is not None and mean.low < mean.excess < mean.high
    assert {row.reading for row in redundancy(what, found, sure=False)} == {"undecided"}


# ------------------------------------------------------------------ what cannot be told is said


@pytest.mark.full
def test_an_artefact_of_scale_is_called_one(lab: NaiveLab) -> None:
    quiet = run(ask(kinds=("scalar",), scopes=("all",)), lab)
    assert not any("artefact" in caveat for caveat in quiet.caveats)
    loud = run(ask(kinds=("neutral", "constant"), scopes=("all",)), lab)
    for kind in ("neutral", "constant"):
        assert any(f"'{kind}'" in one and "not attention's value" in one for one in loud.caveats)
    assert SweepRequest.model_fields["kinds"].default == ("mean", "scalar", "other_image", "shuffle")


@pytest.mark.full
def test_normalisations_estimated_anew_are_rows_of_their_own(lab: NaiveLab) -> None:
    report = run(ask(kinds=("scalar", "neutral"), scopes=("all", "stage"), reestimate=True), lab)
    before, anew = by_place(report), by_place(report, anew=True)
    assert {kind for _, kind in before} == {"scalar", "neutral"} and {kind for _, kind in anew} == {"neutral"}
    assert {scope for scope, _ in anew} == {"stage:1", "stage:2", "stage:3", "all"}
    assert anew["all", "neutral"].kl < before["all", "neutral"].kl
    assert report.calibration == "8 images of pets (train split), drawn by seed 0"
    again = run(ask(kinds=("scalar", "neutral"), scopes=("all", "stage")), NaiveLab(lab.files.root))
    assert [one.kl for one in before.values()] == pytest.approx([one.kl for one in again.effects], rel=1e-5)


@pytest.mark.full
def test_a_gate_without_a_neutral_weight_is_left_out_with_a_sentence(lab: NaiveLab) -> None:
    sk = {"variant": "resnext50(width=0.125)/sk@published:4", "images": {"data": "pets", "limit": 2}}
    report = run(ask(**sk, kinds=("scalar", "neutral"), scopes=("gate", "all")), lab)
    assert {effect.kind for effect in report.effects} == {"scalar"}
    assert any("no neutral weight: 4.1 branch" in caveat for caveat in report.caveats)
    assert any(caveat.startswith("Untrained") for caveat in report.caveats)
    with pytest.raises(InvalidRequest, match="No gate of .* has a neutral weight"):
        run(ask(**sk, kinds=("neutral",)), lab)


@pytest.mark.full
def test_photos_have_no_classes_and_get_what_needs_none(lab: NaiveLab) -> None:
    report = run(ask(images=[sample.id for sample in samples()[:2]], scopes=("all",)), lab)
    assert (report.labelled, report.accuracy, report.true_probability) == (False, None, None)
    assert any(caveat.startswith("Photos have no true class") for caveat in report.caveats)
    assert any(f"{len(samples())} sample photos" in caveat for caveat in report.caveats)
    assert report.calibration == f"{len(samples())} photos"
    assert "keeps the first class of" in report.headline and "top-1" not in report.headline
    assert report.redundancy == ()


@pytest.mark.full
def test_classes_that_are_not_the_networks_are_named(lab: NaiveLab) -> None:
    report = run(ask(images={"data": "flowers"}), lab)
    assert not report.labelled and report.effects[0].accuracy_change is None
    assert any("does not know (rose, tulip)" in caveat for caveat in report.caveats)
    assert {row.measure for row in report.redundancy} == {"kl"}
    unknown = run(ask(variant="resnet20(width=4)/eca?classes=2", scopes=("all",)), lab)
    assert any("does not say what its classes are called" in caveat for caveat in unknown.caveats)


def test_a_network_without_gates_gets_a_sentence(lab: NaiveLab) -> None:
    with pytest.raises(InvalidRequest, match=r"resnet20/none.* has no attention.* such as 'eca'"):
        run(ask(variant=SHIPPED_NONE), lab)
    with pytest.raises(InvalidRequest, match="There is no gate at 'layer9'"):
        run(ask(sets=(("layer9",),)), lab)


def test_a_data_set_without_a_training_split_says_whose_gates_are_put_in(lab: NaiveLab) -> None:
    report = run(ask(images={"data": "tested"}, scopes=("all",)), lab)
    assert report.calibration is not None and "test split" in report.calibration
    assert any("those of the images tried" in caveat for caveat in report.caveats)


@pytest.mark.full
def test_a_set_of_ones_own_is_one_more_scope(lab: NaiveLab) -> None:
    report = run(ask(sets=(("layer1", "layer3.2"), ("layer2",)), kinds=("scalar",)), lab)
    own = {scope.id: scope for scope in report.scopes if scope.family == "set"}
    assert own["set:1"].label == "layer1, layer3.2" and len(own["set:1"].gates) == 4
    found = by_place(report)
    assert found["set:2", "scalar"].kl == found["stage:2", "scalar"].kl  # the same replacement, done once


@pytest.mark.full
def test_the_table_has_every_effect(lab: NaiveLab) -> None:
    report = run(ask(kinds=("scalar", "shuffle")), lab)
    rows = list(csv.DictReader(io.StringIO(report.csv())))
    assert [(row["scope"], row["kind"]) for row in rows] == [(one.scope, one.kind) for one in report.effects]
    assert [float(row["kl"]) for row in rows] == [one.kl for one in report.effects]
    assert {"accuracy_change", "accuracy_change_low", "accuracy_change_high"} < set(rows[0])


def test_short_names_of_gates_tell_them_apart() -> None:
    model = skeleton(Variant.parse("resnet20(width=4)/cbam"))
    sites = labelled_sites(model)
    assert [site.label for site in sites[:3]] == ["1.1", "1.1 spatial", "1.2"]
    assert len({site.label for site in sites}) == len(sites)
    ids = [scope.id for scope in scopes(model, sites, ("all", "stage"))]
    assert ids == ["stage:1", "stage:2", "stage:3", "all"]
