"""How a process of the service uses CPU threads and memory; most of it is said before torch is imported."""

import ctypes
import gc
import os
import sys

from server.settings import Settings

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Names of glibc's malloc.h."""

MOST_FILES = 65_536


def prepare_process(settings: Settings) -> None:
    """Say how CPU threads and memory are used, before torch is there to ask."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait do not spin
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.cpu_threads))
    keep_freed_memory()
    allow_files()


def allow_files() -> None:
    """Let the process open as many files as it is allowed to ask for: each connection is one.

    Nothing happens where there is no such limit, as on Windows.
    """
    try:
        import resource
    except ImportError:
        return
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if least != resource.RLIM_INFINITY and (most == resource.RLIM_INFINITY or least < most):
        limit = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
        if limit > least:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))


def keep_freed_memory() -> None:
    """Let glibc keep the memory of one forward pass for the next, instead of giving it back and asking again.

    A ResNet-50 on a CPU takes a fifth less time so. All threads share one arena, for in those that threads get of
    their own glibc gives a stretch back as soon as it is free, whatever it was told: a thousand page faults a photo.
    Nothing happens where the C library has no such switch.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_ARENA_MAX, 1)


def trim_memory() -> None:
    """Give memory that was freed back to the system, which glibc is told above to keep.

    Nothing happens where the C library has no such function.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def spare_collector() -> None:
    """Let Python's garbage collector look no more at what is in memory now, which stays as long as the process.

    That is half a million objects of torch and its like. To look at all of them takes 0.3 seconds, in which nobody is
    answered, every few seconds under load.
    """
    gc.collect()
    gc.freeze()
