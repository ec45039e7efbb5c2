"""What only HTTP has: stored images, jobs, and the one shape of an error."""

from typing import Any, Literal

from pydantic import AwareDatetime, Field

from attention.reports.export import ExportRequest
from attention.reports.parts.inventory import Inventory
from attention.spec import Plain


class Owned(Plain):
    """A stored thing as the key that asks for it sees it."""

    own: bool = Field(
        default=True, description="Whether this API key may change, share and delete it; True without keys."
    )
    shared: bool = Field(default=False, description="Whether its owner shares it, so that every API key may use it.")


class Image(Owned):
    """A photo that requests may name by id."""

    id: str = Field(description="SHA-256 of the file's bytes, in hex.")
    name: str = Field(description="File name as uploaded, without folders.")
    format: str = Field(description="What the bytes are: JPEG, PNG, WEBP, ...")
    width: int = Field(description="Width in pixels, upright.")
    height: int = Field(description="Height in pixels, upright.")
    bytes: int = Field(description="Size of the file in bytes.")
    created: AwareDatetime | None = Field(
        default=None, description="When it was uploaded, the last time it was, UTC; null of a sample."
    )
    note: str | None = Field(
        default=None, description="What was done to its pixels when they were read, such as '16-bit, 12 used ...'."
    )
    sample: bool = Field(default=False, description="Whether it belongs to the sample gallery.")
    title: str | None = Field(default=None, description="What a sample photo shows.")
    credit: str | None = Field(default=None, description="Author, licence and source of a sample photo.")
    label: str | None = Field(
        default=None,
        description="Which of the shipped networks' classes a sample photo shows, empty if none of them; null of an "
        "upload, of which that is not known.",
    )


class Images(Plain):
    """Stored photos."""

    images: tuple[Image, ...] = Field(description="Samples first, then uploads, newest first.")


class DataSet(Owned):
    """A data set in the data folder, as far as is known: what only reading it would tell is None until it was read."""

    name: str = Field(description="What a study calls it.")
    kind: str = Field(description="What it is: folder, zip, tar or parquet; upload for one that is not kept.")
    images: int | None = Field(description="Images in all; None if only reading it would tell.")
    classes: tuple[str, ...] | None = Field(description="Class names; None if only reading it would tell.")
    split: bool | None = Field(description="Whether it has train and test; if not, a fifth is kept for the test.")
    bytes: int | None = Field(default=None, description="Size of its files.")
    created: AwareDatetime | None = Field(
        default=None, description="When its files last changed, UTC; null where that is not known."
    )
    inventory: Inventory | None = Field(default=None, description="What was understood; None until it was read.")
    shipped: bool = Field(default=False, description="Whether it comes along, and can be neither deleted nor renamed.")


class Reading(Plain):
    """How far a data set is that the service is reading through."""

    name: str = Field(description="What the request calls it.")
    read: int = Field(description="Images that were read.")
    images: int | None = Field(description="Images in all; None where only reading all of it would tell.")


class DataSets(Plain):
    """Data sets that a study can name."""

    datasets: tuple[DataSet, ...] = Field(description="By name.")
    free_bytes: int | None = Field(default=None, description="Bytes that are free in the data folder.")
    max_bytes: int | None = Field(default=None, description="Largest archive of a data set that is taken, bytes.")
    reading: tuple[Reading, ...] = Field(
        default=(),
        description="What is being read through for the key that asks: uploads, and data sets looked into.",
    )


class Checkpoint(Owned):
    """Weights that a variant can name, as far as a list tells."""

    name: str = Field(description="GET /v1/checkpoints/{name} gives the file.")
    weights: str = Field(description="What a variant calls it, such as file:se-7.")
    bytes: int = Field(description="Size of its file.")
    created: AwareDatetime = Field(description="When its file last changed, UTC.")
    origin: Literal["trained", "converted", "unknown"] = Field(
        description="Whether it was trained or folded here, or came from other code, as its card says."
    )
    variant: str | None = Field(description="Short name of the network it fits, as far as its card says.")


class Checkpoints(Plain):
    """Stored checkpoints."""

    checkpoints: tuple[Checkpoint, ...] = Field(description="By name.")


class StoredKind(Plain):
    """One kind of what users keep, summed up."""

    kind: str = Field(description="photos, data sets, checkpoints, jobs or reports.")
    count: int = Field(description="How many there are, without what comes with the service.")
    bytes: int = Field(description="Their bytes; of jobs and reports those of the report.")
    oldest: AwareDatetime | None = Field(description="When the oldest was stored, the last time it was, UTC.")
    keep_days: float = Field(description="Days after which one is deleted; 0 keeps it until it is deleted by hand.")


class Storage(Plain):
    """What users keep here, and the room that is left; to an API key, what it owns itself."""

    kinds: tuple[StoredKind, ...] = Field(description="Each kind.")
    bytes: int = Field(description="Bytes of all kinds together.")
    quota_bytes: int | None = Field(
        default=None, description="Bytes that the API key which asks may keep in all; null without a limit."
    )
    free_bytes: int = Field(description="Bytes that are free on the disk of the data folder.")
    disk_bytes: int = Field(description="Size of that disk.")


JobState = Literal["queued", "running", "done", "failed", "cancelled"]

ENDED: tuple[JobState, ...] = ("done", "failed", "cancelled")
"""States that a job never leaves."""


class JobLinks(Plain):
    """Where to go on from a job."""

    job: str = Field(description="GET: the job again.")
    events: str = Field(description="GET: each change of it as a server-sent event.")
    report: str = Field(description="GET: its report, as far as it is known.")
    cancel: str = Field(description="POST: stop it.")
    file: str | None = Field(default=None, description="GET: the file that it wrote, if it is to write one.")

    @classmethod
    def of(cls, job_id: str, analysis: str) -> "JobLinks":
        """The links of a job."""
        job = f"/v1/jobs/{job_id}"
        file = f"{job}/file" if analysis == ExportRequest.analysis else None
        return cls(job=job, events=f"{job}/events", report=f"{job}/report", cancel=f"{job}/cancel", file=file)


class Job(Owned):
    """A question that is answered in its own time, and how far its answer is."""

    id: str
    analysis: str = Field(description="Which question.")
    request: dict[str, Any] = Field(description="The question in full.")
    state: JobState = Field(description="queued -> running -> done, failed or cancelled.")
    created: AwareDatetime = Field(description="When it was asked for, UTC.")
    started: AwareDatetime | None = Field(description="When the work began, the last time it did, UTC.")
    finished: AwareDatetime | None = Field(description="When it was done, failed or cancelled, UTC.")
    done: int = Field(description="Steps done.")
    total: int = Field(description="Steps in all; 0 while nobody knows.")
    note: str = Field(description="What is being done.")
    eta_s: float | None = Field(description="Seconds until it is done, if it goes on as it did; None while unknown.")
    report: Literal["none", "partial", "final"] = Field(description="Whether there is a report to read already.")
    bytes: int = Field(default=0, description="Size of its report as JSON.")
    error: str | None = Field(description="Why it failed, or why it had to begin again, as a sentence.")
    attempts: int = Field(
        description="How often the work began. A job whose process dies begins again, as long as it makes progress; "
        "it fails when its process has died three times without."
    )
    links: JobLinks

    @property
    def ended(self) -> bool:
        """Whether nothing about it will change any more."""
        return self.state in ENDED


class Jobs(Plain):
    """Jobs of the service."""

    jobs: tuple[Job, ...] = Field(description="Newest first.")


class JobQuestion(Plain):
    """A question to be answered as a job."""

    analysis: str = Field(description="Which question; the catalogue lists them.")
    request: dict[str, Any] = Field(default_factory=dict, description="The question, as POST /v1/<analysis> takes it.")


ROUNDING = 1e-5
"""Floats closer than this, for their size or as they are below 1, may be sums in another order, of float32."""


class Conditions(Plain):
    """What decides an answer beside its question: change nothing here, and asking again gives the same numbers."""

    version: str = Field(description="Version of the service.")
    torch: str = Field(description="Version of torch.")
    device: str = Field(description="Where networks ran.")
    dtype: str = Field(default="float32", description="Number format that networks ran in.")
    threads: int = Field(description="CPU threads of one forward pass: sums in another order round differently.")
    tolerance: float | None = Field(
        default=ROUNDING,
        description="By how much a number may differ, for its size or as it is below 1, if the question is asked again "
        "under the same conditions: images that share a pass are summed in another order. 0 where each has its own; "
        "None where it is not known, in bfloat16 and float16.",
    )
    weights: dict[str, str] = Field(
        default={}, description="Short name of each network with trained weights -> fingerprint of its checkpoint."
    )
    data: dict[str, str] = Field(
        default={}, description="Each data set -> fingerprint of its files' sizes and times; their bytes are not read."
    )


SHIPPED = "shipped-"
"""Start of the ids of reports that come with the service; ``shipped-sweep`` is the one on a sweep."""


class StoredReport(Plain):
    """A finished report with the request that made it."""

    id: str = Field(
        description="The job's id; for an answer given at once, a hash of all that follows but the time; of one that "
        "comes with the service, shipped- and its name."
    )
    analysis: str = Field(description="Which question.")
    request: dict[str, Any] = Field(description="The question in full.")
    created: AwareDatetime = Field(description="When it was asked, UTC; the last time, if several gave this answer.")
    finished: AwareDatetime = Field(description="When the report was ready, UTC.")
    conditions: Conditions | None = Field(
        default=None, description="What else decided the answer; None for a job, whose report says what it needs."
    )
    missing: tuple[str, ...] = Field(
        default=(),
        description="Ids of photos that it is about and that are not kept here: those that come along with a form are "
        "not. Asking again needs them.",
    )
    report: dict[str, Any] = Field(description="The answer, in the shape of its analysis.")


class ReportEntry(Owned):
    """A stored report in a list."""

    id: str = Field(description="GET /v1/reports/{id} gives it.")
    analysis: str = Field(description="Which question.")
    title: str = Field(description="What it is about: networks, photos, and what differs from the defaults.")
    created: AwareDatetime = Field(description="When the report was ready, UTC; the last time, if several gave it.")
    bytes: int = Field(default=0, description="Size of the report as it is stored.")
    job: bool = Field(description="Whether a job made it: then it stays; other answers give way to newer ones.")


class Reports(Plain):
    """Stored reports."""

    reports: tuple[ReportEntry, ...] = Field(description="Newest first.")


class Difference(Plain):
    """One value that is not what it was."""

    path: str = Field(description="Where in the report, such as predictions[0].top[1].probability.")
    before: Any = Field(description="What it was; long texts are cut short. None if it was not there.")
    after: Any = Field(description="What it is now; None if it is not there.")


class AskedAgain(Plain):
    """A stored question asked anew, and what is different now."""

    same: bool = Field(description="Whether the two reports are equal, to the last digit.")
    sentence: str = Field(description="What is different, in words.")
    before: str = Field(description="Id of the report that was stored.")
    now: str | None = Field(description="Id of the report of now, the same if nothing changed; None if it is not kept.")
    conditions: tuple[Difference, ...] = Field(description="Conditions that are not what they were.")
    count: int = Field(description="How many values of the report differ.")
    within_tolerance: bool = Field(description="Whether all of them differ by no more than the tolerance of now.")
    differences: tuple[Difference, ...] = Field(
        description="Those values: first what is no number, then numbers by how much they differ for their size; at "
        "most 100."
    )


class Health(Plain):
    """Whether the service lives, or is ready for requests."""

    status: str = Field(description="'ok', or what is missing.")
    version: str
    device: str = Field(description="Where networks run.")


class Problem(Plain):
    """The one shape of an error (RFC 9457, application/problem+json)."""

    type: str = Field(description="Which error, as a path: /problems/unknown-name.")
    title: str = Field(description="Its name in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="A sentence that says what is wrong and what to do.")
    instance: str = Field(description="The path that was asked.")
    errors: tuple[dict[str, Any], ...] = Field(default=(), description="Where in the request each fault is, if known.")
