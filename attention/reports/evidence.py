"""What may be said of a difference that could be noise: an interval, a verdict."""

from typing import Literal

from pydantic import Field

from attention.spec import Plain


class Interval(Plain):
    """An estimate with its confidence interval."""

    estimate: float = Field(description="The estimate itself.")
    low: float = Field(description="Lower end of the interval.")
    high: float = Field(description="Upper end of the interval.")
    confidence: float = Field(description="Share of such intervals that hold the truth, 0..1.")
    n: int = Field(description="Independent observations: seeds, or images.")
    method: str = Field(description="How it was computed.")


class Verdict(Plain):
    """Whether one arm of a study is better than another, or the difference is noise."""

    kind: Literal["better", "worse", "equivalent", "undecided", "too few seeds", "withheld"] = Field(
        description="The verdict; only 'better' and 'worse' are claims of a difference."
    )
    sentence: str = Field(description="The verdict in words, with its numbers.")
    difference: Interval | None = Field(description="Paired difference over seeds; None if there are fewer than two.")
    sign_flip_p: float | None = Field(description="Exact two-sided sign-flip test of no difference.")
    p: float | None = Field(description="Two-sided paired t-test of no difference.")
    p_holm: float | None = Field(description="The same, corrected by Holm for all arms that were compared.")
    equivalence_p: float | None = Field(description="Both one-sided t-tests of a difference beyond the margin.")
    margin: float = Field(description="Differences up to this are called none, in the units of the difference.")
    more_seeds: int | None = Field(
        description="About how many more seeds would detect a difference of the margin with a power of 0.8."
    )
