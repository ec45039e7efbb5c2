"""What is said of gates over many images, against plain formulas over the whole array, and against SciPy."""

from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from attention.analyses.excitation import ClassMoments
from attention.measuring.channel_gates import (
    class_share,
    class_share_by_chance,
    effective_rank,
    order_between,
    order_between_images,
    per_channel,
    spaced,
    static_share,
    without_order,
)
from attention.measuring.moments import Moments, together

RNG = np.random.default_rng(7)
IMAGES, CHANNELS = 23, 12
GATES = RNG.uniform(0, 1, (IMAGES, CHANNELS)) + RNG.normal(0, 0.3, CHANNELS)
LABELS = RNG.integers(0, 4, IMAGES)


def by_class(gates: NDArray[np.float64], labels: NDArray[np.int64]) -> list[Moments]:
    return [Moments.of(gates[labels == label]) for label in np.unique(labels)]


@pytest.mark.parametrize("cuts", [(), (1,), (5, 6, 20), tuple(range(1, IMAGES))])
def test_moments_of_any_batches_are_those_of_the_whole(cuts: tuple[int, ...]) -> None:
    parts = [Moments.of(part) for part in np.split(GATES, cuts)]
    for whole in (together(parts), together(reversed(parts))):
        np.testing.assert_allclose(whole.mean, GATES.mean(0), rtol=1e-13)
        np.testing.assert_allclose(whole.variance, GATES.var(0), rtol=1e-12)
        np.testing.assert_allclose(whole.std, GATES.std(0, ddof=1), rtol=1e-12)  # type: ignore[arg-type]
    assert parts[0].std is None or len(np.split(GATES, cuts)[0]) > 1


def test_moments_keep_a_small_spread_on_a_large_mean() -> None:
    values = 1e8 + RNG.uniform(0, 1, (1000, 3))
    running = together(Moments.of(row[None]) for row in values)
    np.testing.assert_allclose(running.variance, values.var(0), rtol=1e-6)
    naive = np.square(values).mean(0) - np.square(values.mean(0))
    assert not np.allclose(naive, values.var(0), rtol=0.1)  # what Chan's formula is there for


def test_classes_gathered_batch_by_batch_are_those_of_the_whole() -> None:
    labels = [str(label) for label in LABELS]
    for size in (1, 4, IMAGES):
        seen = ClassMoments()
        for start in range(0, IMAGES, size):
            some = slice(start, start + size)
            seen.add(labels[some], {"gate": torch.from_numpy(GATES[some])})
        for label in np.unique(LABELS):
            of_class, found = GATES[label == LABELS], seen.moments["gate"][str(label)]
            assert seen.counts[str(label)] == found.count == len(of_class)
            np.testing.assert_allclose(found.mean, of_class.mean(0))
            np.testing.assert_allclose(found.variance, of_class.var(0))


def test_the_static_share_is_its_definition() -> None:
    assert static_share(Moments.of(GATES)) == pytest.approx(GATES.mean(0).var() / GATES.var())


def test_the_class_share_is_its_definition() -> None:
    expected = np.empty_like(GATES)
    for label in np.unique(LABELS):
        expected[label == LABELS] = GATES[label == LABELS].mean(0)
    # E[g | class] for each image, so that classes count by their images; then Var over images, E over channels.
    assert class_share(by_class(GATES, LABELS)) == pytest.approx(expected.var(0).mean() / GATES.var(0).mean())


@pytest.mark.full
def test_by_chance_is_the_mean_over_shuffled_labels() -> None:
    shares = [class_share(by_class(GATES, RNG.permutation(LABELS))) or 0.0 for _ in range(2000)]
    by_chance = class_share_by_chance(by_class(GATES, LABELS))
    assert by_chance == (4 - 1) / (IMAGES - 1)
    assert np.mean(shares) == pytest.approx(by_chance, abs=4 * np.std(shares) / np.sqrt(2000))


def test_gates_that_are_the_same_for_every_image_are_wholly_static() -> None:
    same = np.tile(RNG.uniform(0, 1, CHANNELS), (IMAGES, 1))
    assert static_share(Moments.of(same)) == pytest.approx(1)
    assert class_share(by_class(same, LABELS)) is None  # nothing differs, so nothing is due to the class
    assert effective_rank(same) == pytest.approx(1)
    assert effective_rank(same - same.mean(0), float(np.square(same).mean())) is None


def test_gates_of_the_class_alone_have_a_class_share_of_one() -> None:
    profiles = RNG.uniform(0, 1, (4, CHANNELS))
    assert class_share(by_class(profiles[LABELS], LABELS)) == pytest.approx(1)
    alike = profiles - profiles.mean(0)  # every channel has the same mean over the classes
    even = np.repeat(np.arange(4), 5)
    assert static_share(Moments.of(alike[even])) == pytest.approx(0, abs=1e-12)


def test_a_constant_gate_has_no_shares_and_no_order() -> None:
    half = np.full((IMAGES, CHANNELS), np.float64(np.float32(0.3)))
    assert static_share(together(Moments.of(row[None]) for row in half)) is None
    assert class_share(by_class(half, LABELS)) is None
    assert order_between_images(half) is None and without_order(half) == IMAGES
    assert effective_rank(np.zeros((3, 4))) is None


def test_without_a_second_image_of_any_class_there_is_no_class_share() -> None:
    alone = [Moments.of(row[None]) for row in GATES]
    assert class_share(alone) is None and class_share_by_chance(alone) is None
    assert class_share([Moments.of(GATES)]) is None


@pytest.mark.parametrize("rank", [1, 3, CHANNELS])
def test_equal_singular_values_have_their_number_as_effective_rank(rank: int) -> None:
    left = np.linalg.qr(RNG.normal(size=(IMAGES, IMAGES)))[0][:, :rank]
    right = np.linalg.qr(RNG.normal(size=(CHANNELS, CHANNELS)))[0][:rank]
    assert effective_rank(left @ right) == pytest.approx(rank)


def test_the_effective_rank_is_the_entropy_of_the_singular_values() -> None:
    singular = np.sqrt(np.linalg.eigvalsh(GATES.T @ GATES))  # another way to the singular values
    shares = singular / singular.sum()
    assert effective_rank(GATES) == pytest.approx(np.prod(shares**-shares))


def test_orders_are_scipys_rank_correlations() -> None:
    gates = GATES.round(1)  # with ties
    pairs = [spearmanr(gates[i], gates[j]).statistic for i, j in combinations(range(IMAGES), 2)]
    assert order_between_images(gates) == pytest.approx(np.mean(pairs))
    other = RNG.uniform(0, 1, gates.shape)
    rows = [spearmanr(gates[i], other[i]).statistic for i in range(IMAGES)]
    assert order_between(gates, other) == pytest.approx(np.mean(rows))
    assert order_between(gates, gates) == pytest.approx(1) == order_between(gates, np.exp(3 * gates))


def test_images_whose_gate_is_constant_are_left_out_of_the_order() -> None:
    dead = np.vstack([GATES, np.full((2, CHANNELS), 0.5)])
    assert without_order(dead) == 2
    assert order_between_images(dead) == pytest.approx(order_between_images(GATES))
    assert order_between(dead, dead) == pytest.approx(1)


def test_every_kind_with_weights_for_a_channel_is_brought_down_to_them() -> None:
    full = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(per_channel(full, "full"), torch.einsum("bchw->bc", full) / 20)
    torch.testing.assert_close(per_channel(full[..., :1], "rows"), full[..., 0].mean(2))
    torch.testing.assert_close(per_channel(full[:, :, :1], "columns"), full[:, :, 0].mean(2))
    assert torch.equal(per_channel(full[:, :, :1, :1], "channel"), full[:, :, 0, 0])
    choice = torch.rand(2, 3, 7, 1, 1).softmax(1)
    assert torch.equal(per_channel(choice, "branch"), choice[:, 2, :, 0, 0])


def test_evenly_spaced_channels_run_from_the_first_to_the_last() -> None:
    assert spaced(5, 9) == spaced(5, 5) == [0, 1, 2, 3, 4]
    for count, most in ((64, 50), (2048, 50), (17, 2)):
        found = spaced(count, most)
        assert len(set(found)) == most and found == sorted(found) and (found[0], found[-1]) == (0, count - 1)
        assert max(np.diff(found)) - min(np.diff(found)) <= 1
