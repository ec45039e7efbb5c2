"""Where networks run, and what a person calls it."""

import platform
from functools import cache
from pathlib import Path

import torch

from attention.errors import InvalidRequest


def best_device() -> str:
    """CUDA where there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def check_device(device: str) -> None:
    """Make sure that networks can run on a torch device.

    Raises:
        InvalidRequest: there is none of that name here.
    """
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        there = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise InvalidRequest(f"There is no device {device!r} here. There is: {there}.") from None


@cache
def device_name(device: str) -> str:
    """What a person calls a torch device: the model of the GPU or CPU."""
    if device.startswith("cuda") and torch.cuda.is_available():
        return f"{device}: {torch.cuda.get_device_name(device)}"
    if device != "cpu":
        return device
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"cpu: {models[0] if models else platform.processor() or platform.machine()}"
