"""What follows from the true and the predicted classes of a run's test images: per class, balanced, and confused."""

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.integer]
Counts = NDArray[np.int64]


def confusion(labels: Classes, predicted: Classes, classes: int) -> Counts:
    """Count images by true class (row) and predicted class (column): (K, K)."""
    return np.bincount(labels.astype(np.int64) * classes + predicted, minlength=classes**2).reshape(classes, classes)


def recalls(counts: Counts) -> NDArray[np.float64]:
    """Compute each class's share of images that are told rightly, (K,); not a number for a class without images."""
    with np.errstate(invalid="ignore"):
        return np.diag(counts) / counts.sum(1)


def balanced_accuracy(counts: Counts) -> float:
    """Compute the mean recall of the classes that have images, 0..1."""
    return float(np.nanmean(recalls(counts)))


def macro_f1(counts: Counts) -> float:
    """Compute the mean over classes of F1 = 2 right / (true + predicted); 0 for a class that is neither, range 0..1."""
    either = counts.sum(0) + counts.sum(1)
    return float(np.mean(2 * np.diag(counts) / np.maximum(either, 1)))
