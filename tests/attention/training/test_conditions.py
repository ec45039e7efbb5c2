"""What is known before a study starts: a batch that cannot be filled, images that are never seen."""

import numpy as np
import pytest

from attention.errors import InvalidRequest
from attention.spec import Recipe
from attention.training.conditions import check_trainable, unseen_images


def test_a_batch_larger_than_the_training_images_is_refused() -> None:
    check_trainable(Recipe(batch_size=24), 24, "shades")
    with pytest.raises(InvalidRequest, match="24 training images.*one batch of 128.*at most 24"):
        check_trainable(Recipe(batch_size=128), 24, "shades")


@pytest.mark.parametrize(("images", "batch", "epochs"), [(100, 64, 1), (100, 64, 3), (100, 51, 2), (1000, 512, 4)])
def test_images_that_are_never_seen_are_counted_as_a_simulation_does(images: int, batch: int, epochs: int) -> None:
    generator, unseen = np.random.default_rng(0), []
    for _ in range(400):
        seen = np.zeros(images, bool)
        for _ in range(epochs):
            seen[generator.permutation(images)[: images // batch * batch]] = True
        unseen.append(images - seen.sum())
    sentence = unseen_images(Recipe(epochs=epochs, batch_size=batch), images)
    assert sentence is not None
    assert int(sentence.split()[1]) == pytest.approx(np.mean(unseen), abs=1 + 0.05 * images**0.5)


def test_where_all_images_are_seen_nothing_is_said() -> None:
    assert unseen_images(Recipe(epochs=1, batch_size=50), 100) is None
    assert unseen_images(Recipe(epochs=40, batch_size=128), 50_000) is None
