"""Latency's question and answer, as plain data: how long networks take on this machine, if it can be told at all."""

import csv
import io
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from attention.reports.evidence import Interval
from attention.spec import Plain, Request, Variant

Mode = Literal["eager", "served", "compiled"]
MODES: dict[Mode, str] = {
    "eager": "the network as it is written",
    "served": "as this service runs it: normalisations worked in, pooled gates computed first",
    "compiled": "through torch.compile, which takes up to a minute for each network before it is timed",
}
DType = Literal["float32", "bfloat16", "float16"]
Verdict = Literal["slower", "faster", "no difference", "undecided", "withheld"]


class LatencyRequest(Request["LatencyReport"]):
    """How long does a forward pass take on this machine, beside the plain network's?"""

    model_config = {"json_schema_extra": {"examples": [{"variants": ["resnet20/se", "resnet20/eca"], "rounds": 20}]}}
    analysis: ClassVar = "latency"
    slow: ClassVar = True

    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("resnet20/se"), Variant.parse("resnet20/eca")),
        min_length=1,
        max_length=12,
        description="Networks to time; weights do not matter, so they are left out.",
    )
    baseline: Variant | None = Field(
        default=None, description="What they are compared with; None is the plain twin of the first."
    )
    input_size: int | None = Field(
        default=None, ge=1, le=1024, description="Height and width of the input, pixels; None is the network's own."
    )
    batch: int = Field(default=1, ge=1, le=1024, description="Images a forward pass.")
    dtype: DType = Field(default="float32", description="Number format of weights and activations.")
    mode: Mode = Field(default="eager", description="How the networks are run.")
    threads: int = Field(default=1, ge=1, le=256, description="CPU threads of a forward pass.")
    warm_up: int = Field(default=3, ge=1, le=100, description="Rounds that are run before any is timed.")
    rounds: int = Field(
        default=30, ge=6, le=2000, description="Timed rounds; in each every network runs once, in a new order."
    )
    tolerance: float = Field(
        default=0.02,
        gt=0,
        le=0.5,
        description="By what share two timings of the baseline may differ; beyond it no number is given.",
    )

    @model_validator(mode="after")
    def _names_each_once(self) -> "LatencyRequest":
        if len(set(self.variants)) < len(self.variants):
            raise ValueError("A network is named twice; every one is timed once a round.")
        return self


class Timing(Plain):
    """How long one network takes."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object.")
    median_ms: float | None = Field(description="Median wall-clock milliseconds of a pass; null if withheld.")
    low_ms: float | None = Field(description="Lower quartile, milliseconds; null if withheld.")
    high_ms: float | None = Field(description="Upper quartile, milliseconds; null if withheld.")
    ratio: Interval | None = Field(
        description="Median over rounds of its time by the baseline's in the same round, with an interval from order "
        "statistics; null if withheld."
    )
    verdict: Verdict = Field(
        description="Against the baseline: a claim needs an interval without 1 and a median further from 1 than two "
        "timings of the baseline are from each other."
    )
    extra_bytes: int = Field(description="Bytes a pass moves beyond the baseline's by the ledger, the whole batch.")
    extra_macs: int = Field(description="Multiply-accumulates beyond the baseline's, the whole batch.")
    predicted_extra_ms: float = Field(
        description="Extra bytes by the bandwidth measured in this run: what the ledger expects it to cost, unfused."
    )
    measured_extra_ms: float | None = Field(description="Median of the extra time, milliseconds; null if withheld.")


class LatencyReport(Plain):
    """The answer of latency: whether this machine could tell, and if so what it told."""

    headline: str = Field(description="What may be said, in words.")
    timings: tuple[Timing, ...] = Field(description="The networks in the order asked for.")
    baseline: str = Field(description="Short name of what they are compared with.")
    baseline_ms: float = Field(description="Median wall-clock milliseconds of both timings of the baseline.")
    control: Interval = Field(
        description="A/A: the baseline's second timing by its first, in the same way as every ratio."
    )
    withheld: str | None = Field(description="Why the numbers are withheld; null if they are given.")
    rounds: int = Field(description="Timed rounds.")
    input_size: int = Field(description="Height and width of the input, pixels.")
    batch: int = Field(description="Images a pass.")
    dtype: DType = Field(description="Number format.")
    mode: Mode = Field(description="How the networks were run.")
    threads: int = Field(description="CPU threads of a pass.")
    bandwidth: float = Field(description="Bytes a second that copying a large tensor moves here, read and written.")
    device: str = Field(description="What they ran on.")
    torch: str = Field(description="Version of torch.")
    date: str = Field(description="Day of the measurement, ISO 8601.")
    caveats: tuple[str, ...] = Field(description="What to know before reading the numbers.")

    def csv(self) -> str:
        """Every network as a row."""
        file = io.StringIO()
        rows = csv.writer(file)
        rows.writerow(["network", "median_ms", "ratio", "low", "high", "verdict", "extra_bytes", "predicted_extra_ms"])
        for one in self.timings:
            ratio = (one.ratio.estimate, one.ratio.low, one.ratio.high) if one.ratio else (None,) * 3
            rows.writerow([one.name, one.median_ms, *ratio, one.verdict, one.extra_bytes, one.predicted_extra_ms])
        return file.getvalue()


LatencyRequest.report = LatencyReport
