"""Training: a loop that learns, pairs its runs by seed, and resumes to the same result."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor, nn

from attention.commands import main
from attention.commands import train as train_command
from attention.data.dataset import DataSet, Split
from attention.data.preprocessing import normalise
from attention.errors import BadData, Diverged, TooLarge
from attention.progress import ProgressLine
from attention.reports.parts.checkpoints import Card
from attention.spec import Preprocess, Recipe, Variant
from attention.training.cards import card_of
from attention.training.checkpointing import Epoch
from attention.training.train import Run, evaluate, learning_rate, predict, train

TINY = Variant.parse("resnet20(width=4)/eca")
RECIPE = Recipe(epochs=3, batch_size=16, lr=0.05, crop_padding=1)


def split(count: int, seed: int) -> Split:
    """Noise in which the class is the channel that is brightest."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    images = torch.randint(0, 150, (count, 8, 8, 3), generator=generator, dtype=torch.uint8)
    images[torch.arange(count), :, :, labels] += 100
    return Split(images, labels)


@pytest.fixture(scope="module")
def data() -> DataSet:
    return DataSet("noise", ("red", "green", "blue"), split(120, 0), split(30, 1), validation=split(24, 2))


def test_a_network_learns_what_can_be_learnt(data: DataSet) -> None:
    seen: list[Epoch] = []
    run = train(TINY, RECIPE, data, on_epoch=seen.append)
    assert run.curve == tuple(seen) and [epoch.epoch for epoch in seen] == [1, 2, 3]
    assert seen[-1].loss < seen[0].loss and seen[-1].accuracy > 0.8
    assert evaluate(run.model, data.test, data.preprocess()) == run.test_accuracy
    assert not run.model.training


@pytest.mark.full
def test_the_same_seed_gives_the_same_network_and_another_seed_another(data: DataSet) -> None:
    runs = [train(TINY, RECIPE, data, seed=seed).model.state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])
    assert not torch.equal(runs[0]["conv1.weight"], runs[2]["conv1.weight"])


class Killed(Exception):
    """What ends a run from outside."""


def kill_in_epoch(number: int) -> Callable[[Epoch], None]:
    def kill(epoch: Epoch) -> None:
        if epoch.epoch == number:
            raise Killed

    return kill


@pytest.mark.full
@pytest.mark.parametrize(
    "changes", [{"ema": 0.0}, {"ema": 0.9}, {"crop_padding": 0, "least_crop_area": 0.25, "colour_jitter": 0.3}]
)
def test_a_killed_run_resumes_to_the_same_result(data: DataSet, tmp_path: Path, changes: dict[str, float]) -> None:
    recipe = RECIPE.model_copy(update=changes)
    whole = train(TINY, recipe, data, seed=3)
    state = tmp_path / "state"
    with pytest.raises(Killed):
        train(TINY, recipe, data, seed=3, resume=state, on_epoch=kill_in_epoch(2))
    rest: list[int] = []
    resumed = train(TINY, recipe, data, seed=3, resume=state, on_epoch=lambda epoch: rest.append(epoch.epoch))
    assert rest == [3]
    expected = whole.model.state_dict()
    assert all(torch.equal(expected[key], value) for key, value in resumed.model.state_dict().items())
    assert [epoch.loss for epoch in resumed.curve] == [epoch.loss for epoch in whole.curve]
    assert [epoch.accuracy for epoch in resumed.curve] == [epoch.accuracy for epoch in whole.curve]
    assert torch.equal(resumed.predicted, whole.predicted) and resumed.places == whole.places


# ------------------------------------------------------------------ validation and test


@pytest.mark.full
def test_the_test_images_are_touched_once_after_the_last_epoch(data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[str] = []

    def note(model: nn.Module, split: Split, how: Preprocess, classes_of: Callable[[Tensor], Tensor]) -> Tensor:
        touched.append("test" if split is data.test else "validation" if split is data.validation else "train")
        return predict(model, split, how, classes_of)

    monkeypatch.setattr("attention.training.train.predict", note)
    run = train(TINY, RECIPE, data)
    assert touched == ["validation"] * 3 + ["test"]
    assert all(epoch.test_accuracy is None and epoch.validation_accuracy is not None for epoch in run.curve)
    assert run.test_accuracy == (run.predicted == data.test.labels).double().mean().item()


@pytest.mark.full
def test_validation_images_change_nothing_but_what_is_shown(data: DataSet) -> None:
    without = train(TINY, RECIPE, replace(data, validation=None))
    beside = train(TINY, RECIPE, data)
    assert torch.equal(without.predicted, beside.predicted)
    assert [epoch.loss for epoch in without.curve] == [epoch.loss for epoch in beside.curve]
    assert without.curve[-1].test_accuracy == without.test_accuracy and without.curve[-1].validation_accuracy is None


@pytest.mark.full
def test_predictions_are_the_first_class_of_each_image_by_itself(data: DataSet) -> None:
    run = train(TINY, RECIPE, data)
    assert torch.equal(predict(run.model, data.test, data.preprocess(), batch_size=7), run.predicted)
    with torch.no_grad():
        for image, found in zip(data.test.images, run.predicted.tolist(), strict=True):
            logits = run.model(normalise(image.permute(2, 0, 1)[None], data.preprocess()))
            assert int(logits.argmax()) == found


@pytest.mark.full
def test_a_run_that_goes_on_with_other_threads_says_so_on_its_card(data: DataSet, tmp_path: Path) -> None:
    threads, state = torch.get_num_threads(), tmp_path / "state"
    with pytest.raises(Killed):
        train(TINY, RECIPE, data, resume=state, on_epoch=kill_in_epoch(1))
    try:
        torch.set_num_threads(threads + 1)
        run = train(TINY, RECIPE, data, resume=state)
        card = card_of(TINY, RECIPE, 0, data, run, "a command")
    finally:
        torch.set_num_threads(threads)
    assert f", {threads + 1} thread" in card.device and len(card.resumed) == 1
    assert f", {threads} thread" in card.resumed[0]
    stayed = train(TINY, RECIPE, data)
    assert card_of(TINY, RECIPE, 0, data, stayed, "a command").resumed == ()


def test_weights_that_are_not_numbers_after_the_last_step_are_not_a_result(
    data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of the last step is of the weights before it."""
    monkeypatch.setattr("attention.training.train.learning_rate", lambda *_: math.inf)
    with pytest.raises(Diverged, match="a weight is not a number"):
        train(TINY, Recipe(epochs=1, batch_size=100), data)


# ------------------------------------------------------------------ the average of the weights

ONE_STEP = Recipe(epochs=4, batch_size=100, lr=0.05, crop_padding=1)
"""A batch of 100 of 120 images: one step an epoch, so that the state after an epoch is the state after a step."""


def weights_after_each_epoch(recipe: Recipe, data: DataSet, state: Path) -> tuple[list[dict[str, Tensor]], Run]:
    """The weights that are being trained, read from the state that is kept for resuming."""
    seen: list[dict[str, Tensor]] = []

    def look(epoch: Epoch) -> None:
        with safe_open(state, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith("model.")]  # noqa: SIM118
            seen.append({name.removeprefix("model."): file.get_tensor(name) for name in names})

    return seen, train(TINY, recipe, data, resume=state, on_epoch=look)


@pytest.mark.full
def test_with_ema_what_is_tested_and_kept_is_the_average_of_the_weights_after_each_step(
    data: DataSet, tmp_path: Path
) -> None:
    decay = 0.6
    steps, plain = weights_after_each_epoch(ONE_STEP, data, tmp_path / "plain")
    averaged = train(TINY, ONE_STEP.model_copy(update={"ema": decay}), data)
    expected = {name: value.double() for name, value in steps[0].items() if value.is_floating_point()}
    for after in steps[1:]:
        expected = {name: decay * value + (1 - decay) * after[name].double() for name, value in expected.items()}
    kept = averaged.model.state_dict()
    assert "bn1.running_var" in expected and len(steps) == 4
    for name, value in expected.items():
        torch.testing.assert_close(kept[name].double(), value, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(kept["conv1.weight"], plain.model.state_dict()["conv1.weight"], rtol=1e-3)
    assert [epoch.loss for epoch in averaged.curve] == [epoch.loss for epoch in plain.curve], "it changes no step"
    assert data.validation is not None
    assert averaged.curve[-1].accuracy == evaluate(averaged.model, data.validation, data.preprocess())
    assert averaged.test_accuracy == evaluate(averaged.model, data.test, data.preprocess())
    assert kept.keys() == plain.model.state_dict().keys() and not averaged.model.training


@pytest.mark.full
def test_without_ema_the_trained_weights_themselves_are_kept(data: DataSet, tmp_path: Path) -> None:
    steps, run = weights_after_each_epoch(ONE_STEP.model_copy(update={"ema": 0.0}), data, tmp_path / "state")
    assert all(torch.equal(steps[-1][name], value) for name, value in run.model.state_dict().items())
    with safe_open(tmp_path / "state", framework="pt") as file:
        assert not [name for name in file.keys() if name.startswith("average.")]  # noqa: SIM118


# ------------------------------------------------------------------ what is drawn, and the rate


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    recipe = Recipe(lr=0.4, warmup=0.25)
    rates = [learning_rate(recipe, step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(0.4) and rates.index(max(rates)) in (24, 25)
    assert rates[0] == pytest.approx(0.4 / 25) and rates[-1] < 0.001
    assert rates[:25] == sorted(rates[:25]) and rates[25:] == sorted(rates[25:], reverse=True)
    assert learning_rate(Recipe(lr=0.4, warmup=0.0), 0, 10) == pytest.approx(0.4)


def test_the_preprocessing_is_the_training_splits_mean_and_spread(data: DataSet) -> None:
    how, pixels = data.preprocess(), data.train.images.view(-1, 3).double() / 255
    assert how.size == how.resize == 8
    torch.testing.assert_close(torch.tensor(how.mean).double(), pixels.mean(0), rtol=0, atol=6e-5)
    torch.testing.assert_close(torch.tensor(how.std).double(), pixels.std(0, unbiased=False), rtol=0, atol=6e-5)


def test_a_loss_that_is_not_a_number_ends_with_a_sentence(data: DataSet) -> None:
    with pytest.raises(Diverged, match=r"resnet20.*diverged in epoch 1.*Lower the rate"):
        train(TINY, RECIPE.model_copy(update={"lr": math.inf}), data)


def test_too_few_images_for_a_batch_get_a_sentence(data: DataSet) -> None:
    with pytest.raises(BadData, match="120 training images do not fill one batch of 500"):
        train(TINY, RECIPE.model_copy(update={"batch_size": 500}), data)


@pytest.mark.full
def test_too_little_memory_ends_with_a_sentence_on_a_gpu_as_on_a_cpu(data: DataSet) -> None:
    def gpu(epoch: Epoch) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    def cpu(epoch: Epoch) -> None:
        torch.empty(2**55, dtype=torch.uint8)

    for trouble in (gpu, cpu):
        with pytest.raises(TooLarge, match="cpu has too little memory for batches of 16. Halve batch_size."):
            train(TINY, RECIPE, data, on_epoch=trouble)


def test_a_bug_is_not_told_as_a_lack_of_memory(data: DataSet) -> None:
    def bug(epoch: Epoch) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(TINY, RECIPE, data, on_epoch=bug)


def write_folder(root: Path, train_count: int = 20) -> Path:
    for part, count in (("train", train_count), ("test", 4)):
        images = split(3 * count, 0).images
        for number in range(3 * count):
            path = root / part / "rgb"[number % 3] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[number].numpy()).save(path)
    return root


@pytest.mark.full
def test_the_command_writes_weights_and_a_card_and_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(write_folder(tmp_path / "data", train_count=50))
    out = tmp_path / "out"
    arguments = [folder, "resnet20(width=4)/se", "--size", "8", "--epochs", "1", "--out", str(out), "--seed", "2"]
    assert main(["train", *arguments, "--device", "cpu", "--data-name", "noise"]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "resnet20-width=4--se.json",
        "resnet20-width=4--se.safetensors",
    ]
    card = Card.model_validate_json((out / "resnet20-width=4--se.json").read_text())
    assert (card.data, card.labels, card.seed, card.recipe.epochs) == ("noise", ("b", "g", "r"), 2, 1)
    assert card.variant == Variant.parse("resnet20(width=4)/se")
    assert (
        card.train_images,
        card.validation_images,
        card.test_images,
    ) == (135, 15, 12)
    told = capsys.readouterr().out
    assert "epoch 1/1" in told and "of 135 training images are never seen" in told and "few units (1 at 4" in told
    assert main(["train", str(tmp_path / "nowhere"), "resnet20/se"]) == 2
    assert "There is no data set at" in capsys.readouterr().err


class AtOnce(ProgressLine):
    """A line of progress that does not wait before it shows."""

    def __enter__(self) -> Self:
        self._show()
        return self


@pytest.mark.full
def test_the_command_says_how_far_the_reading_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(write_folder(tmp_path / "data", train_count=5))
    monkeypatch.setattr(train_command, "ProgressLine", AtOnce)
    assert main(["train", folder, "resnet20/se", "--size", "8", "--epochs", "0"]) == 2
    assert capsys.readouterr().err.startswith("--epochs is 0.")  # before anything is read
    assert main(["train", folder, "resnet20/se", "--size", "8", "--device", "cpu"]) == 2
    progress, sentence = capsys.readouterr().err.strip().rsplit("\n", 1)
    assert "working ..." in progress and "do not fill one batch" in sentence


@pytest.mark.full
def test_what_is_wrong_with_a_command_is_a_sentence_and_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(write_folder(tmp_path / "data", train_count=50))
    usual = ["--size", "8", "--epochs", "1", "--device", "cpu", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(train_command, "ProgressLine", partial(ProgressLine, after_s=1e9))  # however busy the machine

    def told(*more: str, name: str = "resnet20(width=4)/se") -> str:
        assert main(["train", folder, name, *usual, *more]) == 2
        out, err = capsys.readouterr()
        assert err.count("\n") == 1 and "Traceback" not in err and "wrote" not in out
        return err

    assert "--epochs is 0. Input should be greater than or equal to 1." in told("--epochs", "0")
    assert "--batch-size is 1." in told("--batch-size", "1")
    assert "135 training images do not fill one batch of 512" in told("--batch-size", "512")
    assert "--size is 2 pixels" in told("--size", "2")
    assert "--threads is 0" in told("--threads", "0")
    assert "There is no device 'gpu' here. There is: cpu" in told("--device", "gpu")
    assert "There is no attention module named 'cbma'. Did you mean 'cbam'?" in told(name="resnet20/cbma")

    for module, error, sentence in (
        ("evaluate", torch.OutOfMemoryError("CUDA out of memory."), "too little memory for batches of 128. Halve"),
        ("learning_rate", None, "diverged in epoch 1: its loss is nan. Lower the rate"),
    ):
        with monkeypatch.context() as patched:

            def trouble(*_: object, error: Exception | None = error) -> float:
                if error:
                    raise error
                return math.nan

            patched.setattr(f"attention.training.train.{module}", trouble)
            assert sentence in told("--recipe", "quick", "--batch-size", "128" if error else "64")

    for path in (tmp_path / "data" / "test" / "g").iterdir():
        path.unlink()
    assert "Class 'g' has no images in its test split. Add some, or remove it." in told()


@pytest.mark.full
def test_a_command_goes_on_with_a_run_of_its_own_recipe_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(write_folder(tmp_path / "data", train_count=50))
    usual = [folder, "resnet20(width=4)/se", "--size", "8", "--device", "cpu", "--out", str(tmp_path / "out")]

    def power_cut(*_: object) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("attention.commands.train.write_checkpoint", power_cut)
        assert main(["train", *usual, "--epochs", "1"]) == 130, "as shells say of what Ctrl-C ended"
    (kept,) = (tmp_path / "out").glob(".*.part")
    capsys.readouterr()
    assert main(["train", *usual, "--epochs", "2"]) == 0
    assert capsys.readouterr().out.count("  epoch ") == 2, "another recipe has begun anew"
    assert kept.exists() and main(["train", *usual, "--epochs", "1"]) == 0
    assert capsys.readouterr().out.count("  epoch ") == 0, "its only epoch was done"
    assert not kept.exists()
