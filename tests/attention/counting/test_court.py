"""The counter court: restated rules against what the tools themselves report, and the ledger as referee."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from attention.analyses import run
from attention.analyses.court import TORCH
from attention.build import skeleton
from attention.counting.counters import COUNTERS
from attention.counting.ledger import CountedOperation, walk
from attention.gate import slots
from attention.models import own_models
from attention.models.own_models import OwnModel
from attention.reports.court import CourtReport, CourtRequest, Witness
from attention.spec import Variant
from tests.attention.direct_lab import DirectLab
from tests.attention.models.own import Detector, seeded

RULES = {counter.name: counter for counter in COUNTERS}

# Reported by the tools themselves for these networks: thop 0.1.1, torchinfo 1.8.0, fvcore 0.1.5, ptflops 0.7.5.
TOOLS = ("thop 0.1.1", "torchinfo", "fvcore", "ptflops")
WITNESSED = {
    "resnet18/none": (1_824_008_192, 1_814_083_944, 1_819_040_768, 1_825_263_592),
    "resnet20/se": (41_306_720, 40_554_442, 40_929_888, 41_306_730),
    "resnet20/eca": (41_305_712, 40_553_434, 40_928_880, 41_305_722),
    "resnet20/cbam": (41_720_000, 40_952_326, 41_335_104, 41_712_660),
    "resnet20/gc": (41_393_552, 40_645_606, 41_102_772, 41_483_874),
    "resnet20/danet": (44_253_824, 43_609_066, 113_181_312, 113_665_674),
    "resnet20/bam": (43_022_480, 42_129_598, 42_548_808, 43_075_278),
    "resnet20/srm": (41_306_720, 40_553_770, 40_929_216, 41_306_058),
    "mobilenetv2/none": (327_486_720, 300_809_384, 314_130_496, 320_237_288),
}

# Added up from what each module of these networks was given by thop 0.0.23.post1907171430 itself.
THOP_OF_2019 = {
    "resnet20/none": 41_407_734,
    "resnet20/se": 41_409_750,
    "resnet20/se(bias=true)": 41_411_766,
    "resnet20/cbam": 41_823_030,
    "resnet20/bam": 43_665_462,
    "resnet20/coord": 41_713_398,
    "resnet20/gc": 41_585_142,
    "resnet20/sk@spatial": 60_745_590,
    "resnet20/danet": 47_305_974,
    "resnet50(shortcut=pool)/none": 4_143_063_064,
    "mobilenetv2/coord@published": 346_684_600,
    "fpn_resnet50/eca@branch": 7_640_244_248,
}


@pytest.fixture
def detector() -> Iterator[str]:
    """A network whose numbers decide its way, so that shapes are not enough to run it."""
    own_models.add(OwnModel("cars", lambda: seeded(Detector)))
    yield "own(name=cars)/none"
    own_models.remove("cars")


@pytest.fixture
def ask(tmp_path: Path):  # type: ignore[no-untyped-def]
    """The court's answer about a network."""

    def asking(name: str) -> CourtReport:
        return run(CourtRequest(variant=Variant.parse(name)), DirectLab(tmp_path))

    return asking


def rows_of(name: str, size: int, pooled: bool = False) -> list[CountedOperation]:
    """The ledger of a network; if ``pooled``, its last average is spelled as torchvision spells it."""
    model = skeleton(Variant.parse(name))
    if pooled:
        next(slot for slot in slots(model).values() if slot.position == "tail").append(nn.AdaptiveAvgPool2d(1))
    return walk(model, 3, size, size).rows


@pytest.mark.parametrize("name", WITNESSED)
def test_restated_rules_give_what_the_tools_give(name: str) -> None:
    rows = rows_of(name, 32 if name.startswith("resnet20") else 224)
    assert tuple(RULES[tool].reports(rows) for tool in TOOLS) == WITNESSED[name]


@pytest.mark.parametrize("name", THOP_OF_2019)
def test_thop_of_2019_is_restated_for_biases_and_every_pooling(name: str) -> None:
    rows = rows_of(name, 32 if name.startswith("resnet20") else 224)
    assert RULES["thop of 2019"].reports(rows) == THOP_OF_2019[name]


def test_a_bias_adds_the_channels_that_come_in_for_each_output_in_thop_of_2019() -> None:
    """Two layers in each of ResNet-20's nine SE modules: C / r outputs of C channels, and C of C / r."""
    biased, plain = (THOP_OF_2019[f"resnet20/se{options}"] for options in ("(bias=true)", ""))
    widths = (16,) * 3 + (32,) * 3 + (64,) * 3
    assert biased - plain == sum(2 * c * (c // 16) for c in widths)


def test_interpolation_has_a_rule() -> None:
    """fvcore 0.1.5 and ptflops 0.7.5 give these totals; three maps of 256 channels are brought to 56, 28 and 14."""
    rows, written = rows_of("fpn_resnet50/eca@branch", 224), 256 * (56**2 + 28**2 + 14**2)
    assert written == 1_053_696
    for tool, total in (("fvcore", 6_953_415_680), ("ptflops", 6_976_372_200)):
        assert RULES[tool].reports(rows) == total
        assert RULES[tool].sums(rows)["interpolation"] == written
    assert RULES["DeepSpeed"].sums(rows)["interpolation"] == 56**2 + 28**2 + 14**2


# thop 0.1.1 and 0.0.31 on torchvision's networks at 224 pixels; the former for ResNet-50 is its documented example.
@pytest.mark.parametrize(
    ("name", "reported"), [("resnet18", 1_824_033_792), ("resnet50", 4_133_742_592), ("resnet101", 7_866_435_584)]
)
def test_thop_gives_the_well_known_numbers_of_torchvisions_networks(name: str, reported: int) -> None:
    assert RULES["thop 0.1.1"].reports(rows_of(f"{name}/none", 224, pooled=True)) == reported


def test_thop_of_2019_gives_the_number_its_users_asked_about() -> None:
    """They saw 4,142,713,856: with 3 for each output of the max pooling, dropped soon after, and added in float32."""
    max_pooling, half_a_step = 3 * 64 * 56 * 56, 128
    reported = RULES["thop of 2019"].reports(rows_of("resnet50/none", 224, pooled=True))
    assert abs(reported + max_pooling - 4_142_713_856) <= half_a_step


def heard(report: CourtReport, counter: str) -> Witness:
    return next(one for one in report.witnesses if one.counter == counter)


@pytest.mark.full
@pytest.mark.parametrize(
    "name", ["resnet50/eca", "resnet20/cbam", "resnet20/danet", "resnet20/gc", "fpn_resnet50/eca@branch"]
)
def test_every_difference_is_explained_to_the_last_unit(ask, name: str) -> None:  # type: ignore[no-untyped-def]
    report = ask(name)
    assert [one.counter for one in report.witnesses] == [TORCH, *RULES]
    for one in report.witnesses:
        assert one.difference == one.total - report.macs
        assert sum(reason.amount for reason in one.reasons) == one.difference, one.counter
        assert all(reason.amount and reason.text.endswith(".") for reason in one.reasons)


@pytest.mark.full
def test_torchs_counter_differs_by_its_unit_alone(ask) -> None:  # type: ignore[no-untyped-def]
    report = ask("resnet50/eca")
    torchs = heard(report, TORCH)
    assert (torchs.total, torchs.attention) == (2 * report.macs, 2 * report.attention_macs) == (8_178_544_128, 175_616)
    assert [reason.kind for reason in torchs.reasons] == ["unit"]


@pytest.mark.full
def test_hooks_do_not_see_matrix_products_of_functions(ask) -> None:  # type: ignore[no-untyped-def]
    report = ask("resnet20/danet")
    thop = {reason.kind: reason for reason in heard(report, "thop 0.1.1").reasons}
    assert "matmul" in thop["skipped"].text and thop["skipped"].amount < 0
    assert "skipped" not in {reason.kind for reason in heard(report, "fvcore").reasons}


@pytest.mark.full
def test_an_early_thop_counts_the_last_run_of_a_shared_layer_only(ask) -> None:  # type: ignore[no-untyped-def]
    """CBAM's two layers run on the mean and on the maximum."""
    kinds = {reason.kind: reason.amount for reason in heard(ask("resnet50/cbam"), "thop of 2019").reasons}
    assert kinds["repeated"] == -2_514_944


def test_one_eca_module_is_anything_from_nothing_to_1_606_912(ask) -> None:  # type: ignore[no-untyped-def]
    report = ask("resnet20/none")
    everything = [number for spelling in report.spellings for number in spelling.reported.values()]
    assert (min(everything), max(everything)) == (0, 1_606_912)
    assert {spelling.macs for spelling in report.spellings} == {report.kernel_size * report.channels} == {1280}
    c, entries = report.channels, report.channels * report.side**2
    thop = {(one.pool, one.convolution): one.reported["thop 0.1.1"] for one in report.spellings}
    assert thop == {
        ("nn.AdaptiveAvgPool2d", "nn.Conv1d"): entries + c + 1280,
        ("nn.AdaptiveAvgPool2d", "F.conv1d"): entries + c,
        ("x.mean", "nn.Conv1d"): 1280,
        ("x.mean", "F.conv1d"): 0,
    }
    assert {one.reported[TORCH] for one in report.spellings} == {2 * 1280}


@pytest.mark.full
def test_a_network_that_needs_its_numbers_is_heard(ask, detector: str) -> None:  # type: ignore[no-untyped-def]
    report = ask(detector)
    (torch_itself,) = (witness for witness in report.witnesses if witness.counter == TORCH)
    assert torch_itself.total == 2 * report.macs == 2 * (64 * (8 * 27 + 40) + 32)
