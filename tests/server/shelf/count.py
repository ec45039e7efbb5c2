"""How far does it count? A slow analysis that the tests of jobs put on the shelf of a copy of the project."""

import os
import signal
import time
from typing import ClassVar, Literal

from pydantic import Field

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.errors import BadData
from attention.reports.writing.tables import Report, Table, named
from attention.spec import Request, Variant


class CountReport(Report):
    """How far it came."""

    counted: tuple[int, ...] = Field(description="The steps done.")
    kept: int = Field(description="How many of them were done before this attempt.")
    process: int = Field(description="The process that counted.")
    threads: str = Field(description="OpenMP's number of threads.")

    def tables(self) -> tuple[Table, ...]:
        """One step a row."""
        rows = tuple((step,) for step in self.counted)
        return (Table(name="steps", caption="The steps done.", columns=named("step"), rows=rows),)


class CountRequest(Request[CountReport]):
    """How far does it count?"""

    slow: ClassVar = True

    name: str = Field(pattern=r"^\w+$", description="What its notes are called.")
    to: int = Field(default=3, ge=1, description="How many steps.")
    step_s: float = Field(default=0.0, ge=0, description="How long a step takes, seconds.")
    busy: bool = Field(default=False, description="Whether a step keeps the processor busy.")
    end: Literal["well", "sentence", "bug", "death", "silence"] = Field(default="well", description="How it ends.")
    images: tuple[str, ...] = Field(default=(), description="Photos that are only looked for.")
    variants: tuple[Variant, ...] = Field(default=(), description="Networks that are only named.")


@analyses.register("count")
def count(request: CountRequest, lab: AnyLab) -> CountReport:
    """Count, and note each step on disk, as a study keeps its finished runs."""
    notes = lab.files.root / f"{request.name}.notes"
    for image in request.images:
        lab.files.image(image)
    kept = len(notes.read_text()) if notes.exists() else 0
    steps = kept

    def report() -> CountReport:
        threads = os.environ.get("OMP_NUM_THREADS", "")
        return CountReport(counted=tuple(range(1, steps + 1)), kept=kept, process=os.getpid(), threads=threads)

    lab.progress(steps, request.to, "begun", report())
    while steps < request.to:
        until = time.monotonic() + request.step_s
        while request.busy and time.monotonic() < until:
            pass
        time.sleep(max(0.0, until - time.monotonic()))
        with notes.open("a") as file:
            file.write("x")
        steps += 1
        lab.progress(steps, request.to, f"step {steps}", report())
    match request.end:
        case "sentence":
            raise BadData("There is nothing to count here. Bring some beans.")
        case "bug":
            raise ZeroDivisionError("secret")
        case "death":
            os.kill(os.getpid(), signal.SIGKILL)
        case "silence":
            time.sleep(600)
    return report()
