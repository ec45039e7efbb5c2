"""What an operator may choose: every setting, its default, and the environment variable that changes it."""

import ipaddress
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from attention.errors import AttentionError
from attention.names import split_names
from attention.precision import DType
from attention.spec import Variant


def _listed(value: Any) -> Any:
    """Text with commas as its parts."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _networks(value: Any) -> Any:
    """Text with short names of networks as its parts, each of which can be read."""
    names = split_names(value) if isinstance(value, str) else value
    try:
        for name in names:
            Variant.parse(name)
    except AttentionError as error:
        raise ValueError(str(error)) from error
    return names


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
"""Several values, in the environment separated by commas."""

Origin = Annotated[str, Field(pattern=r"^https?://[^/\s*]+$")]


class Settings(BaseSettings):
    """Settings of the service; ``ATTENTION_PORT=9000`` in the environment sets ``port``, and so on."""

    model_config = SettingsConfigDict(env_prefix="ATTENTION_", frozen=True, extra="forbid")

    data: Path = Field(
        default=Path("~/.local/share/attention"), description="Folder of images, checkpoints and the database."
    )
    files: Annotated[str | None, BeforeValidator(lambda given: given or None)] = Field(
        default=None,
        description="S3-compatible store that images, data sets and checkpoints are in, s3://bucket/prefix, for many "
        "machines; None is the data folder. See docs/scale.md.",
    )
    models: Path | None = Field(
        default=None,
        description="File of the operator's own models, /etc/attention/models.py: its public functions each give an "
        "nn.Module. It is run at the start, so it must be writable for nobody else. See docs/your_model.md.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 is every interface.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port to listen on; 0 picks a free one.")
    database: str | None = Field(default=None, description="SQLAlchemy URL; None is an SQLite file in the data folder.")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
        description="Where networks run; auto is CUDA where there is one, and else the CPU.",
    )
    dtype: DType = Field(
        default="float32",
        description="Number format that networks run in: float32, bfloat16, or on CUDA float16. Answers are float32.",
    )
    compile: Literal["auto", "off", "graphs"] = Field(
        default="auto",
        description="graphs records each network's passes as CUDA graphs, one a shape, and replays them; CUDA only. "
        "auto does so where there is CUDA.",
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="CPU threads of one forward pass at most; 0 is every core. Small ones get fewer.",
    )
    max_upload_bytes: int = Field(default=20_000_000, ge=1, description="Largest image file, bytes.")
    max_request_bytes: int = Field(default=64_000_000, ge=1, description="Largest request with files in it, bytes.")
    max_json_bytes: int = Field(default=1_000_000, ge=1, description="Largest request without files, bytes.")
    max_dataset_bytes: int = Field(default=4_000_000_000, ge=1, description="Largest archive of a data set, bytes.")
    max_checkpoint_bytes: int = Field(default=1_000_000_000, ge=1, description="Largest checkpoint sent, bytes.")
    memory_bytes: int = Field(
        default=0,
        ge=0,
        description="Memory that networks and their passes (5/8), bodies of requests, gates of reference images, and "
        "remembered answers (1/8 each) draw on, bytes; 0 is half of what the machine or the container has. What does "
        "not fit is refused. A job has as much in its own process, or its part where several run at a time.",
    )
    upload_timeout_s: float = Field(
        default=30.0, gt=0, description="How long a body may take to come, seconds; for large ones, see the next one."
    )
    upload_rate: int = Field(
        default=10_000, ge=1, description="A body may take a second more for each so many bytes that have come."
    )
    head_timeout_s: float = Field(
        default=15.0,
        gt=0,
        description="How long the line and the headers of a request may take to come, and a connection may stay "
        "without one, seconds.",
    )
    max_connections: int = Field(
        default=2000, ge=1, description="Connections at the same time; a request on one more is refused with 503."
    )
    max_batch_size: int = Field(
        default=16,
        ge=1,
        le=4096,
        description="Images in one forward pass at most. With 1 an answer is the same to the last bit whoever "
        "else asks, and small networks take two to three times the CPU time of batches of 16.",
    )
    batch_wait_timeout_s: float = Field(
        default=0.0, ge=0, le=60, description="How long an image waits for company when the networks are idle, seconds."
    )
    max_queue: int = Field(
        default=256, ge=1, description="Requests that may wait for a worker; more are refused with 503."
    )
    max_network_bytes: int = Field(
        default=2_000_000_000,
        ge=1,
        description="Weights of a network that a question may have built, bytes in float32.",
    )
    max_pass_bytes: int = Field(
        default=32_000_000_000,
        ge=1,
        description="What a forward pass that a question asks for may keep, with its whole batch, bytes in float32.",
    )
    max_answer_gmacs: float = Field(
        default=20_000.0,
        gt=0,
        description="Work of a question that is answered at once, its networks on all its images, in billions of "
        "multiply-accumulates; a larger one is asked as a job.",
    )
    workers: int = Field(default=32, ge=1, le=1024, description="Requests that are worked on at the same time.")
    preload: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)] = Field(
        default=(),
        description="Networks that are loaded at the start, by short name, separated by commas: no visitor waits for "
        "them, and /v1/ready says no until they are there. ATTENTION_MEMORY_BYTES should hold all of them.",
    )
    jobs: int = Field(default=1, ge=0, le=64, description="Jobs that run at the same time; 0 leaves them queued.")
    job_threads: int = Field(
        default=0, ge=0, le=1024, description="CPU threads of one job; 0 shares out every core but one."
    )
    engine: Literal["local", "ray"] = Field(
        default="local", description="Where analyses run: on this machine, or on a Ray cluster; see docs/scale.md."
    )
    ray_address: str | None = Field(
        default=None, description="Address of the Ray cluster, host:port; None is the one this machine is a node of."
    )
    ray_replicas_min: int = Field(default=1, ge=1, description="Replicas that answer requests, at least.")
    ray_replicas_max: int = Field(default=4, ge=1, description="Replicas that answer requests, at most.")
    ray_replica_cpus: float = Field(default=1.0, gt=0, description="CPU cores of one replica.")
    ray_replica_gpus: float = Field(default=0.0, ge=0, description="GPUs of one replica; below 1, some share one.")
    ray_job_cpus: float = Field(default=1.0, gt=0, description="CPU cores of one job, or of one run of a study.")
    ray_job_gpus: float = Field(default=0.0, ge=0, description="GPUs of one job, or of one run of a study.")
    max_jobs: int = Field(default=100, ge=1, description="Jobs that may wait; more are refused with 503.")
    remember_answers: bool = Field(
        default=True,
        description="Whether answers are kept in memory; the same question under the same conditions gets one of them.",
    )
    reports_kept: int = Field(
        default=10_000, ge=0, description="Answers given at once that are kept, newest first; 0 keeps none. Jobs' stay."
    )
    reports_kept_days: int = Field(default=90, ge=1, le=36_500, description="Such answers older than this leave, days.")
    reports_kept_bytes: int = Field(
        default=2_000_000_000, ge=1, description="Such answers beyond this leave, bytes of all their reports together."
    )
    max_report_bytes: int = Field(
        default=16_000_000, ge=1, description="Longest report of an answer given at once that is kept, bytes of JSON."
    )
    pack_reports_above_bytes: int = Field(
        default=2_000_000, ge=0, description="Longer reports are kept compressed, bytes of JSON."
    )
    keys: Path | None = Field(
        default=None, description="File of the API keys' hashes; None is keys.json in the data folder."
    )
    access: Literal["auto", "keys", "open"] = Field(
        default="auto",
        description="Who may ask: auto wants an API key as soon as one has been created, keys always does, open never.",
    )
    key_in_flight: int = Field(default=32, ge=1, description="Requests of one key that are worked on at the same time.")
    key_jobs: int = Field(default=10, ge=1, description="Jobs of one key that wait or run at the same time.")
    key_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Bytes that a key may keep in photos, data sets, checkpoints, jobs and reports, unless it was made "
        "with a number of its own; None is no limit.",
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=(),
        description="Web pages of other origins that may ask, as https://name, separated by commas; none by default.",
    )
    allowed_hosts: Listed = Field(
        default=(),
        description="Names by which a service that asks for no key may be called, besides IP addresses and names "
        "without a dot, separated by commas: those of a proxy in front of it.",
    )
    keep_uploads_days: float = Field(
        default=0.0,
        ge=0,
        description="Days after which an uploaded photo is deleted; 0 keeps it until it is deleted by hand.",
    )
    keep_data_sets_days: float = Field(
        default=0.0, ge=0, description="The same of a data set, since its files last changed."
    )
    keep_checkpoints_days: float = Field(
        default=0.0, ge=0, description="The same of a checkpoint; a study that made one would train it again."
    )
    keep_jobs_days: float = Field(default=0.0, ge=0, description="The same of a job that has ended, with its report.")
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        default="info", description="What is logged."
    )
    log_format: Literal["human", "json"] = Field(
        default="human", description="Lines to read, or one JSON object a line."
    )
    log_requests: Literal["all", "failed", "none"] = Field(
        default="failed", description="Which requests get a line in the log; failed are those answered with 4xx or 5xx."
    )
    drain_s: float = Field(
        default=0.0,
        ge=0,
        le=600,
        description="How long a service that was told to stop still takes requests, while /v1/ready says no, seconds.",
    )
    shutdown_timeout_s: int = Field(
        default=15, ge=1, le=3600, description="How long it then finishes what it took, before it cuts it off, seconds."
    )

    def records(self, device: str) -> bool:
        """Whether networks' passes are to be recorded on a device."""
        return self.compile == "graphs" or (self.compile == "auto" and device.startswith("cuda"))

    @property
    def folder(self) -> Path:
        """The data folder as an absolute path."""
        return self.data.expanduser().absolute()

    @property
    def keys_path(self) -> Path:
        """Where the API keys are, as hashes."""
        return self.keys.expanduser().absolute() if self.keys else self.folder / "keys.json"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def database_url(self) -> str:
        """Where the store keeps its tables."""
        return self.database or f"sqlite:///{self.folder / 'attention.db'}"

    @property
    def database_shared(self) -> bool:
        """Whether another process sees the same tables; a database in memory is seen by one alone."""
        return not re.match(r"sqlite(\+\w+)?:(//)?/?(:memory:)?($|\?)", self.database_url)

    @property
    def cpu_threads(self) -> int:
        """CPU threads of one forward pass."""
        return self.threads or (max(1, int(self.ray_replica_cpus)) if self.engine == "ray" else cores())

    @property
    def memory(self) -> int:
        """Bytes of memory that a process which answers requests draws on."""
        share = min(1.0, self.ray_replica_cpus / cores()) if self.engine == "ray" else 1.0
        return self.memory_bytes or int(machine_memory() * share / 2)

    @property
    def job_cpu_threads(self) -> int:
        """CPU threads of one job."""
        share = int(self.ray_job_cpus) if self.engine == "ray" else (cores() - 1) // max(1, self.jobs)
        return self.job_threads or max(1, share)


def table() -> str:
    """All settings as Markdown: what docs/operations.md shows."""
    lines = ["| variable | default | is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        shown = f"`{default}`" if default not in (None, "") else "none"
        lines.append(f"| `ATTENTION_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines)


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_memory(system: Path = Path("/")) -> int:
    """Bytes of memory that this process may use: what the machine has, or the least that a control group allows.

    Args:
        system: where ``proc`` and ``sys`` are.
    """
    least = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        groups = (system / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return least
    for line in groups:  # 0::/path of version 2, 4:memory:/path of version 1
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = system / "sys/fs/cgroup" / controllers
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):  # a container sees its own group at the top
            for name in ("memory.max", "memory.limit_in_bytes"):
                with suppress(OSError, ValueError):  # not there, or "max"
                    least = min(least, int((folder / name).read_text()))
            if folder == top:
                break
    return least
