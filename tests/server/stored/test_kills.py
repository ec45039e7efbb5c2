"""What a service promised is there after three kills in the midst of load; benchmarks/load/kills.py makes it thirty."""

import random
from pathlib import Path

import pytest

from benchmarks.load.kills import Promises, kill_in_the_middle, lost


@pytest.mark.slow
def test_nothing_that_was_promised_is_lost_by_kills(tmp_path: Path) -> None:
    promises, chance = Promises(), random.Random(1)
    for number in range(3):
        kill_in_the_middle(tmp_path, promises, number, chance)
    assert promises.photos or promises.reports
    assert lost(tmp_path, promises) == []


@pytest.mark.slow
def test_a_promise_that_was_not_kept_would_be_noticed(tmp_path: Path) -> None:
    promises = Promises(photos={"0" * 64: b"x"}, data_sets={"none"}, reports={"0" * 32: "x"}, jobs={"0" * 16})
    assert [name.split()[0] for name in lost(tmp_path, promises)] == ["photo", "data", "report", "job"]
