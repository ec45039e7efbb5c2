"""Permutation and coupling: what a module's gate depends on, against formulas and structure that are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attention.analyses import run
from attention.analyses.permutation import arrivals, carried
from attention.build import build
from attention.data.files import samples
from attention.data.preprocessing import preprocess
from attention.errors import InvalidRequest, NotFound, UnknownName
from attention.gate import capture
from attention.measuring.traits import module_alone, noise, randomise
from attention.modules import modules
from attention.network import describe
from attention.reports.coupling import CouplingReport, CouplingRequest
from attention.reports.permutation import PermutationRequest, PermutedModule
from attention.spec import Variant
from tests.attention.direct_lab import DirectLab

SHIPPED_ECA, SHIPPED_SE = "resnet20/eca?weights=shipped", "resnet20/se?weights=shipped"

PHOTO = samples()[0].id


@pytest.fixture
def lab(tmp_path: Path) -> DirectLab:
    return DirectLab(tmp_path)


def permute(**asked: Any) -> PermutationRequest:
    return PermutationRequest(**asked)


def look(**asked: Any) -> CouplingRequest:
    return CouplingRequest(**asked)


def probe(lab: DirectLab, *names: str) -> dict[str, PermutedModule]:
    return {row.module: row for row in run(permute(modules=names), lab).rows}


def test_eca_depends_on_the_order_of_channels_and_se_does_not_up_to_its_weights(lab: DirectLab) -> None:
    rows = probe(lab, "eca", "se", "se_var1", "simam", "gct")
    assert rows["eca"].order == "in its structure"
    assert rows["eca"].weights_follow == rows["eca"].weights_stay  # none of its weights belongs to a channel
    assert (rows["eca"].weights_stay or 0) > 0.1 * rows["eca"].spread
    for name in ("se", "gct"):
        assert rows[name].order == "carried by the weights"
        assert (rows[name].weights_follow or 0) < 1e-12 < (rows[name].weights_stay or 0)
    for name in ("se_var1", "simam"):
        assert rows[name].order == "blind to it" and rows[name].weights_stay == rows[name].weights_follow == 0


@pytest.mark.full
def test_of_all_modules_only_those_with_neighbours_or_groups_have_the_order_in_their_structure(lab: DirectLab) -> None:
    rows = probe(lab, *modules)
    found = {name for name, row in rows.items() if row.order == "in its structure"}
    # Filters across neighbours, groups of channels that share a cosine, a 7x7 over (C, H), a grouped convolution.
    assert found == {"eca", "eca_ns", "ceca", "fca", "triplet", "sk"}
    assert {name for name, row in rows.items() if row.order == "blind to it"} == {"identity", "se_var1", "simam"}


def test_the_change_is_that_of_the_filter_over_permuted_means(lab: DirectLab) -> None:
    row = probe(lab, "eca")["eca"]
    module = module_alone("eca", 64)
    randomise(module, 0)
    taps = next(module.parameters()).detach().double().numpy().ravel()
    means = noise(9, 64).double().mean((2, 3)).numpy()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0)).numpy()

    def gate(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-np.stack([np.convolve(one, taps[::-1], "same") for one in x])))

    back = np.empty_like(means)
    back[:, order] = gate(means[:, order])
    assert row.weights_stay == pytest.approx(np.abs(back - gate(means)).mean())
    assert row.spread == pytest.approx(gate(means).std())


def test_weights_that_follow_are_the_rows_and_columns_of_their_channels() -> None:
    module = module_alone("se", 32, {"reduction": 2})
    order = torch.randperm(32, generator=torch.Generator().manual_seed(1))
    (down, up), (new_down, new_up) = (list(one.parameters()) for one in (module, carried(module, order)))
    assert torch.equal(new_down, down[:, order]) and torch.equal(new_up, up[order])
    assert all(torch.equal(one, other) for one, other in zip(module.parameters(), (down, up), strict=True))


def test_the_same_seed_gives_the_same_answer_and_another_another(lab: DirectLab) -> None:
    def stay(seed: int) -> float | None:
        return run(permute(modules=("eca",), seed=seed), lab).rows[0].weights_stay

    assert stay(0) == stay(0) != stay(1)


@pytest.mark.full
def test_trained_modules_are_tried_where_they_sit(lab: DirectLab) -> None:
    report = run(permute(modules=(), variants=(SHIPPED_ECA, SHIPPED_SE), image=PHOTO), lab)
    eca, se = ([row for row in report.rows if row.module == name] for name in ("eca", "se"))
    assert len(eca) == len(se) == 9
    assert all(row.order == "in its structure" for row in eca)
    assert all((row.weights_follow or 0) < 1e-12 for row in se)
    assert [(row.stage, row.block) for row in eca] == [(s, b) for s in (1, 2, 3) for b in (1, 2, 3)]
    assert eca[0].path == "layer1.0.standard" and eca[0].variant == "resnet20/eca?classes=10&weights=shipped"


def test_maps_between_channels_and_between_places_are_told_apart(lab: DirectLab) -> None:
    """In the last stage of ResNet-20 a map has 64 channels and 64 places."""
    rows = run(permute(modules=(), variants=("resnet20/danet@standard:3",)), lab).rows
    assert all((row.weights_follow or 0) < 1e-12 and row.order == "carried by the weights" for row in rows)


def test_what_cannot_be_tried_is_a_sentence(lab: DirectLab) -> None:
    (row,) = run(permute(modules=("fca",), channels=100), lab).rows
    assert row.order is None and "does not take 100 channels" in row.sentence
    rows = run(permute(modules=(), variants=("resnet20/sk@spatial:1",)), lab).rows
    assert all(row.order is None and "two maps" in row.sentence for row in rows)
    with pytest.raises(UnknownName, match="Did you mean 'eca'"):
        run(permute(modules=("ecaa",)), lab)
    with pytest.raises(InvalidRequest, match="no attention"):
        run(permute(variants=("none",)), lab)
    with pytest.raises(InvalidRequest, match="at least one"):
        run(permute(modules=()), lab)


def test_looking_at_what_arrives_leaves_no_hook_and_changes_nothing() -> None:
    model, x = build(Variant.parse(SHIPPED_SE)), torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        before = model(x)
        for _, module, (arrived,) in arrivals(model, x):
            assert arrived.shape[1] == module.channels
        assert torch.equal(model(x), before)
    assert not any(module._forward_pre_hooks for module in model.modules())


# ---------------------------------------------------------------- coupling


def couple(lab: DirectLab, variant: str, gate: str | None = None) -> CouplingReport:
    return run(look(variant=variant, image=PHOTO, gate=gate), lab)


@pytest.mark.full
def test_a_trained_ecas_matrix_is_its_filter_scaled_by_the_sigmoids_slope(lab: DirectLab) -> None:
    report = couple(lab, SHIPPED_ECA, "layer2.1.standard.0.gate")
    taps = dict(build(Variant.parse(SHIPPED_ECA)).named_parameters())["layer2.1.standard.0.conv.weight"]
    band = np.zeros((32, 32))
    for c in range(32):
        for j, tap in enumerate(taps.detach().double().numpy().ravel(), start=c - 1):
            if 0 <= j < 32:
                band[c, j] = tap
    means = np.array(report.means)
    gate = 1 / (1 + np.exp(-band @ means))
    np.testing.assert_allclose(report.values, gate, atol=1e-6)
    np.testing.assert_allclose(report.matrix, (gate * (1 - gate))[:, None] * band, atol=1e-6)
    assert (report.reach, report.means_only, report.rank) == (1, True, np.linalg.matrix_rank(band))
    assert report.share == (3 * 32 - 2) / 32**2


def test_a_trained_ses_matrix_has_at_most_the_rank_of_its_bottleneck(lab: DirectLab) -> None:
    report = couple(lab, SHIPPED_SE)
    assert report.path == "layer3.2.standard.0.gate" and report.module == "se" and report.network.trained
    weights = dict(build(Variant.parse(SHIPPED_SE)).named_parameters())
    names = (f"layer3.2.standard.0.{name}.weight" for name in ("reduce", "expand"))
    down, up = (weights[name][..., 0, 0].detach().double().numpy() for name in names)  # (h, C), (C, h)
    z = down @ np.array(report.means)
    gate = 1 / (1 + np.exp(-up @ z.clip(0)))
    expected = np.diag(gate * (1 - gate)) @ up @ np.diag(z > 0) @ down
    np.testing.assert_allclose(report.matrix, expected, atol=1e-6)
    assert report.rank == np.linalg.matrix_rank(expected) and (report.rank or 0) <= len(down) == 4


@pytest.mark.full
def test_the_gate_is_the_one_that_the_whole_network_has(lab: DirectLab) -> None:
    for variant in (SHIPPED_ECA, "resnet20/cbam", "resnet20/srm"):
        report = couple(lab, variant)
        model = build(report.network.variant)
        x = preprocess(lab.files.image(PHOTO), describe(report.network.variant).preprocess)[None]
        with torch.inference_mode(), capture(model) as seen:
            model(x)
        np.testing.assert_allclose(report.values, seen[report.path].flatten(), atol=1e-5)


def test_a_derivative_is_what_a_small_shift_of_a_channel_does(lab: DirectLab) -> None:
    """CBAM sees maxima too: finite differences on the map that arrives, all pixels of a channel moving alike."""
    variant, gate = Variant.parse("resnet20/cbam"), "layer1.1.standard.0.channel_gate"
    report = couple(lab, "resnet20/cbam", gate)
    assert not report.means_only and "more of the map" in report.conditions
    model = build(variant)
    x = preprocess(lab.files.image(PHOTO), describe(variant).preprocess)[None]
    module, (arrived,) = next(
        (module, arrived) for slot, module, arrived in arrivals(model, x) if (slot.stage, slot.block) == (1, 2)
    )
    module, arrived = module.double(), arrived.double()

    def at(shift: float, channel: int) -> torch.Tensor:
        moved = arrived.clone()
        moved[:, channel] += shift
        with torch.no_grad(), capture(module) as seen:
            module(moved)
        return seen["channel_gate"].flatten()

    for channel in (0, 7):
        slope = (at(1e-5, channel) - at(-1e-5, channel)) / 2e-5
        np.testing.assert_allclose(np.array(report.matrix)[:, channel], slope, atol=1e-7)


def test_a_gate_that_does_not_look_has_no_slopes(lab: DirectLab) -> None:
    for variant in ("resnet20/static", "resnet20/simam"):  # SimAM's weights do not move when a whole channel does
        report = couple(lab, variant)
        assert (report.rank, report.reach, report.share, report.largest) == (0, 0, 0, 0)
        assert "Every entry is 0" in report.conditions


def test_a_large_matrix_is_shown_in_part_and_counted_whole(lab: DirectLab) -> None:
    report = run(look(variant=SHIPPED_ECA, image=PHOTO, shown=5), lab)
    assert report.channels == 64 and report.shown == (0, 16, 32, 47, 63)
    assert np.shape(report.matrix) == (5, 5) and len(report.values) == 5
    assert (report.rank or 0) > 5 and report.share == (3 * 64 - 2) / 64**2


def test_coupling_refuses_with_a_sentence(lab: DirectLab) -> None:
    for variant, gate, reason in (
        ("resnet20/none?weights=shipped", None, "no attention"),
        ("resnet20/danet", None, "between pairs"),
        (SHIPPED_ECA, "layer9", "'layer9'"),
        ("resnet20/sk@spatial", None, "sum of its branches"),
    ):
        with pytest.raises(InvalidRequest, match=reason):
            couple(lab, variant, gate)
    with pytest.raises(NotFound):
        run(look(image="0" * 64), lab)
