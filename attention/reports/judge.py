"""Judge my seeds: the question and its answer, as plain data, with tables as CSV, LaTeX and Markdown."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from attention.reports.parts.evidence import KIND_WORDS, Verdict
from attention.reports.parts.study_classes import ArmClasses
from attention.reports.writing.captions import definition, p_text
from attention.reports.writing.tables import Bars, Printed, Report, Table, named
from attention.spec import Plain, Request

MOST_BYTES = 10_000_000
"""Of all tables together."""

LARGEST = 1e100
"""The largest size of a score or a difference: the squares of ten thousand of them still have a sum."""

Finite = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class ResultFile(Plain):
    """A table of results as text, and what the file is called: exports name their run in it."""

    name: Name = Field(default="results.csv", description="Name of the file.")
    text: str = Field(description="What is in it.")


class JudgedArm(Plain):
    """One arm: its scores, its differences to the baseline, and the verdict."""

    name: str = Field(description="Name of the arm.")
    n: int = Field(description="Runs with a score.")
    mean: float | None = Field(description="Mean score; None without scores.")
    spread: float | None = Field(description="Standard deviation of the scores; None of fewer than two.")
    seeds: tuple[int, ...] = Field(description="Seeds shared with the baseline, in order; empty if unpaired.")
    differences: tuple[float, ...] = Field(description="Score minus the baseline's, one a shared seed; more is better.")
    verdict: Verdict | None = Field(description="What may be said; None for the baseline.")


class JudgeReport(Report):
    """The answer of judge: the verdicts, and what was not checked."""

    headline: str = Field(description="What may be said, in words.")
    caveats: tuple[str, ...] = Field(description="What was left out, and what was not checked.")
    source: str = Field(description="What the numbers were read from.")
    baseline: str = Field(description="The arm that the others are compared with.")
    unit: str = Field(description="What scores and differences are counted in.")
    margin: float | None = Field(description="Differences up to this are called none.")
    paired: bool = Field(description="Whether differences are of runs of the same seed.")
    arms: tuple[JudgedArm, ...] = Field(description="The arms in the order of the files; the baseline is among them.")
    classes: tuple[ArmClasses, ...] = Field(
        default=(),
        description="Every arm class by class, where the files have recalls: a description, from which no verdict "
        "follows.",
    )

    def tables(self) -> tuple[Table, ...]:
        """The arms, with a caption that says how they are judged."""
        names = ("arm", "n", "mean", "sd", "difference", "low", "high", "p_adjusted", "verdict", "seeds_needed")
        rows = []
        for arm in self.arms:
            verdict = arm.verdict
            difference = verdict.difference if verdict else None
            ends = (difference.estimate, difference.low, difference.high) if difference else (None,) * 3
            columns = (verdict.p_adjusted, verdict.kind, verdict.seeds_needed) if verdict else (None, "baseline", None)
            rows.append((arm.name, arm.n, arm.mean, arm.spread, *ends, *columns))
        head = ("arm", "n", f"score, {self.unit}", "difference", "p", "verdict")
        arms = Table(
            name="arms",
            caption=f"Mean and standard deviation over runs. {self._definition()}",
            columns=named(*names),
            rows=tuple(rows),
            printed=Printed(head=head, rows=tuple(map(tuple, self._rows()))),
            bars=Bars(label="arm", value="difference", low="low", high="high"),
        )
        return (arms,)

    def _rows(self) -> list[list[str]]:
        rows, digits = [], max(map(_digits, self.arms))
        for arm in self.arms:
            score = "--" if arm.mean is None else f"{arm.mean:.{digits}f}"
            score += "" if arm.spread is None else f" ± {arm.spread:.{digits}f}"
            gain, p, verdict = "--", "--", "baseline"
            if arm.verdict is not None:
                verdict, difference = KIND_WORDS[arm.verdict.kind], arm.verdict.difference
                gain = difference.text(margin=arm.verdict.margin) if difference else "--"
                p = p_text(arm.verdict.p_adjusted)
            rows.append([arm.name, str(arm.n), score, gain, p, verdict])
        return rows

    def _definition(self) -> str:
        verdicts = [arm.verdict for arm in self.arms if arm.verdict is not None]
        return definition(verdicts, self.unit, pairs="paired" if self.paired else "unpaired")


def _digits(arm: JudgedArm) -> int:
    """Decimals of an arm's scores: those of its difference, or four where two would make nothing of their spread."""
    difference = arm.verdict.difference if arm.verdict is not None else None
    return 4 if 0 < (arm.spread or 0) < 0.01 else difference.digits if difference is not None else 2


class JudgeRequest(Request[JudgeReport]):
    """What may be said of these scores: is any arm really better than the baseline?"""

    examples: ClassVar = (
        {
            "differences": {"eca": [0.62, 0.48, 0.71, 0.55, 0.39, 0.66]},
            "margin": 0.3,
            "first_look": 6,
            "test_images": 10000,
        },
    )
    largest_body: ClassVar = 2 * MOST_BYTES  # JSON writes a line's end as two letters

    files: tuple[ResultFile, ...] = Field(
        default=(),
        max_length=1000,
        description="Tables with the columns arm, seed, score (and right, status, recall:CLASS), or exports of "
        "TensorBoard (scalar CSV, a file a run), Weights & Biases (wide CSV) or MLflow (runs.csv).",
    )
    differences: dict[Name, Annotated[tuple[Finite, ...], Field(max_length=10_000)]] = Field(
        default={},
        max_length=64,
        description="Instead of files: arm -> its score minus the baseline's on the same seed, in order of seeds.",
    )
    baseline: str | None = Field(
        default=None, max_length=200, description="The arm the others are compared with; None: first of the files."
    )
    margin: Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Differences up to this matter to nobody, in the unit; null: no difference is never said.",
    )
    unit: str = Field(default="points", min_length=1, max_length=20, description="What scores are counted in.")
    lower_is_better: bool = Field(default=False, description="Whether a lower score is a better one, as of a loss.")
    test_images: int | None = Field(default=None, ge=1, description="Test images that each score is of.")
    majority: float | None = Field(
        default=None, gt=0, le=1, description="Share of the most frequent class among the test images."
    )
    first_look: int | None = Field(
        default=None, ge=6, le=10_000, description="Seeds at which the first verdict was planned; None: all there are."
    )
    looks: Literal[1, 2, 3] = Field(default=3, description="How often verdicts may be given; 1: no seeds are added.")
    paired: bool = Field(default=True, description="Whether runs of one seed belong together; false: they do not.")
    score: str | None = Field(
        default=None,
        max_length=200,
        description="Which column, or metric of an export, is the score; None: the only one.",
    )
    step: int | None = Field(default=None, ge=0, description="The step to take of each run; None: the last one.")
    pattern: str | None = Field(
        default=None, max_length=200, description="How an export's runs are called, such as {arm}-s{seed}."
    )
    arm_column: str | None = Field(default=None, max_length=200, description="Column that names the arm.")
    seed_column: str | None = Field(default=None, max_length=200, description="Column that holds the seed.")

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if bool(self.files) == bool(self.differences):
            raise ValueError("Send either files or differences.")
        for word in ("{arm}", "{seed}"):
            if self.pattern is not None and self.pattern.count(word) != 1:
                raise ValueError(
                    f"A pattern holds {{arm}} and {{seed}} once each, such as {{arm}}-s{{seed}}, not {self.pattern!r}."
                )
        return self
