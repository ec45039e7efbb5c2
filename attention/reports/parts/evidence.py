"""What may be said of a difference that could be noise: an interval, a verdict."""

from typing import Any, Literal

from pydantic import Field, model_validator

from attention.spec import Plain

NARROW = 0.04
"""The least width of an interval whose ends two decimals tell apart."""


class Interval(Plain):
    """An estimate with its confidence interval."""

    estimate: float = Field(description="The estimate itself.")
    low: float = Field(description="Lower end of the interval.")
    high: float = Field(description="Upper end of the interval.")
    confidence: float = Field(description="Share of such intervals that hold the truth, 0..1.")
    n: int = Field(description="Independent observations: seeds, or images.")
    method: str = Field(description="How it was computed.")

    @property
    def digits(self) -> int:
        """Decimals that tell its ends apart: two, or four where it is as narrow as those of shares are."""
        return 4 if self.high - self.low < NARROW else 2

    @property
    def middle(self) -> str:
        """The estimate of a difference, printed with the sign."""
        return f"{round(self.estimate, self.digits) + 0.0:+.{self.digits}f}"

    def ends(self, margin: float | None = None) -> tuple[str, str]:
        """Print both ends of a difference, with the sign."""
        return printed_end(self.low, margin, self.digits), printed_end(self.high, margin, self.digits)

    def text(self, unit: str = "", margin: float | None = None) -> str:
        """Print a difference with both ends: ``+0.57 points [+0.40, +0.74]``."""
        return " ".join((self.middle, *filter(None, [unit]), f"[{', '.join(self.ends(margin))}]"))


def printed_end(number: float, margin: float | None = None, digits: int = 2) -> str:
    """Print an end of an interval, with four decimals where fewer would put it on zero or on the margin."""
    lines = (0, *(() if margin is None else (round(margin, digits), -round(margin, digits))))
    return f"{number:+.4f}" if round(number, digits) in lines else f"{number:+.{digits}f}"


VerdictKind = Literal["better", "worse", "equivalent", "undecided", "too few seeds", "nothing learned", "withheld"]

KIND_WORDS: dict[VerdictKind, str] = {
    "better": "better",
    "worse": "worse",
    "equivalent": "no difference larger than the margin",
    "undecided": "not decided",
    "too few seeds": "too few seeds",
    "nothing learned": "nothing learned",
    "withheld": "withheld",
}
"""What readers call each kind."""


class Verdict(Plain):
    """What the runs of one arm let one say of its difference to the baseline, by the rule in docs/verdicts.md."""

    kind: VerdictKind = Field(
        description="The verdict, read off the interval; only 'better' and 'worse' claim a difference, and "
        "'equivalent' claims that there is none larger than the margin."
    )
    sentence: str = Field(description="The verdict in words, with its numbers.")
    reason: str | None = Field(default=None, description="Why nothing is said, where nothing is.")
    n: int = Field(description="Seeds that the verdict rests on; those ended so far, before the first look.")
    look: int | None = Field(
        default=None, description="Number of the look reached, from 1; 0 before the first; None in old reports."
    )
    looks: int | None = Field(default=None, description="Looks that the plan allows; None in old reports.")
    k: int | None = Field(default=None, description="Arms that the plan compares with the baseline; None: not known.")
    difference: Interval | None = Field(
        description="Mean difference to the baseline with its interval; None if nothing may be said."
    )
    half_seeds: float | None = Field(default=None, description="What new seeds add to the interval's half width.")
    half_images: float | None = Field(
        default=None, description="What new test images add to it; 0 where only scores are known."
    )
    scope: Literal["seeds and images", "seeds, on these test images"] | None = Field(
        default=None, description="What the interval covers: new seeds and new images, or new seeds only."
    )
    p_adjusted: float | None = Field(
        default=None, description="p of no difference, corrected for arms and looks; below 0.05 as the interval is."
    )
    margin: float | None = Field(
        description="Differences up to this are called none, in the units of the difference; None: none was set."
    )
    next_look: int | None = Field(default=None, description="Seeds at the next look; None if the plan is used up.")
    seeds_needed: int | None = Field(
        default=None, description="Seeds in all that tell the margin from nothing with a chance of 80 %."
    )
    seeds_needed_range: tuple[int | None, int | None] | None = Field(
        default=None, description="Seeds needed at both ends of the 80 % interval for the spread; None: over 10,000."
    )
    power_next: float | None = Field(
        default=None, description="Chance that the next look tells the margin from nothing, 0..1."
    )
    notes: tuple[str, ...] = Field(default=(), description="What belongs beside the verdict, as sentences.")

    @model_validator(mode="before")
    @classmethod
    def _of_old_reports(cls, data: Any) -> Any:
        """Keep what a report of the rule before this one says, with its p-values in a note."""
        if not isinstance(data, dict) or "sign_flip_p" not in data:
            return data
        names = {"p": "paired t", "p_holm": "Holm", "sign_flip_p": "sign flips", "equivalence_p": "equivalence"}
        fields = {name: value for name, value in data.items() if name not in {*names, "more_seeds"}}
        numbers = ", ".join(f"{word} {data[name]:.3g}" for name, word in names.items() if data.get(name) is not None)
        note = "Judged by an earlier rule, whose interval is corrected for neither arms nor looks."
        fields["notes"] = (f"{note} p: {numbers}." if numbers else note,)
        fields["n"] = (data.get("difference") or {}).get("n", 0)
        return fields
