"""The command that compares a device with the CPU finds what is apart, and nothing where nothing is."""

from dataclasses import replace

import pytest
import torch

from attention.spec import Variant
from benchmarks.agree import LOSSES_APART, Row, changed_margin, compared, losses_apart, possible
from tests.attention.training.tape import Tape

SE = Variant.parse("resnet20/se?weights=shipped")


@pytest.mark.full
def test_the_cpu_agrees_with_itself_in_every_way_it_has() -> None:
    dtypes, ways = possible("cpu")
    rows = list(compared(SE, "cpu", dtypes, ways, 11))
    assert [(row.dtype, row.way) for row in rows] == [(dtype, way) for dtype in dtypes for way in ways]
    assert all(row.faults == [] for row in rows)
    eager, served, other, _ = rows
    assert eager.probability == eager.gate == eager.ablated == 0 and served.probability < 1e-5
    assert other.dtype == "bfloat16" and other.probability > 1e-4 and other.gate > 1e-4 and other.ablated > 1e-4


def test_a_gpu_is_tried_in_half_precision_and_with_recordings() -> None:
    dtypes, ways = possible("cuda:1")
    assert set(dtypes) == {"float32", "bfloat16", "float16"} and "graphs" in ways


def test_what_is_further_apart_than_rounding_is_named() -> None:
    good = Row(
        "se", "float32", "served", probability=1e-6, gate=1e-6, ablated=1e-6, same_first=1.0, changed=0.0, recorded=0
    )
    assert good.faults == []
    assert replace(good, probability=0.01).faults == ["probabilities"]
    assert replace(good, dtype="bfloat16", probability=0.01).faults == []
    assert replace(good, gate=float("nan")).faults == ["gates"]
    assert replace(good, way="graphs").faults == ["not recorded"]
    assert replace(good, same_first=0.9, changed=0.001).faults == []
    assert replace(good, same_first=0.9, changed=0.01).faults == ["first classes"]
    assert replace(good, dtype="bfloat16", same_first=0.9, changed=0.01).faults == []


def test_a_first_class_may_change_only_where_two_classes_were_about_equally_probable() -> None:
    truth = torch.tensor([[0.50, 0.49, 0.01], [0.60, 0.30, 0.10], [0.10, 0.20, 0.70]]).log()
    answers = torch.tensor([[0.49, 0.50, 0.01], [0.55, 0.35, 0.10], [0.10, 0.20, 0.70]]).log()
    assert abs(changed_margin(answers, truth) - 0.01) < 1e-6
    assert changed_margin(truth, truth) == 0.0
    assert abs(changed_margin(answers.flip(0), truth) - 0.5) < 1e-6  # 0.7 beside 0.2 is the clearest


@pytest.mark.full
def test_losses_of_recorded_and_written_steps_are_compared() -> None:
    tape = Tape()
    assert 0 <= losses_apart("cpu", tape, images=64) < LOSSES_APART and tape.replays > 0
