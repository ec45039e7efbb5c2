"""Recorded steps: nothing in them waits or freezes a number, and they train what eager steps train."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from attention.data.dataset import DataSet
from attention.spec import Recipe, Variant
from attention.training.augmentation import Draw, draws
from attention.training.graphs import WARM_UPS, Recorded, packed_bytes, unpacked
from attention.training.train import train
from tests.attention.training.tape import Tape
from tests.attention.training.test_train import RECIPE, TINY, Killed, kill_in_epoch, split

PHOTOS = RECIPE.model_copy(update={"least_crop_area": 0.5, "colour_jitter": 0.3, "ema": 0.9})


@pytest.fixture(scope="module")
def data() -> DataSet:
    return DataSet("noise", ("red", "green", "blue"), split(120, 0), split(30, 1), validation=split(24, 2))


@pytest.mark.full
@pytest.mark.parametrize("recipe", [RECIPE, PHOTOS], ids=["moved", "resized, recoloured, averaged"])
@pytest.mark.parametrize("name", ["none", "eca", "cbam"])
def test_recorded_steps_train_what_eager_steps_train(data: DataSet, recipe: Recipe, name: str, tmp_path: Path) -> None:
    variant, tape = Variant.parse(f"resnet20(width=4)/{name}"), Tape()
    eager = train(variant, recipe, data, resume=tmp_path / "eager")
    recorded = train(variant, recipe, data, recorder=tape, resume=tmp_path / "recorded")
    steps = recipe.epochs * (len(data.train) // recipe.batch_size)
    tests = recipe.epochs  # one batch of validation images each
    assert tape.recordings == 1 and tape.eager_calls == WARM_UPS + tests
    assert tape.replays == steps - WARM_UPS
    for ours, theirs in zip(recorded.curve, eager.curve, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-4)
    state, truth = recorded.model.state_dict(), eager.model.state_dict()
    for key, value in truth.items():
        torch.testing.assert_close(state[key], value, rtol=1e-3, atol=1e-4, msg=key)
    assert torch.equal(recorded.predicted, eager.predicted)


@pytest.mark.full
def test_a_recorded_run_that_was_killed_goes_on_as_the_eager_one_would(data: DataSet, tmp_path: Path) -> None:
    state, whole = tmp_path / "state", train(TINY, PHOTOS, data)
    with pytest.raises(Killed):
        train(TINY, PHOTOS, data, resume=state, recorder=Tape(), on_epoch=kill_in_epoch(2))
    resumed = train(TINY, PHOTOS, data, resume=state, recorder=Tape())
    assert [point.loss for point in resumed.curve] == pytest.approx([point.loss for point in whole.curve], rel=1e-4)
    for key, value in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[key], value, rtol=1e-3, atol=1e-4, msg=key)


@pytest.mark.full
def test_tests_are_replayed_too_with_the_weights_of_their_time(data: DataSet) -> None:
    many = replace(data, validation=split(1100, 5))
    tape, eager = Tape(), train(TINY, RECIPE, many)
    recorded = train(TINY, RECIPE, many, recorder=tape)
    assert tape.recordings == 2
    for ours, theirs in zip(recorded.curve, eager.curve, strict=True):
        assert ours.validation_accuracy == pytest.approx(theirs.validation_accuracy, abs=0.01)


def test_a_recording_reads_what_is_there_when_it_is_replayed() -> None:
    weight, tape = torch.ones(2), Tape()
    function = Recorded(lambda value, nothing: weight.mul_(2) + value, tape)
    results = [function(torch.full((2,), float(number)), None).tolist() for number in range(WARM_UPS + 3)]
    assert results == [[2.0 ** (number + 1) + number] * 2 for number in range(WARM_UPS + 3)]
    assert function.recorded and tape.replays == 3
    assert function(torch.zeros(1), None).tolist() == [128.0, 128.0] and tape.replays == 3  # another shape


def test_what_waits_for_the_device_runs_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    total = torch.zeros(())

    def waits(value: Tensor) -> Tensor:
        total.add_(value)
        return total * (2.0 if total.item() > 3 else 1.0)

    function = Recorded(waits, Tape())
    assert [float(function(torch.ones(()))) for _ in range(6)] == [1, 2, 3, 8, 10, 12]
    assert not function.recorded and caplog.text.count("not permitted") == 1


def epoch(recipe: Recipe) -> Iterator[Draw]:
    return draws(50, 8, recipe, seed=3, epoch=1)


@pytest.mark.parametrize("recipe", [RECIPE, PHOTOS, RECIPE.model_copy(update={"colour_jitter": 0.1})])
def test_an_epochs_draws_in_one_copy_are_the_draws_one_by_one(recipe: Recipe) -> None:
    steps = list(epoch(recipe))
    columns = [torch.stack(values) for values in zip(*steps, strict=True) if values[0] is not None]
    arrived = unpacked(packed_bytes(columns), columns)
    for number, draw in enumerate(steps):
        for value, column in zip((part for part in draw if part is not None), arrived, strict=True):
            assert value.dtype == column.dtype and torch.equal(value, column[number])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_graphs_train_what_eager_steps_train(data: DataSet) -> None:
    eager = train(TINY, RECIPE, data, device="cuda", graphs=False)
    recorded = train(TINY, RECIPE, data, device="cuda")
    for ours, theirs in zip(recorded.curve, eager.curve, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=0.02)
