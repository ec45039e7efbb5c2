"""Runs side by side give what they give alone; how many is found by measuring; the end of one ends all."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from attention.analysis import in_order
from attention.data.dataset import DataSet
from attention.errors import Cancelled, TooLarge
from attention.spec import Variant
from attention.training.side_by_side import MOST, SideBySide, best_count, speed_together
from attention.training.train import Run, train
from tests.attention.training.test_train import RECIPE, TINY, split


def no_news(item: object, state: object) -> None:
    pass


def lost(item: object, sentence: str) -> Run:
    raise AssertionError(sentence)


@pytest.mark.full
def test_runs_side_by_side_give_what_they_give_alone() -> None:
    data = DataSet("noise", ("red", "green", "blue"), split(48, 0), split(30, 1))
    recipe = RECIPE.model_copy(update={"epochs": 2})
    every = [(Variant.parse(f"resnet20(width=4)/{name}"), seed) for name in ("none", "eca") for seed in (0, 1)]

    def run(item: tuple[Variant, int], on_progress: Callable[[Run], None]) -> Run:
        return train(item[0], recipe, data, seed=item[1])

    alone = {run.curve[-1].loss: run for run in in_order(run, every, no_news, lost)}
    beside = {
        run.curve[-1].loss: run
        for run in SideBySide[tuple[Variant, int], Run]("cpu", lambda: 3)(run, every, no_news, lost)
    }
    assert len(alone) == len(every), "every run has another loss"
    assert sorted(beside) == pytest.approx(sorted(alone), rel=1e-5)
    for ours, theirs in zip(sorted(beside), sorted(alone), strict=True):
        state, truth = beside[ours].model.state_dict(), alone[theirs].model.state_dict()
        for key, value in truth.items():
            torch.testing.assert_close(state[key], value, rtol=1e-4, atol=1e-5, msg=key)


def test_as_many_run_at_once_as_was_found_and_news_come_in_the_callers_thread() -> None:
    barrier, threads = threading.Barrier(3), set()

    def run(item: int, on_progress: Callable[[str], None]) -> str:
        on_progress(f"{item} begins")
        barrier.wait(60)  # breaks unless three run at once
        return f"{item} ends"

    def on_progress(item: int, state: str) -> None:
        assert state == f"{item} begins"
        threads.add(threading.get_ident())

    results = SideBySide[int, str]("cpu", lambda: 3)(run, range(6), on_progress, lambda item, sentence: sentence)
    assert sorted(results) == [f"{item} ends" for item in range(6)]
    assert threads == {threading.get_ident()}


@pytest.mark.full
def test_when_the_caller_ends_the_study_running_ones_are_cancelled_and_no_other_begins() -> None:
    began: list[int] = []
    cancelled: list[int] = []

    def run(item: int, on_progress: Callable[[str], None]) -> str:
        began.append(item)
        try:
            while True:
                on_progress("an epoch")
        except Cancelled:
            cancelled.append(item)
            raise

    def on_progress(item: int, state: str) -> None:
        raise Cancelled("The user pressed stop.")

    with pytest.raises(Cancelled, match="pressed stop"):
        list(SideBySide[int, str]("cpu", lambda: 2)(run, range(100), on_progress, lambda item, sentence: sentence))
    assert len(began) <= 2 and sorted(cancelled) == sorted(began)


def test_what_goes_wrong_in_one_is_raised_with_its_sentence(tmp_path: Path) -> None:
    def run(item: int, on_progress: Callable[[str], None]) -> str:
        raise TooLarge("cuda has too little memory.")

    with pytest.raises(TooLarge, match="too little memory"):
        list(SideBySide[int, str]("cpu", lambda: 2)(run, range(3), no_news, lambda item, sentence: sentence))


def test_the_number_doubles_for_as_long_as_all_become_faster_together() -> None:
    asked: list[int] = []

    def speed(count: int) -> float:
        asked.append(count)
        return float(min(count, 5))  # a device that five runs fill

    assert best_count(speed) == 8 and asked == [1, 2, 4, 8, 16]
    assert best_count(lambda count: 10 / count) == 1
    assert best_count(float) == MOST and best_count(float, most=3) == 2

    def full(count: int) -> float:
        if count > 4:
            raise TooLarge("cuda has too little memory.")
        return float(count)

    assert best_count(full) == 4


@pytest.mark.full
def test_runs_that_are_timed_together_are_trained_and_those_that_fail_do_not_hang() -> None:
    data = DataSet("noise", ("red", "green", "blue"), split(48, 0), split(30, 1))
    assert speed_together(TINY, RECIPE, data, "cpu", 2) > 0
    bad = RECIPE.model_copy(update={"lr": 1e30})
    with pytest.raises(Exception, match="diverged|failed"):
        speed_together(TINY, bad, data, "cpu", 2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_runs_side_by_side_learn_as_alone() -> None:
    data = DataSet("noise", ("red", "green", "blue"), split(120, 0), split(30, 1))

    def run(seed: int, on_progress: Callable[[Run], None]) -> Run:
        return train(TINY, RECIPE, data, seed=seed, device="cuda")

    alone = sorted(run.curve[-1].loss for run in in_order(run, range(4), no_news, lost))
    beside = SideBySide[int, Run]("cuda", lambda: 4)(run, range(4), no_news, lost)
    assert sorted(run.curve[-1].loss for run in beside) == pytest.approx(alone, rel=0.02)
