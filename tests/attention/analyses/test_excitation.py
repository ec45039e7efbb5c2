"""Excitation and stripe: the same numbers as from all gates at once, and known shares for gates made by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor

from attention.analyses import excitation as excitation_file
from attention.analyses import run
from attention.analysis import Outputs
from attention.build import build
from attention.data.files import samples
from attention.data.sampling import batches
from attention.errors import InvalidRequest, NotFound
from attention.gate import capture, sites
from attention.network import describe
from attention.reports.excitation import ExcitationReport, ExcitationRequest
from attention.reports.stripe import StripeRequest
from attention.spec import Ablation, Pictures, Plain, Variant
from tests.attention.direct_lab import DirectLab

SHADES = {"black": 20, "grey": 120, "white": 220}
PER_CLASS = 6
ALL = Pictures(data="shades", limit=100)
PHOTOS = tuple(sample.id for sample in samples()[:4])


class ByHand(DirectLab):
    """A lab whose networks have one gate of 64 channels, made by hand from each image's class."""

    def __init__(self, root: Path, gate: Callable[[int], Tensor]) -> None:
        super().__init__(root)
        self.gate = gate

    def forward(self, variant: Variant, images: Tensor, ablation: Ablation | None = None) -> Outputs:
        how = describe(variant).preprocess
        brightness = (images[:, 0].mean((1, 2)) * how.std[0] + how.mean[0]) * 255
        classes = (brightness[:, None] - torch.tensor(list(SHADES.values()))).abs().argmin(1)
        gates = torch.stack([self.gate(int(number)) for number in classes])[..., None, None]
        places = sites(build(variant))
        return Outputs(torch.zeros(len(images), 10), {places[0].path: gates}, places)


ONE_GATE = Variant.parse("resnet20/se@standard:3.3")
PROFILES = torch.rand(3, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for label, shade in SHADES.items():
        for index in range(PER_CLASS + (label == "grey")):
            noise = np.random.default_rng(shade + index).integers(-15, 16, (32, 32, 3))
            path = tmp_path / "datasets" / "shades" / "test" / label / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((shade + noise).astype(np.uint8)).save(path)
    return tmp_path


def excite(**asked: Any) -> ExcitationRequest:
    return ExcitationRequest(**asked)


def stripes(**asked: Any) -> StripeRequest:
    return StripeRequest(**asked)


def gates_of(variant: str, root: Path, path: str) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """One gate of all images in one pass, (n, C), and their classes."""
    ((some, images),) = batches(ALL, describe(Variant.parse(variant)).preprocess, DirectLab(root).files, 100)
    model = build(Variant.parse(variant))
    with torch.inference_mode(), capture(model) as seen:
        model(images)
    return seen[path].flatten(1).double().numpy(), np.array([one.label for one in some])


@pytest.mark.full
def test_every_curve_is_the_mean_and_spread_of_its_class(root: Path) -> None:
    report = run(excite(variant="eca", pictures=ALL, channels=20), DirectLab(root))
    assert [gate.path for gate in report.gates] == [f"layer{stage}.2.standard.0.gate" for stage in (1, 2, 3)]
    assert [(one.label, one.images) for one in report.classes] == [("black", 6), ("grey", 7), ("white", 6)]
    assert (report.images, report.total) == (19, 19)
    last = report.gates[-1]
    gates, labels = gates_of("eca", root, last.path)
    shown = list(last.shown)
    assert len(shown) == 20 and last.channels == 64 and (shown[0], shown[-1]) == (0, 63)
    means = np.stack([gates[labels == label].mean(0) for label in SHADES])
    for curve, label, mean in zip(last.curves, SHADES, means, strict=True):
        of_class = gates[labels == label][:, shown]
        assert curve.label == label and curve.images == len(of_class)
        np.testing.assert_allclose(curve.mean, mean[shown], atol=1e-6)
        np.testing.assert_allclose(curve.std, of_class.std(0, ddof=1), atol=1e-6)  # type: ignore[arg-type]
    np.testing.assert_allclose(last.mean, means.mean(0)[shown], atol=1e-6)
    assert last.between == pytest.approx(means.std(0).mean(), abs=1e-6)
    inside = np.concatenate([gates[labels == label] - mean for label, mean in zip(SHADES, means, strict=True)])
    assert last.within == pytest.approx(np.sqrt(np.square(inside).mean(0)).mean(), abs=1e-6)
    assert last.static_share == pytest.approx(gates.mean(0).var() / gates.var(), abs=1e-5)
    assert last.class_share == pytest.approx(1 - np.square(inside).mean() / gates.var(0).mean(), abs=1e-5)
    assert last.class_share_by_chance == 2 / 18


@pytest.mark.full
def test_the_batches_that_images_come_in_change_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = []
    for size in (1, 5, 100):
        monkeypatch.setattr(excitation_file, "BATCH", size)
        reports.append(run(excite(variant="se", pictures=ALL), DirectLab(root)))
    for report in reports[1:]:
        for gate, other in zip(reports[0].gates, report.gates, strict=True):
            np.testing.assert_allclose(gate.mean, other.mean, atol=1e-6)
            assert gate.static_share == pytest.approx(other.static_share, abs=1e-5)
            assert gate.class_share == pytest.approx(other.class_share, abs=1e-5)


def test_each_class_counts_once_in_the_curve_of_all(root: Path) -> None:
    """Grey has one image more; the mean of class means does not see it."""
    (gate,) = run(excite(variant=ONE_GATE, pictures=ALL), ByHand(root, lambda number: PROFILES[number])).gates
    np.testing.assert_allclose(gate.mean, PROFILES.double().mean(0)[list(gate.shown)], rtol=1e-6)


@pytest.mark.full
def test_what_is_known_so_far_is_a_report(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excitation_file, "BATCH", 8)
    told: list[tuple[int, int, Plain | None]] = []

    class Watching(DirectLab):
        def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
            told.append((done, total, partial))

    report = run(excite(variant="eca", pictures=ALL), Watching(root))
    assert [(done, total) for done, total, _ in told] == [(0, 19), (8, 19), (16, 19), (19, 19)]
    part = told[1][2]
    assert isinstance(part, ExcitationReport) and (part.images, part.total) == (8, 19)
    assert told[-1][2] == report


@pytest.mark.full
def test_channels_are_drawn_by_seed_or_evenly_spaced(root: Path) -> None:
    lab = ByHand(root, lambda number: PROFILES[number])

    def shown(seed: int | None) -> tuple[int, ...]:
        return run(excite(variant=ONE_GATE, pictures=ALL, channels=20, seed=seed), lab).gates[0].shown

    assert shown(1) == shown(1) != shown(2)
    assert shown(1) == tuple(sorted(set(shown(1)))) and len(shown(1)) == 20 and max(shown(1)) < 64
    assert shown(None) == tuple(np.linspace(0, 63, 20).round().astype(int).tolist())


@pytest.mark.full
def test_photos_are_classes_of_their_own(root: Path) -> None:
    report = run(excite(variant="eca", pictures=PHOTOS, gates=("layer3",)), DirectLab(root))
    assert [one.label for one in report.classes] == list(PHOTOS)
    assert [gate.block for gate in report.gates] == [1, 2, 3]
    assert all(curve.std is None for gate in report.gates for curve in gate.curves)
    assert all(gate.within is None and gate.class_share is None for gate in report.gates)
    assert any("class of its own" in one for one in report.caveats)


@pytest.mark.full
def test_few_images_and_untrained_weights_are_said(root: Path) -> None:
    report = run(excite(variant="resnet20/se", pictures=ALL), DirectLab(root))
    assert not report.network.trained and report.network.warning in report.caveats
    assert any("Fewer than 10 images of black, grey, white" in one for one in report.caveats)


# ---------------------------------------------------------------- stripe


def test_a_gate_that_ignores_the_image_is_all_stripes(root: Path) -> None:
    report = run(stripes(variants=(ONE_GATE,), pictures=ALL), ByHand(root, lambda number: PROFILES[0]))
    (gate,), (map,) = report.gates, report.maps
    assert gate.static_share == pytest.approx(1) and gate.class_share is None
    assert gate.effective_rank == pytest.approx(1) and gate.effective_rank_centred is None
    assert gate.order_between_images == pytest.approx(1)
    assert all(row == map.values[0] for row in map.values)


def test_a_gate_of_the_class_alone_has_a_class_share_of_one(root: Path) -> None:
    report = run(stripes(variants=(ONE_GATE,), pictures=ALL), ByHand(root, lambda number: PROFILES[number]))
    (gate,), (map,) = report.gates, report.maps
    assert gate.class_share == pytest.approx(1)
    labels = np.repeat(PROFILES.double().numpy(), [6, 7, 6], 0)
    assert gate.static_share == pytest.approx(labels.mean(0).var() / labels.var())
    assert map.labels == ("black",) * 6 + ("grey",) * 7 + ("white",) * 6  # sorted by class
    np.testing.assert_allclose(map.values, labels, atol=5.1e-5)
    assert map.centre == pytest.approx(labels.mean())
    assert map.span == pytest.approx(np.abs(labels - labels.mean()).max())


@pytest.mark.full
def test_every_number_of_the_table_is_that_of_the_whole_matrix(root: Path) -> None:
    report = run(stripes(variants=("eca",), pictures=ALL), DirectLab(root))
    assert len(report.gates) == 9 and all(gate.variant == report.networks[0].name for gate in report.gates)
    for row in report.gates:
        gates, _ = gates_of("eca", root, row.path)
        assert row.static_share == pytest.approx(gates.mean(0).var() / gates.var(), abs=1e-5)
        assert (row.mean, row.std) == pytest.approx((gates.mean(), gates.std()), abs=1e-6)
        assert (row.min, row.max) == pytest.approx((gates.min(), gates.max()), abs=1e-6)
        assert row.share_low == np.mean(gates < 0.1) and row.share_high == np.mean(gates > 0.9)
        singular = np.linalg.svd(gates, compute_uv=False)
        shares = singular / singular.sum()
        assert row.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-4)
        assert row.rank_limit == min(gates.shape)


@pytest.mark.full
def test_excitation_and_stripe_agree_on_shares(root: Path) -> None:
    curves = run(excite(variant="se", pictures=ALL), DirectLab(root)).gates
    table = {gate.path: gate for gate in run(stripes(variants=("se",), pictures=ALL), DirectLab(root)).gates}
    for gate in curves:
        assert gate.static_share == pytest.approx(table[gate.path].static_share, abs=1e-6)
        assert gate.class_share == pytest.approx(table[gate.path].class_share, abs=1e-6)


@pytest.mark.full
def test_orders_of_two_networks_are_compared_place_by_place(root: Path) -> None:
    names = ("se", "eca", "resnet20/simam@inner")
    report = run(stripes(variants=names, pictures=ALL), DirectLab(root))
    assert len(report.between) == 9 and len(report.maps) == 3
    pair = report.between[-1]
    ours, _ = gates_of("se", root, pair.first_gate)
    theirs, _ = gates_of("eca", root, pair.second_gate)
    assert (pair.stage, pair.block, pair.channels) == (3, 3, 64)
    assert pair.of_means == pytest.approx(spearmanr(ours.mean(0), theirs.mean(0)).statistic, abs=1e-3)
    rows = [spearmanr(one, other).statistic for one, other in zip(ours, theirs, strict=True)]
    assert pair.of_images == pytest.approx(np.mean(rows), abs=1e-3)
    assert any("simam" in one and "same place" in one for one in report.caveats)
    assert any("one seed share" in one for one in report.caveats)


@pytest.mark.full
def test_a_network_against_itself_has_the_same_order(root: Path) -> None:
    report = run(stripes(variants=("eca", "eca"), pictures=ALL), DirectLab(root))
    assert all(pair.of_means == pytest.approx(1) == pair.of_images for pair in report.between)


@pytest.mark.full
def test_maps_are_cut_to_the_size_asked_for(root: Path) -> None:
    asked = stripes(variants=("eca",), pictures=ALL, rows=5, columns=7, gate="layer2.1.standard.0.gate")
    (map,) = run(asked, DirectLab(root)).maps
    assert map.gate == asked.gate and np.shape(map.values) == (5, 7)
    assert (map.shown[0], map.shown[-1]) == (0, 31) and (map.labels[0], map.labels[-1]) == ("black", "white")
    gates, _ = gates_of("eca", root, map.gate)
    assert map.centre == pytest.approx(gates.mean(), abs=1e-6)


@pytest.mark.full
def test_gates_without_a_number_for_each_channel_are_named(root: Path) -> None:
    report = run(stripes(variants=("resnet20/cbam", "none"), pictures=PHOTOS), DirectLab(root))
    assert {gate.kind for gate in report.gates} == {"channel"}
    assert any("'spatial'" in one and "shared by all channels" in one for one in report.caveats)
    assert any("has no attention" in one for one in report.caveats)
    full = run(stripes(variants=("resnet20/simam",), pictures=PHOTOS), DirectLab(root)).gates[0]
    assert full.reduced == "The mean over places of each channel's weights."


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pictures": PHOTOS[:1]}, "at least two"),
        ({"variants": ("none",)}, "no attention, so it has no gates"),
        ({"variants": ("resnet20/danet",)}, "between pairs"),
        ({"gate": "layer9"}, "layer3.2.standard.0.gate"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_a_sentence(root: Path, changes: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        run(stripes(**{"pictures": PHOTOS, **changes}), DirectLab(root))


def test_excitation_refuses_with_a_sentence_too(root: Path) -> None:
    for variant, gates, reason in (("none", None, "no gates"), ("se", ("layer7",), "'layer7'")):
        with pytest.raises(InvalidRequest, match=reason):
            run(excite(variant=variant, pictures=ALL, gates=gates), DirectLab(root))
    with pytest.raises(NotFound, match="'blue'"):
        run(excite(pictures=Pictures(data="shades", classes=("blue",))), DirectLab(root))
