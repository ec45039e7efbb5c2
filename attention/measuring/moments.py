"""Running mean and variance, so that images can pass by in any batches and need not be kept.

Merging is that of Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances",
1979, http://i.stanford.edu/pub/cstr/reports/cs/tr/79/773/CS-TR-79-773.pdf: the same numbers as from all values at once,
however they were cut up, where the sum of squares minus the square of the sum would lose them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Moments:
    """How many values were seen, their mean, and the sum of their squared distances from it, entry by entry."""

    count: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """The moments over the first axis of values (n, ...), n at least 1."""
        whole = np.asarray(values, dtype=np.float64)
        mean = whole.mean(0)
        return cls(len(whole), mean, np.square(whole - mean).sum(0))

    def __add__(self, other: "Moments") -> "Moments":
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        squares = self.squares + other.squares + np.square(apart) * (self.count * other.count / count)
        return Moments(count, mean, squares)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Variance over the values, divided by n."""
        return self.squares / self.count

    @property
    def std(self) -> NDArray[np.float64] | None:
        """Standard deviation, divided by n - 1; None for one value."""
        if self.count < 2:
            return None
        deviation: NDArray[np.float64] = np.sqrt(self.squares / (self.count - 1))
        return deviation


def together(parts: Iterable[Moments]) -> Moments:
    """The moments of all values of some parts, of which there is at least one."""
    first, *rest = parts
    for part in rest:
        first = first + part
    return first
