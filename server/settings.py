"""What an operator may choose: every setting, its default, and the environment variable that changes it."""

import os
import re
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of the service; ``ATTENTION_PORT=9000`` in the environment sets ``port``, and so on."""

    model_config = SettingsConfigDict(env_prefix="ATTENTION_", frozen=True, extra="forbid")

    data: Path = Field(
        default=Path("~/.local/share/attention"), description="Folder of images, checkpoints and the database."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 is every interface.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port to listen on; 0 picks a free one.")
    database: str | None = Field(default=None, description="SQLAlchemy URL; None is an SQLite file in the data folder.")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
        description="Where networks run; auto is CUDA where there is one, and else the CPU.",
    )
    threads: int = Field(default=0, ge=0, le=1024, description="CPU threads of one forward pass; 0 is every core.")
    max_upload_bytes: int = Field(default=20_000_000, ge=1, description="Largest image file, bytes.")
    max_request_bytes: int = Field(default=64_000_000, ge=1, description="Largest request with files in it, bytes.")
    max_json_bytes: int = Field(default=1_000_000, ge=1, description="Largest request without files, bytes.")
    max_dataset_bytes: int = Field(default=4_000_000_000, ge=1, description="Largest zip of a data set, bytes.")
    max_batch_size: int = Field(default=16, ge=1, le=4096, description="Images in one forward pass at most.")
    batch_wait_timeout_s: float = Field(
        default=0.0, ge=0, le=60, description="How long an image waits for company when the networks are idle, seconds."
    )
    max_queue: int = Field(
        default=256, ge=1, description="Requests, and images of them, that may wait; more are refused with 503."
    )
    workers: int = Field(default=32, ge=1, le=1024, description="Requests that are worked on at the same time.")
    models_kept: int = Field(default=8, ge=1, description="Networks kept in memory, least recently used leave first.")
    jobs: int = Field(default=1, ge=0, le=64, description="Jobs that run at the same time; 0 leaves them queued.")
    job_threads: int = Field(
        default=0, ge=0, le=1024, description="CPU threads of one job; 0 shares out every core but one."
    )
    max_jobs: int = Field(default=100, ge=1, description="Jobs that may wait; more are refused with 503.")
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        default="info", description="What is logged."
    )

    @property
    def folder(self) -> Path:
        """The data folder as an absolute path."""
        return self.data.expanduser().absolute()

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
        return self.threads or cores()

    @property
    def job_cpu_threads(self) -> int:
        """CPU threads of one job."""
        return self.job_threads or max(1, (cores() - 1) // max(1, self.jobs))


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
