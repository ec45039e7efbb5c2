"""How long a study would take, before it is started: the question and its answer."""

from typing import ClassVar

from pydantic import Field

from attention.reports.study import StudyRequest
from attention.reports.writing.tables import Report
from attention.spec import Request


class Plan(Report):
    """The answer of plan: what there is to do, and about how long it takes."""

    arms: tuple[str, ...] = Field(description="Short names of the arms; the first is the baseline.")
    runs: int = Field(description="Runs in all: arms times seeds.")
    runs_done: int = Field(description="Runs of these that were trained before, and are not trained again.")
    epochs: int = Field(description="Epochs that are left to train, over all runs.")
    images: int | None = Field(description="Images of the data set, both splits; None if only reading it would tell.")
    seconds: float | None = Field(description="About how many seconds the study takes; None if nobody can tell.")
    basis: str = Field(description="What the estimate rests on, as a sentence.")
    notes: tuple[str, ...] = Field(description="What such a study can and cannot decide.")


class PlanRequest(Request[Plan]):
    """How long would this study take?"""

    examples: ClassVar = ({"study": {"data": "flowers", "variants": ["resnet20/none", "resnet20/eca"]}},)
    counts_only: ClassVar = True

    study: StudyRequest = Field(description="The study as it would be asked for.")
