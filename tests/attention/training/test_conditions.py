"""What is known before a study starts: a batch that cannot be filled, images that are never seen."""

import numpy as np
import pytest

from attention.errors import InvalidRequest
from attention.measuring.decision import Rule
from attention.spec import Recipe
from attention.training.conditions import check_trainable, earlier_spread, seeds_advice, unseen_images


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


def test_the_spread_of_earlier_runs_is_that_of_paired_differences_pooled_over_arms() -> None:
    generator = np.random.default_rng(1)
    base = generator.normal(80, 0.5, 8)
    arms = {"a": base + generator.normal(1, 0.4, 8), "b": base + generator.normal(0, 0.4, 8)}
    scores = {name: dict(enumerate(column)) for name, column in {"none": base, **arms}.items()}
    scores["few"] = {0: 50.0, 1: 90.0}
    spread = earlier_spread(scores, "none")
    pooled = np.sqrt(np.mean([np.var(column - base, ddof=1) for column in arms.values()]))
    assert spread is not None and spread[0] == pytest.approx(pooled) and spread[1] == 16
    assert earlier_spread({"none": scores["none"], "few": scores["few"]}, "none") is None


def test_what_seeds_can_tell_is_said_with_and_without_earlier_runs() -> None:
    rule = Rule(3, 8, 3, 0.3)
    said = seeds_advice(rule, 24, (0.4, 16), 0.3)
    assert (
        "vary by 0.40 points" in said and "46 %" in said and "34 seeds in all" in said
    )  # the planner's worked example
    unknown = seeds_advice(rule, 8, None, 0.3)
    assert "not known" in unknown and "0.15 points: 8, 0.3 points: 21, 0.6 points: 70" in unknown
