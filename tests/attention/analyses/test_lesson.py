"""What the Learn page teaches from: truth from formulas restated here, from published counts, and from structure."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from attention.analyses import run
from attention.analyses.interaction import channel_gate
from attention.counting.cost import count
from attention.counting.published import GROUPS
from attention.errors import InvalidRequest, UnknownName
from attention.measuring.traits import module_alone, traits
from attention.modules import modules
from attention.reports.modules import FitRequest, InteractionRequest, KernelRequest, PlacesRequest, PublishedRequest
from attention.spec import Placement, Variant
from tests.attention.direct_lab import DirectLab


@pytest.fixture
def lab(tmp_path: Path) -> DirectLab:
    return DirectLab(tmp_path)


# ---------------------------------------------------------------- kernel


@pytest.mark.full
def test_the_staircase_is_the_papers_formula_for_every_width(lab: DirectLab) -> None:
    report = run(KernelRequest(gamma=1.5, b=2), lab)
    assert report.steps[0].first == 1 and report.steps[-1].last == 4096
    assert all(one.last + 1 == two.first for one, two in zip(report.steps, report.steps[1:], strict=False))
    for step in report.steps:
        for channels in (step.first, step.last):
            t = int(abs((math.log2(channels) + 2) / 1.5))
            assert step.kernel_size == (t if t % 2 else t + 1)


def test_the_papers_constants_give_the_papers_steps_and_totals(lab: DirectLab) -> None:
    report = run(KernelRequest(), lab)
    assert [(step.first, step.kernel_size) for step in report.steps] == [(1, 1), (8, 3), (128, 5), (2048, 7)]
    totals = {total.backbone: (total.formula, total.released) for total in report.totals}
    assert totals["resnet50"] == (86, 80)  # published: "80 parameters"
    by_hand = {row.channels: (row.released, row.formula) for row in report.released if row.backbone == "resnet18"}
    assert by_hand == {64: (3, 3), 128: (5, 5), 256: (7, 5), 512: (7, 5)}


@pytest.mark.full
@pytest.mark.parametrize("backbone", ["resnet18", "mobilenetv2"])
def test_the_totals_are_those_of_the_ledger(lab: DirectLab, backbone: str) -> None:
    (total,) = (one for one in run(KernelRequest(gamma=1), lab).totals if one.backbone == backbone)
    bills = [count(Variant.parse(f"{backbone}/eca({option})")) for option in ("gamma=1", "kernel_size=released")]
    assert [bill.attention.parameters for bill in bills] == [total.formula, total.released]


# ---------------------------------------------------------------- interaction


def matrices(lab: DirectLab, request: InteractionRequest) -> list[NDArray[np.float64]]:
    return [np.array(found.matrix) for found in run(request, lab).interactions]


def test_ecas_matrix_is_its_filter_along_the_diagonal_scaled_by_the_sigmoids_slope(lab: DirectLab) -> None:
    (matrix,) = matrices(lab, InteractionRequest(modules=("eca",), channels=24, kernel_size=5))
    filter = (
        dict(module_alone("eca", 24, {"kernel_size": 5}).named_parameters())["conv.weight"].detach().numpy().ravel()
    )
    # Row c is slope_c * T, T banded Toeplitz with zero corners: its ratio to the filter is one number a row.
    for c in range(24):
        taps = {c + j - 2: filter[j] for j in range(5) if 0 <= c + j - 2 < 24}
        slopes = [matrix[c, j] / taps[j] for j in taps]
        assert np.allclose(slopes, slopes[0], rtol=1e-4) and 0 < slopes[0] <= 0.25
        assert all(matrix[c, j] == 0 for j in range(24) if j not in taps)


def test_ses_matrix_is_the_product_of_its_two_layers_where_its_relus_are_open(lab: DirectLab) -> None:
    request = InteractionRequest(modules=("se",), channels=16, reduction=4, seed=3)
    (found,) = run(request, lab).interactions
    module = module_alone("se", 16, {"reduction": 4}, seed=3)
    down, up = (weight.detach().double().squeeze() for weight in module.parameters())  # (h, C), (C, h)
    points = torch.randn(16, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    candidates = []
    for x in points:
        z = down @ x
        g = torch.sigmoid(up @ z.clamp(min=0))
        candidates.append((torch.diag(g * (1 - g)) @ up @ torch.diag((z > 0).double()) @ down).numpy())
    ranks = [np.linalg.matrix_rank(candidate) for candidate in candidates]
    assert np.allclose(found.matrix, candidates[int(np.argmax(ranks))], atol=1e-6)
    assert (found.rank, found.narrowest) == (max(ranks), 4)
    assert found.parameters == 2 * 16 * 16 // 4


@pytest.mark.parametrize(("channels", "reduction"), [(64, 16), (64, 4), (32, 2)])
def test_the_rank_of_se_never_exceeds_its_bottleneck_and_ecas_is_not_squeezed(
    lab: DirectLab, channels: int, reduction: int
) -> None:
    eca, se = run(InteractionRequest(channels=channels, reduction=reduction), lab).interactions
    assert se.narrowest == channels // reduction
    assert 0 < se.rank <= se.narrowest
    assert (eca.narrowest, eca.reach) == (channels, 1)
    assert eca.share == pytest.approx((3 * channels - 2) / channels**2)
    assert eca.rank > channels // 2


def test_a_1x1_convolution_hears_every_channel_and_a_channel_for_itself_only_its_own(lab: DirectLab) -> None:
    full, own, none = run(InteractionRequest(modules=("se_var3", "se_var2", "identity"), channels=12), lab).interactions
    assert (full.share, full.parameters) == (1, 144)
    assert (own.reach, own.parameters, own.rank) == (0, 12, 12)
    assert (none.share, none.rank, none.reach) == (0, 0, 0)


def test_the_derivative_is_that_of_the_module_itself(lab: DirectLab) -> None:
    module = module_alone("eca", 16).double()
    x = torch.randn(2, 16, 5, 5, dtype=torch.float64)
    means = x.mean((2, 3), keepdim=True)
    torch.testing.assert_close(channel_gate(module, x), channel_gate(module, means))
    assert not any(gate._forward_hooks for gate in module.modules())


@pytest.mark.parametrize(("name", "reason"), [("cbam", "gates of kind channel, spatial"), ("srm", "more of a channel")])
def test_modules_without_such_a_matrix_are_refused_with_a_sentence(lab: DirectLab, name: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        run(InteractionRequest(modules=(name,)), lab)
    with pytest.raises(UnknownName):
        run(InteractionRequest(modules=("ecaa",)), lab)


# ---------------------------------------------------------------- places


@pytest.mark.full
def test_the_three_places_are_those_of_the_networks(lab: DirectLab) -> None:
    backbone, tail, branch = run(PlacesRequest(), lab).variants
    filled = [[place for place in one.places if place.filled] for one in (backbone, tail, branch)]
    assert [len(one) for one in filled] == [16, 1, 4]
    assert [sum(place.parameters for place in one) for one in filled] == [86, 7, 20]
    assert [place.channels for place in filled[0][::4]] == [256, 512, 1024, 1024]
    assert {(place.stage, place.side) for place in filled[0]} == {(1, 56), (2, 28), (3, 14), (4, 7)}
    assert [(place.channels, place.side) for place in filled[2]] == [(256, 56), (256, 28), (256, 14), (256, 7)]
    assert all(place.parameters == 0 for place in backbone.places if not place.filled)


@pytest.mark.full
def test_a_place_behind_a_layer_has_the_side_of_what_the_layer_gives(lab: DirectLab) -> None:
    variant = Variant.parse("resnet20(width=4)/se@after:layer1+layer2")
    (behind,) = run(PlacesRequest(variants=(variant,)), lab).variants
    assert [(place.path, place.side) for place in behind.places if place.filled] == [
        ("attached.layer1", 32),
        ("attached.layer2", 16),
    ]


# ---------------------------------------------------------------- published


@pytest.mark.full
def test_every_published_network_can_be_counted_and_costs_what_its_source_says(lab: DirectLab) -> None:
    groups = {group.key: group for group in run(PublishedRequest(groups=("eca_resnet50", "timm_a3")), lab).groups}
    rows = {result.attention: result for result in groups["eca_resnet50"].results}
    # The ECA paper's table in its own units: 24.37, 26.77 and 24.37 Mi parameters.
    assert [round((rows[name].parameters or 0) / 2**20, 2) for name in ("none", "se", "eca")] == [24.37, 26.77, 24.37]
    assert (rows["none"].score, rows["se"].score, rows["eca"].score) == (75.20, 76.71, 77.48)
    assert not groups["eca_resnet50"].same_recipe and groups["timm_a3"].same_recipe
    small = {result.attention: result for result in groups["timm_a3"].results}
    assert small["se"].macs and small["se"].macs < 0.6 * 4_089_184_256  # counted at 160 pixels
    assert small["se"].added_parameters == 2_530_992


def test_every_group_names_its_source_its_recipe_and_what_to_beware_of() -> None:
    assert len({group.key for group in GROUPS}) == len(GROUPS)
    for group in GROUPS:
        assert group.link.startswith("https://") and group.recipe.endswith(".") and group.source
        assert group.warning and group.warning.endswith(".")
        assert all(35 < result.score < 95 for result in group.results)
        assert all(Variant.parse(result.variant) for result in group.results if result.variant)
        if any(result.attention == "none" for result in group.results):
            assert group.results[0].attention == "none"


def test_an_unknown_group_is_explained(lab: DirectLab) -> None:
    with pytest.raises(InvalidRequest, match="Did you mean 'timm_a1'"):
        run(PublishedRequest(groups=("timm_a11",)), lab)


# ---------------------------------------------------------------- fit


@pytest.mark.full
def test_every_module_has_a_bill_or_a_sentence(lab: DirectLab) -> None:
    report = run(FitRequest(backbone="resnet20", placement=Placement(position="spatial")), lab)
    billed = [bill.variant.attention for bill in report.costs.variants]
    assert billed[0] is None and "sk" in billed
    assert {*billed[1:], *(refusal.attention for refusal in report.refused)} == set(modules)
    assert all(refusal.why.endswith(".") for refusal in report.refused)
    assert len(lab.told) == len(modules)


@pytest.mark.full
def test_chosen_modules_are_billed_as_the_ledger_bills_them(lab: DirectLab) -> None:
    report = run(FitRequest(backbone="mobilenetv2", modules=("fca", "eca", "ecaa")), lab)
    assert report.costs.variants[1] == count(Variant.parse("mobilenetv2/eca"))
    why = {refusal.attention: refusal.why for refusal in report.refused}
    assert "must divide" in why["fca"] and "Did you mean 'eca'" in why["ecaa"]


@pytest.mark.full
def test_a_backbone_that_is_not_there_is_refused_as_a_whole(lab: DirectLab) -> None:
    with pytest.raises(UnknownName, match="resnet50"):
        run(FitRequest(backbone="resnet500"), lab)


# ---------------------------------------------------------------- traits


@pytest.mark.parametrize(
    ("name", "kept"),
    [("se", 0.5), ("eca", 0.5), ("static", 0.5), ("cbam", 0.25), ("coord", 0.25), ("gc", 1), ("gct", 1)],
)
def test_a_fresh_module_keeps_what_its_paper_starts_with(name: str, kept: float) -> None:
    found = traits(name)
    assert found.std_ratio == pytest.approx(kept, abs=0.02)
    assert found.identity == (kept == 1)
    assert ("exactly the identity" in found.start) == found.identity
    assert found.identity or found.start in found.warnings


@pytest.mark.full
def test_what_a_module_needs_is_found_out() -> None:
    assert [name for name in modules if traits(name).replaces] == ["sk"]
    assert [name for name in modules if traits(name).pairs] == ["danet"]
    assert {name for name in modules if not traits(name).depends_on_input} == {"identity", "random", "static"}
    assert {name for name in modules if traits(name).least_batch == 2} >= {"srm", "sk"}
    assert traits("se").least_batch == 1 and not traits("se").needs
    assert any("must divide" in need for need in traits("fca").needs)
    assert any("side" in need for need in traits("ge").needs)
    assert "39 MB" in " ".join(traits("danet").warnings)
    assert traits("gc").neutral == (None, 0.0)
    assert traits("se").parameters == 2 * 64 * 64 // 16


def test_trying_a_module_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    traits.__wrapped__("cbam")
    assert torch.equal(before, torch.get_rng_state())
