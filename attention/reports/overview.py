"""Does attention pay? The question and its answer: what each module gains by one body of evidence, and its price."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from attention.reports.parts.evidence import Interval, Verdict
from attention.reports.study import StudyReport
from attention.reports.writing.tables import Report
from attention.spec import Plain, Request

SHIPPED = "shipped"
"""Key of the evidence that is the first study that comes with the service."""

FAMILIAR = ("se", "eca", "cbam", "coord", "sk", "danet", "gc")
"""Modules that an answer names although its evidence may lack them."""


class MeasuredTime(Plain):
    """Time of a forward pass by that of the plain network, as a report of latency that comes along has it."""

    ratio: Interval = Field(
        description="Time by the plain network's in the same round; of the plain network itself, its second timing by "
        "its first."
    )
    device: str = Field(description="What both ran on.")
    date: str = Field(description="Day of the measurement, ISO 8601.")
    batch: int = Field(description="Images a pass.")
    threads: int = Field(description="CPU threads of a pass.")
    report: str = Field(description="Id of the report: GET /v1/reports/{id}.")


class OverviewRow(Plain):
    """One module: what it gains over the plain network, and what it adds to its price."""

    module: str = Field(description="Name of the module; 'none' is the plain network.")
    title: str = Field(description="What the evidence calls the network.")
    network: str = Field(description="Short name of the network that was counted.")
    state: Literal["baseline", "measured", "one run", "no evidence"] = Field(description="What is known of its gain.")
    accuracy: float | None = Field(
        description="Accuracy, per cent, or the figure of a published group's metric; a mean over runs."
    )
    gain: float | None = Field(description="Accuracy minus the plain network's, points.")
    interval: Interval | None = Field(description="The gain with its interval; None for single runs.")
    verdict: Verdict | None = Field(description="What may be said of the gain; None for single runs.")
    runs: int = Field(description="Runs that it rests on.")
    added_parameters: int | None = Field(description="Parameters beyond the plain twin's; None if it does not fit.")
    added_macs: int | None = Field(description="Multiply-accumulates beyond the plain twin's, one image.")
    added_bytes: int | None = Field(description="Bytes read and written beyond the plain twin's, one image.")
    time: MeasuredTime | None = Field(
        default=None,
        description="Its measured time; null unless it was measured at this input size beside this plain network.",
    )
    look: str | None = Field(description="Short name of a trained network to look at; None where there is none here.")


class OverviewReport(Report):
    """The answer of overview: the plain network, then modules by gain, then those without evidence."""

    evidence: str = Field(description="What the evidence is called.")
    ranked: bool = Field(description="Whether gains compare: one recipe, one data set, one resolution.")
    warning: str | None = Field(description="What to know before reading differences.")
    conditions: str = Field(description="Data, recipe, runs and device in a line.")
    margin: float | None = Field(description="Differences up to this many points are called none.")
    rows: tuple[OverviewRow, ...] = Field(description="The plain network first.")
    bodies: dict[str, str] = Field(
        default={}, description="What `evidence` can be: each key with what it is called, studies first."
    )


class OverviewRequest(Request[OverviewReport]):
    """Does attention pay? What does each module gain on the same network, and what does it cost?"""

    examples: ClassVar = ({"evidence": "shipped"}, {"evidence": "timm_resnet33ts"})
    counts_only: ClassVar = True

    evidence: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        default=SHIPPED,
        description="'shipped', the id of another study that comes along, or the key of a group of published results "
        "of /v1/published; an answer's `bodies` lists all.",
    )
    study: StudyReport | None = Field(
        default=None, description="The report of a study, which is then the evidence in place of `evidence`."
    )
    modules: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        default=FAMILIAR, max_length=64, description="Modules that are named with their price where evidence lacks."
    )
