"""Published results: the figures restated from their tables, beside the parameters that the same tables give."""

from pathlib import Path

import pytest

from attention.analyses import run
from attention.counting.cost import count
from attention.counting.published import GROUPS, Group
from attention.modules import modules
from attention.registry.aliases import find
from attention.reports.modules import PublishedRequest
from attention.spec import Variant
from tests.attention.direct_lab import DirectLab

KNOWN = {group.key: group for group in GROUPS}


def scores(key: str) -> list[tuple[str, float]]:
    return [(result.attention, result.score) for result in KNOWN[key].results]


def errors(key: str) -> list[tuple[str, float]]:
    return [(result.name, round(100 - result.score, 2)) for result in KNOWN[key].results]


def test_the_se_papers_ablations() -> None:
    """Tables 10 to 15: top-1 errors on ResNet-50."""
    by_ratio = [("r = 2", 22.29), ("r = 4", 22.25), ("r = 8", 22.26), ("r = 16", 22.28), ("r = 32", 22.72)]
    assert errors("se_reduction") == [("ResNet-50", 23.30), *by_ratio]
    assert errors("se_squeeze") == [("Max", 22.57), ("Avg", 22.28)]
    assert errors("se_excitation") == [("ReLU", 23.47), ("Tanh", 23.00), ("Sigmoid", 22.28)]
    assert [error for _, error in errors("se_stages")] == [23.30, 23.03, 23.04, 22.68, 22.28]
    assert dict(errors("se_place")) == {
        "standard": 22.28,
        "pre": 22.23,
        "identity": 22.20,
        "post": 22.78,
        "after the 3x3": 22.48,
    }


def test_the_se_papers_ablations_have_no_biases() -> None:
    for key in ("se_reduction", "se_squeeze", "se_excitation", "se_stages", "se_place"):
        group = KNOWN[key]
        assert "28,071,976" in group.recipe and "300 epochs" in group.recipe and "label smoothing" in group.recipe
        assert not any("bias" in (result.variant or "") for result in group.results)
    standard = next(result for result in KNOWN["se_reduction"].results if result.name == "r = 16")
    assert count(Variant.parse(standard.variant or "")).total.parameters == 28_071_976


def test_the_eca_papers_tables() -> None:
    """Table 3, and table 2, where ECA has k = 3."""
    assert scores("eca_resnet50") == [("none", 75.20), ("se", 76.71), ("cbam", 77.34), ("gc", 77.70), ("eca", 77.48)]
    assert scores("eca_resnet101") == [("none", 76.83), ("se", 77.62), ("cbam", 78.49), ("eca", 78.65)]
    assert scores("eca_resnet152") == [("none", 77.58), ("se", 78.43), ("eca", 78.92)]
    assert scores("eca_mobilenetv2") == [("none", 71.64), ("se", 72.42), ("eca", 72.56)]
    assert scores("eca_controls") == [
        ("none", 75.20),
        ("se", 76.71),
        ("se_var1", 76.00),
        ("se_var2", 77.07),
        ("se_var3", 77.42),
        ("eca_ns", 77.35),
        ("eca", 77.43),
    ]
    assert KNOWN["eca_controls"].results[-1].variant == "resnet50/eca(kernel_size=3)"
    for key in ("eca_resnet50", "eca_resnet101", "eca_resnet152", "eca_controls"):
        assert not KNOWN[key].same_recipe and "v1.5" in KNOWN[key].warning
    mobile = KNOWN["eca_mobilenetv2"]
    assert mobile.same_recipe and "exactly the same settings" in mobile.recipe and "4.2.2" in mobile.source


def test_other_papers_pairs() -> None:
    assert [error for _, error in errors("sk_resnext50")] == [22.23, 21.70, 21.40, 21.12, 20.79]
    assert errors("cbam_resnet50") == [("ResNet50", 24.56), ("ResNet50 + SE", 23.14), ("ResNet50 + CBAM", 22.66)]
    assert scores("ca_mobilenetv2") == [("none", 72.3), ("se", 73.5), ("cbam", 73.6), ("coord", 74.3)]
    for depth, published in {50: [76.2, 77.3, 77.7], 101: [77.8, 78.6, 78.5], 152: [78.4, 79.2, 79.0]}.items():
        assert [score for _, score in scores(f"gct_resnet{depth}")] == published
    assert scores("insight_resnet50") == [
        ("none", 76.384),
        ("se", 77.184),
        ("bam", 76.898),
        ("cbam", 77.626),
        ("sk", 77.538),
    ]
    danet = [result.score for result in KNOWN["danet_cityscapes"].results]
    assert danet == [70.03, 75.74, 74.28, 76.34, 72.54, 77.03, 76.55, 77.57]
    assert round(danet[1] - danet[0], 2) == 5.71 and round(danet[2] - danet[0], 2) == 4.25  # gains that its text gives
    assert "IoU" in KNOWN["danet_cityscapes"].metric
    # What the ECA paper quotes of CBAM is what CBAM's own table says.
    assert dict(scores("eca_resnet50"))["cbam"] == dict(scores("cbam_resnet50"))["cbam"]


def test_what_repositories_give_of_gcnet_and_triplet_attention() -> None:
    assert scores("gc_coco") == [("none", 37.3), ("gc", 38.5), ("gc", 38.9)]
    assert scores("gc_coco_2x") == [("none", 38.2), ("gc", 39.7), ("gc", 40.0)]
    assert scores("gc_coco_sync") == [("none", 38.8), ("gc", 41.0), ("gc", 41.4)]
    assert all("boxes" in KNOWN[key].metric for key in ("gc_coco", "gc_coco_2x", "gc_coco_sync"))
    assert [error for _, error in errors("triplet_resnet18")] == [29.67, 28.91]
    assert [error for _, error in errors("triplet_resnet50")] == [23.88, 22.52]


def test_a_reimplementation_of_srm_and_the_parameters_of_its_table() -> None:
    group = KNOWN["srm_resnet32"]
    assert scores("srm_resnet32") == [("none", 92.1), ("se", 92.5), ("srm", 92.9)] and "others" in group.source
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64  # two 1x1 convolutions with normalisation, where ours pads
    own = [count(Variant.parse(result.variant or ""), 32).total.parameters for result in group.results]
    assert [parameters + shortcuts for parameters in own] == [466_906, 470_266, 469_146]


# Millions of parameters as the same tables give them.
@pytest.mark.parametrize(
    ("key", "millions", "digits"),
    [
        ("sk_resnext50", (25.0, 25.4, None, None, 27.5), 1),  # it gives 27.7 for CBAM and SE, which are 27.56 and 27.54
        ("cbam_resnet50", (25.56, 28.09, 28.09), 2),
        ("ca_mobilenetv2", (3.50, 3.89, 3.89, 3.95), 2),
        ("triplet_resnet18", (11.69, 11.69), 2),
        ("triplet_resnet50", (25.56, 25.56), 2),
        ("insight_resnet50", (25.56, 28.09, 25.92, 28.09, None), 2),
    ],
)
def test_the_networks_have_the_parameters_of_their_tables(
    key: str, millions: tuple[float | None, ...], digits: int
) -> None:
    for result, published in zip(KNOWN[key].results, millions, strict=True):
        if published is not None:
            assert result.variant
            own = count(Variant.parse(result.variant)).total.parameters / 1e6
            assert round(own, digits) == published, result.name


@pytest.mark.full
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.key)
def test_every_figure_names_its_table_cell_and_conditions(group: Group, tmp_path: Path) -> None:
    (report,) = run(PublishedRequest(groups=(group.key,)), DirectLab(tmp_path)).groups
    assert report.table and report.metric and report.recipe.endswith(".") and report.link.startswith("https://")
    cells = [result.cell for result in report.results]
    assert len({*cells}) == len(cells) and all("row" in cell and "column" in cell for cell in cells)
    for result in report.results:
        assert result.attention == "none" or find(result.attention, modules.names)
        assert (result.variant is None) == (result.parameters is None) == (result.added_macs is None)
        assert not result.conditions or result.conditions.endswith(".")
        if result.variant is not None:
            assert (result.variant.attention or "none") == result.attention
