"""Order: what the process of a job is told."""

from typing import Any

from pydantic import BaseModel


class Order(BaseModel):
    """Which job a process works on, under which claim, and the settings of the service."""

    job_id: str
    claim: int
    analysis: str
    settings: dict[str, Any]
