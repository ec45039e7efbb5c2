"""Latency's question and answer, as plain data: how long networks take on this machine, if it can be told at all."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from attention.names import Size, short_size, write_size
from attention.precision import DType
from attention.reports.cost import INPUT_SIZE
from attention.reports.parts.evidence import Interval
from attention.reports.writing.tables import Bars, Printed, Report, Table, named
from attention.spec import Pass, Plain, Request, Variant

Mode = Literal["eager", "served", "compiled", "graphs", "onnx"]
MODES: dict[Mode, str] = {
    "eager": "the network as it is written",
    "served": "as this service runs it: normalisations worked in, pooled gates computed first",
    "compiled": "through torch.compile, which takes up to a minute for each network before it is timed",
    "graphs": "as served, recorded and replayed as CUDA graphs; on CUDA only",
    "onnx": "exported as ONNX and run in ONNX Runtime, on the CPU in float32; needs the extra onnx",
}
Fit = Literal["fits", "at times", "too slow", "withheld"]
FITS: dict[Fit, str] = {
    "fits": "three of four passes take no longer",
    "at times": "half of the passes take no longer, but not three of four",
    "too slow": "more than half of the passes take longer",
    "withheld": "this machine could not tell",
}
Verdict = Literal["slower", "faster", "no difference", "undecided", "withheld"]


COLUMNS = (
    *("network", "median_ms", "median_low_ms", "median_high_ms", "lower_quartile_ms", "upper_quartile_ms"),
    *("ratio", "ratio_low", "ratio_high", "verdict", "macs", "bytes", "extra_macs", "extra_bytes"),
    *("predicted_extra_ms", "measured_extra_ms", "batch", "input_size", "dtype", "mode", "threads", "device"),
)
"""Of the table that a report gives as CSV."""


class Timing(Plain):
    """How long one network takes."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object.")
    median_ms: float | None = Field(description="Median wall-clock milliseconds of a pass; null if withheld.")
    median: Interval | None = Field(
        default=None, description="The same with an interval from order statistics, milliseconds; null if withheld."
    )
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
    macs: int | None = Field(default=None, description="Multiply-accumulates by the ledger, the whole batch.")
    bytes: int | None = Field(
        default=None, description="Bytes a pass reads and writes by the ledger, the whole batch, if nothing is fused."
    )
    extra_bytes: int = Field(description="Bytes a pass moves beyond the baseline's by the ledger, the whole batch.")
    extra_macs: int = Field(description="Multiply-accumulates beyond the baseline's, the whole batch.")
    predicted_extra_ms: float = Field(
        description="Extra bytes by the bandwidth measured in this run: what the ledger expects it to cost, unfused."
    )
    measured_extra_ms: float | None = Field(description="Median of the extra time, milliseconds; null if withheld.")

    def fit(self, budget_ms: float) -> Fit:
        """Whether a pass is over within a budget, milliseconds; `FITS` says what the words mean."""
        if self.median_ms is None or self.high_ms is None:
            return "withheld"
        return "fits" if self.high_ms <= budget_ms else "at times" if self.median_ms <= budget_ms else "too slow"


class LatencyReport(Report):
    """The answer of latency: whether this machine could tell, and if so what it told."""

    headline: str = Field(description="What may be said, in words.")
    timings: tuple[Timing, ...] = Field(description="The networks in the order asked for.")
    baseline: str = Field(description="Short name of what they are compared with.")
    baseline_ms: float = Field(description="Median wall-clock milliseconds of both timings of the baseline.")
    baseline_pair: tuple[Interval, Interval] | None = Field(
        default=None, description="Medians of its first and its second timing, milliseconds, each with its interval."
    )
    baseline_macs: int | None = Field(
        default=None, description="The baseline's multiply-accumulates by the ledger, the whole batch."
    )
    baseline_bytes: int | None = Field(
        default=None, description="Bytes that the baseline reads and writes by the ledger, the whole batch."
    )
    control: Interval = Field(
        description="A/A: the baseline's second timing by its first, in the same way as every ratio."
    )
    withheld: str | None = Field(description="Why the numbers are withheld; null if they are given.")
    tolerance: float | None = Field(default=None, description="By what share the two timings were allowed to differ.")
    warm_up: int | None = Field(default=None, description="Rounds that were run before any was timed.")
    rounds: int = Field(description="Timed rounds.")
    input_size: Size = Field(description="Side of the input, or height and width, pixels.")
    batch: int = Field(description="Images a pass.")
    dtype: DType = Field(description="Number format.")
    mode: Mode = Field(description="How the networks were run.")
    threads: int = Field(description="CPU threads of a pass.")
    bandwidth: float = Field(description="Bytes a second that copying a large tensor moves here, read and written.")
    device: str = Field(description="What they ran on.")
    torch: str = Field(description="Version of torch.")
    date: str = Field(description="Day of the measurement, ISO 8601.")
    caveats: tuple[str, ...] = Field(description="What to know before reading the numbers.")

    def tables(self) -> tuple[Table, ...]:
        """The networks, with a caption that carries the conditions."""
        conditions = (self.batch, short_size(self.input_size), self.dtype, self.mode, self.threads, self.device)
        rows = []
        for timing in self.timings:
            median = (timing.median.low, timing.median.high) if timing.median else (None, None)
            ratio = (timing.ratio.estimate, timing.ratio.low, timing.ratio.high) if timing.ratio else (None,) * 3
            times = (timing.median_ms, *median, timing.low_ms, timing.high_ms)
            ledger = (timing.macs, timing.bytes, timing.extra_macs, timing.extra_bytes)
            extra = (timing.predicted_extra_ms, timing.measured_extra_ms)
            rows.append((timing.name, *times, *ratio, timing.verdict, *ledger, *extra, *conditions))
        timings = Table(
            name="timings",
            caption=f"{self.conditions}{f' {self.withheld}' if self.withheld else ''}",
            columns=named(*COLUMNS),
            rows=tuple(rows),
            printed=self._printed(),
            bars=Bars(label="network", value="ratio", low="ratio_low", high="ratio_high"),
        )
        return (timings,)

    def _printed(self) -> Printed:
        own = "--" if self.withheld else f"{self.baseline_ms:.3f}"
        rows = [(self.baseline, own, "--" if self.withheld else "1", "baseline", "--", "--")]
        for timing in self.timings:
            median = f"{timing.median_ms:.3f}" if timing.median_ms is not None else "--"
            if timing.median:
                median += f" [{timing.median.low:.3f}, {timing.median.high:.3f}]"
            interval = timing.ratio
            ratio = f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]" if interval else "--"
            predicted = f"{timing.predicted_extra_ms:+.3f}"
            rows.append((timing.name, median, ratio, timing.verdict, f"{timing.extra_bytes / 1e6:,.2f}", predicted))
        head = ("network", "median (ms)", "ratio", "verdict", "extra MB", "predicted extra (ms)")
        return Printed(head=head, rows=tuple(rows))

    @property
    def conditions(self) -> str:
        """What has to be said beside every number, in words."""
        warm_up = "" if self.warm_up is None else f" after {self.warm_up} to warm up"
        return (
            f"Wall-clock time of a forward pass of {self.batch} image{'s' if self.batch > 1 else ''} of "
            f"{write_size(self.input_size)} pixels in {self.dtype}, mode {self.mode}, {self.threads} CPU "
            f"thread{'s' if self.threads > 1 else ''}, on {self.device}, torch {self.torch}, {self.date}. Medians "
            f"over {self.rounds} rounds{warm_up}, every network once a round in a new order, {self.baseline} twice; "
            f"intervals from order statistics with a confidence of {self.control.confidence:.1%}. Two timings of the "
            f"baseline differ by a ratio of {self.control.estimate:.4f} [{self.control.low:.4f}, "
            f"{self.control.high:.4f}]. Bytes are the ledger's; predicted is extra bytes by a bandwidth of "
            f"{self.bandwidth / 1e9:.1f} GB/s, measured here."
        )


class LatencyRequest(Request[LatencyReport]):
    """How long does a forward pass take on this machine, beside the plain network's?"""

    examples: ClassVar = ({"variants": ["resnet20/se", "resnet20/eca"], "rounds": 20},)
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
    input_size: Size | None = Field(default=None, description=INPUT_SIZE)
    batch: int = Field(default=1, ge=1, le=1024, description="Images a forward pass.")
    device: str | None = Field(
        default=None,
        pattern=r"^(cpu|cuda(:\d+)?|mps)$",
        description="Where they are timed: a torch device; None is where the service runs networks.",
    )
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

    @property
    def largest_pass(self) -> Pass:
        """Every pass has the same size and batch."""
        return Pass(self.input_size, self.batch)

    @model_validator(mode="after")
    def _names_each_once(self) -> "LatencyRequest":
        if len(set(self.variants)) < len(self.variants):
            raise ValueError("A network is named twice; every one is timed once a round.")
        return self
