"""Runs as a table of results has them, and the numbers in its cells."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from attention.errors import BadTable
from attention.reports.judge import LARGEST

NumberedRow = tuple[int, dict[str, str]]
"""One line of a table of results: its number in the file, and its cells by column."""


@dataclass(frozen=True)
class Result:
    """One run of a network, as a table of results tells of it.

    Args:
        seed: None where the table has none.
        score: None for a run that diverged.
        where: file and line, for sentences.
        epoch: the epoch or step of the score, where the table has several.
        right: whether the run is right on each test image (N,), where known.
        recalls: recall of each class, as shares or points, where known.
        last: the step at which a curve ends, where its end was taken.
    """

    arm: str
    seed: int | None
    score: float | None
    where: str
    epoch: int | None = None
    right: NDArray[np.bool_] | None = field(default=None, compare=False)
    recalls: Mapping[str, float] = field(default_factory=dict, compare=False)
    last: int | None = None


@dataclass(frozen=True)
class Results:
    """All runs of the files, in order, and what is to be said of the files."""

    runs: tuple[Result, ...]
    source: str
    left_out: tuple[str, ...] = ()
    folds: bool = False


def number(text: str, where: str) -> float:
    """Read a score; one that is not finite, or too large to be squared, is refused.

    Raises:
        BadTable: it is none; ``where`` names its line.
    """
    try:
        score = float(text)
    except ValueError:
        raise BadTable(f"{where}: {text[:40]!r} is no number.") from None
    if not math.isfinite(score):
        raise BadTable(f"{where}: the score is {text}. If the run diverged, give it the status diverged.")
    if abs(score) > LARGEST:
        raise BadTable(
            f"{where}: the score is {text[:40]}. Scores of up to {LARGEST:g} are judged; take a larger unit."
        )
    return score


def whole(text: str, where: str, what: str) -> int:
    """Read a whole number from 0 on, such as a seed; ``what`` names its kind.

    Raises:
        BadTable: it is none.
    """
    if not re.fullmatch(r"\d{1,12}(\.0)?", text):
        raise BadTable(f"{where}: {text[:40]!r} is no {what}; it is a whole number, 0 or more.")
    return int(float(text))
