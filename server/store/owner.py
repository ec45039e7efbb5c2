"""Who works on a job: a process, by a name that tells on its own machine whether it has ended."""

import os
import socket
from pathlib import Path

Status = tuple[str, str]
"""A process's state, and when it began, in clock ticks since the machine started."""


def this_process() -> str:
    """``host/pid/began/machine``: no other process is ever called the same."""
    status = _status(os.getpid())
    return f"{socket.gethostname()[:64]}/{os.getpid()}/{status[1] if status else ''}/{_machine()}"


def ended(owner: str | None) -> bool:
    """Whether a process has ended for sure. One of another machine cannot be seen from here, so it has not."""
    parts = (owner or "").split("/")
    if len(parts) != 4:
        return False
    host, pid, began, machine = parts
    if machine != _machine() or host != socket.gethostname()[:64] or not pid.isdecimal():
        return False
    if not began:  # a system without /proc
        return not _there(int(pid))
    status = _status(int(pid))
    return status is None or status[0] in "ZX" or status[1] != began


def _machine() -> str:
    """This machine since it was started, and on it the container: process numbers mean something only there."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _status(pid: int) -> Status | None:
    """Fields 3 and 22 of proc_pid_stat(5); None if there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], fields[19]


def _there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
