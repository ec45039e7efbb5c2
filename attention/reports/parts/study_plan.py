"""What a study declares before its first run; kept with its time, and never changed afterwards."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from attention.spec import Plain, Recipe

Score = Literal["accuracy", "balanced accuracy"]


class StudyPlan(Plain):
    """What a study declared before its first run. Other arms, looks or margin are another plan."""

    arms: tuple[str, ...] = Field(description="Short names of all arms; the first is the baseline.")
    first_look: int = Field(ge=6, description="Seeds at which the first verdict is given.")
    looks: Literal[1, 2, 3] = Field(description="Verdicts are given at first_look, twice and four times as many seeds.")
    margin: float | None = Field(description="Differences up to this many points are called none; None: never.")
    score: Score = Field(description="What the arms are compared by.")
    recipe: Recipe = Field(description="How all are trained.")
    size: int = Field(description="Height and width the images are brought to, pixels.")
    validation: float = Field(description="Share of the training images that curves and choices are of.")
    first_seed: int = Field(description="The first seed; the others follow it.")
    fingerprint: str = Field(description="Fingerprint of the data set.")
    created: datetime = Field(description="When the plan was made, UTC.")
    runs_before: int = Field(description="Runs of this plan that had ended before it was made.")
    runs_asked: int = Field(description="Runs that were asked for when it was made.")

    @property
    def baseline(self) -> str:
        """Short name of the arm that the others are compared with."""
        return self.arms[0]

    @property
    def look_sizes(self) -> tuple[int, ...]:
        """Seeds at which verdicts are given, in order."""
        return tuple(self.first_look * 2**look for look in range(self.looks))

    @property
    def sentence(self) -> str:
        """The plan in words, for reports and captions."""
        looks = " and ".join(filter(None, (", ".join(map(str, self.look_sizes[:-1])), str(self.look_sizes[-1]))))
        margin = "no margin" if self.margin is None else f"a margin of {self.margin:g} points"
        number = len(self.arms) - 1
        when = f"{self.created:%Y-%m-%d %H:%M} UTC"
        before = "before its first run" if not self.runs_before else "late"
        return (
            f"Plan of {when}, made {before}: {number} {'arm' if number == 1 else 'arms'} against {self.baseline}, "
            f"verdicts at {looks} seeds, {margin}, {self.score}."
        )
