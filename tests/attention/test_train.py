"""Training: a loop that learns, pairs its runs by seed, and resumes to the same result."""

import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from attention.datasets import DataSet, Split
from attention.errors import BadData, Diverged
from attention.reports.checkpoints import Card
from attention.spec import Recipe, Variant
from attention.train import Epoch, _batches, evaluate, learning_rate, main, train

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
    return DataSet("noise", ("red", "green", "blue"), split(120, 0), split(30, 1))


def test_a_network_learns_what_can_be_learnt(data: DataSet) -> None:
    seen: list[Epoch] = []
    run = train(TINY, RECIPE, data, on_epoch=seen.append)
    assert run.curve == tuple(seen) and [epoch.epoch for epoch in seen] == [1, 2, 3]
    assert seen[-1].loss < seen[0].loss and seen[-1].test_accuracy > 0.8
    assert evaluate(run.model, data.test, data.preprocess()) == seen[-1].test_accuracy
    assert not run.model.training


def test_the_same_seed_gives_the_same_network_and_another_seed_another(data: DataSet) -> None:
    runs = [train(TINY, RECIPE, data, seed=seed).model.state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])
    assert not torch.equal(runs[0]["conv1.weight"], runs[2]["conv1.weight"])


def test_a_killed_run_resumes_to_the_same_result(data: DataSet, tmp_path: Path) -> None:
    whole = train(TINY, RECIPE, data, seed=3)
    state = tmp_path / "state"

    class Killed(Exception):
        pass

    def kill(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train(TINY, RECIPE, data, seed=3, resume=state, on_epoch=kill)
    rest: list[int] = []
    resumed = train(TINY, RECIPE, data, seed=3, resume=state, on_epoch=lambda epoch: rest.append(epoch.epoch))
    assert rest == [3]
    expected = whole.model.state_dict()
    assert all(torch.equal(expected[key], value) for key, value in resumed.model.state_dict().items())
    assert [epoch.loss for epoch in resumed.curve] == [epoch.loss for epoch in whole.curve]


def test_order_crops_and_flips_depend_on_seed_and_epoch_alone(data: DataSet) -> None:
    def drawn(seed: int, epoch: int) -> torch.Tensor:
        return torch.cat([torch.cat([o[:, None], r, c], 1) for o, r, c in _batches(data, RECIPE, seed, epoch)])

    torch.manual_seed(123)
    once = drawn(0, 0)
    torch.manual_seed(321)
    assert torch.equal(once, drawn(0, 0))
    assert not torch.equal(once, drawn(0, 1)) and not torch.equal(once, drawn(1, 0))


def test_each_crop_is_a_window_of_the_padded_image_straight_or_mirrored(data: DataSet) -> None:
    order, rows, columns = next(_batches(data, RECIPE, 0, 0))
    assert len(set(order.tolist())) == 16 and rows.min() >= 0 and rows.max() < 10
    assert (rows.diff(dim=1) == 1).all()
    steps = columns.diff(dim=1)
    assert ((steps == 1).all(1) | (steps == -1).all(1)).all()
    assert 0 < (steps[:, 0] == -1).sum() < 16


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


def write_folder(root: Path, train_count: int = 20) -> Path:
    for part, count in (("train", train_count), ("test", 4)):
        images = split(3 * count, 0).images
        for number in range(3 * count):
            path = root / part / "rgb"[number % 3] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[number].numpy()).save(path)
    return root


def test_the_command_writes_weights_and_a_card_and_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(write_folder(tmp_path / "data", train_count=50))
    out = tmp_path / "out"
    arguments = [folder, "resnet20(width=4)/se", "--size", "8", "--epochs", "1", "--out", str(out), "--seed", "2"]
    assert main([*arguments, "--device", "cpu", "--data-name", "noise"]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "resnet20-width=4--se.json",
        "resnet20-width=4--se.safetensors",
    ]
    card = Card.model_validate_json((out / "resnet20-width=4--se.json").read_text())
    assert (card.data, card.labels, card.seed, card.recipe.epochs) == ("noise", ("b", "g", "r"), 2, 1)
    assert card.variant == Variant.parse("resnet20(width=4)/se") and card.train_images == 150 and card.test_images == 12
    assert "epoch 1/1" in capsys.readouterr().out
    assert main([str(tmp_path / "nowhere"), "resnet20/se"]) == 2
    assert "There is no data set at" in capsys.readouterr().err
