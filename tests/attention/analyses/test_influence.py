"""What gates depend on, by derivatives: the counts that the papers' formulas imply."""

from pathlib import Path

import pytest

from attention.analyses import run
from attention.modules.eca import adaptive_kernel_size
from attention.reports.influence import InfluenceRequest
from tests.attention.direct_lab import DirectLab

CHANNELS, SIDE = 64, 8
EVERYWHERE = SIDE * SIDE


@pytest.fixture
def lab(tmp_path: Path) -> DirectLab:
    return DirectLab(tmp_path)


@pytest.mark.full
@pytest.mark.parametrize(
    ("module", "heard"),
    [
        ("eca", {"channel": (adaptive_kernel_size(CHANNELS), EVERYWHERE)}),
        pytest.param("se", {"channel": (CHANNELS, EVERYWHERE)}, marks=pytest.mark.full),
        pytest.param("se_var2", {"channel": (1, EVERYWHERE)}, marks=pytest.mark.full),
        pytest.param("simam", {"full": (1, EVERYWHERE)}, marks=pytest.mark.full),
        pytest.param("static", {"channel": (0, 0)}, marks=pytest.mark.full),
        pytest.param("danet", {"matrix": (CHANNELS, EVERYWHERE)}, marks=pytest.mark.full),
        ("coord", {"rows": (CHANNELS, SIDE), "columns": (CHANNELS, SIDE)}),
    ],
)
def test_a_gate_hears_what_its_formula_says(module: str, heard: dict[str, tuple[int, int]], lab: DirectLab) -> None:
    report = run(InfluenceRequest(module=module, channels=CHANNELS), lab)
    assert {gate.kind: (gate.channels_heard, gate.places_heard) for gate in report.gates} == heard


@pytest.mark.full
def test_ecas_picture_is_a_band_and_ses_goes_through_its_bottleneck(lab: DirectLab) -> None:
    (band,) = run(InfluenceRequest(module="eca", options={"kernel_size": 5}), lab).gates
    for row, weights in enumerate(band.by_channel):
        heard = {column for column, weight in enumerate(weights) if weight > 0}
        assert heard == set(range(max(0, row - 2), min(CHANNELS, row + 3)))
    (full,) = run(InfluenceRequest(module="se", options={"reduction": 8}), lab).gates
    assert CHANNELS // 16 < full.rank <= CHANNELS // 8 < band.rank == CHANNELS


@pytest.mark.full
def test_a_row_gate_hears_its_own_row_and_no_other(lab: DirectLab) -> None:
    rows, columns = run(InfluenceRequest(module="coord"), lab).gates
    assert [any(row) for row in rows.by_place] == [number == SIDE // 2 for number in range(SIDE)]
    assert [any(column) for column in zip(*columns.by_place, strict=True)] == [n == SIDE // 2 for n in range(SIDE)]
