"""The checkpoints that come with the project: they load, say where they come from, and have learnt something."""

from pathlib import Path

import pytest
import torch

from attention import weights
from attention.build import build, preprocess_of
from attention.files import Files, samples
from attention.images import preprocess
from attention.spec import Variant

TRIO = ("none", "se", "eca")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.mark.parametrize("name", TRIO)
def test_a_card_says_what_was_trained_on_what_and_how_well_it_does(name: str) -> None:
    card = weights.card(Variant.parse(name))
    assert card is not None and card.labels == CIFAR10
    assert card.data == "CIFAR-10 (JPEG q75)", "accuracies on these copies must not pass for those on the originals"
    assert (card.train_images, card.test_images) == (50_000, 10_000)
    assert 0.75 < card.test_accuracy < 0.95 and card.seconds > 0
    assert card.command.startswith("python -m attention.train ") and card.variant.name in card.command
    assert card.preprocess.size == 32 and card.device and card.date and card.torch


def test_the_trio_was_trained_alike() -> None:
    cards = [weights.card(Variant.parse(name)) for name in TRIO]
    assert len({(card.recipe, card.seed, card.preprocess, card.data) for card in cards if card}) == 1


@pytest.mark.parametrize("name", TRIO)
@pytest.mark.parametrize(("photo", "label"), [("horses.jpg", "horse"), ("moose.jpg", "deer")])
def test_it_sees_in_a_real_photo_what_a_person_would(name: str, photo: str, label: str, tmp_path: Path) -> None:
    variant = Variant.parse(name)
    (sample,) = (sample for sample in samples() if sample.name == photo)
    image = preprocess(Files(tmp_path).image(sample.id), preprocess_of(variant))[None]
    with torch.inference_mode():
        share = build(variant)(image).softmax(1)[0]
    assert CIFAR10[int(share.argmax())] == label and share.max() > 0.5
