"""Numbers per class against naive loops over images, and classes packed into bytes."""

from base64 import b64decode

import numpy as np
import pytest

from attention.measuring.classification import balanced_accuracy, confusion, macro_f1, recalls
from attention.reports.parts.predictions import PackedClasses


def answers(seed: int, images: int = 400, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Labels of very unequal frequency, and predictions of which about half are right; class 5 is never predicted."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, images, p=[0.5, 0.3, 0.1, 0.05, 0.03, 0.02])
    predicted = np.where(rng.random(images) < 0.5, labels, rng.integers(0, classes, images))
    return labels, np.where(predicted == 5, 0, predicted).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_confusion_and_recalls_are_counts_over_images(seed: int) -> None:
    labels, predicted = answers(seed)
    counts = confusion(labels, predicted, 6)
    for true in range(6):
        for told in range(6):
            assert counts[true, told] == sum(a == true and b == told for a, b in zip(labels, predicted, strict=True))
    for number, recall in enumerate(recalls(counts)):
        of_class = [b == number for a, b in zip(labels, predicted, strict=True) if a == number]
        assert recall == pytest.approx(sum(of_class) / len(of_class)) if of_class else np.isnan(recall)
    assert counts.sum() == len(labels) and np.diag(counts).sum() == (labels == predicted).sum()


@pytest.mark.parametrize("seed", range(5))
def test_balanced_accuracy_and_f1_are_means_over_classes(seed: int) -> None:
    labels, predicted = answers(seed)
    shares, scores = [], []
    for number in range(6):
        right = sum(a == b == number for a, b in zip(labels, predicted, strict=True))
        true, told = int((labels == number).sum()), int((predicted == number).sum())
        if true:
            shares.append(right / true)
        precision, recall = (right / told if told else 0), (right / true if true else 0)
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0)
    counts = confusion(labels, predicted, 6)
    assert balanced_accuracy(counts) == pytest.approx(sum(shares) / len(shares))
    assert macro_f1(counts) == pytest.approx(sum(scores) / 6)


def test_naming_one_class_always_is_balanced_accuracy_by_chance() -> None:
    labels = np.array([0] * 38 + [1] * 2)
    counts = confusion(labels, np.zeros(40, np.uint8), 2)
    assert balanced_accuracy(counts) == 0.5 and recalls(counts).tolist() == [1, 0]
    assert macro_f1(counts) == pytest.approx((2 * 38 / (38 + 40)) / 2)


@pytest.mark.parametrize(("largest", "width"), [(9, 1), (255, 1), (256, 2), (65_535, 2), (65_536, 4)])
def test_classes_are_packed_into_as_few_bytes_as_they_need(largest: int, width: int) -> None:
    numbers = [*np.random.default_rng(0).integers(0, largest + 1, 1000).tolist(), largest]
    packed = PackedClasses.of(numbers)
    again = PackedClasses.model_validate_json(packed.model_dump_json())
    assert packed.width == width and again.numbers() == numbers
    assert len(packed.model_dump_json()) < 1.34 * width * 1001 + 60
    assert PackedClasses.of([]).numbers() == []


def test_packed_classes_are_read_by_numpy_too() -> None:
    packed = PackedClasses.of([1, 300, 65_535])
    assert np.frombuffer(b64decode(packed.base64), f"<u{packed.width}").tolist() == [1, 300, 65_535]
