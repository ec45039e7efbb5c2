"""Who pays: compute is charged where it happens, to whoever asked, without anything in between knowing of it.

Compute is the CPU time of the thread that works on a question, and the question's share of the time that the networks'
thread, and the device with it, spent on batches in which its images were.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar

A = ParamSpec("A")
R = TypeVar("R")


class Payer(Protocol):
    """Who asked."""

    def charge(self, seconds: float) -> None:
        """So many seconds of compute were for this one; any thread may say so."""


_payer: ContextVar[Payer | None] = ContextVar("payer", default=None)


def payer() -> Payer | None:
    """Who pays for what is done here; None if nobody does."""
    return _payer.get()


@contextmanager
def paid_by(one: Payer | None) -> Iterator[None]:
    """Who pays for what is done inside."""
    token = _payer.set(one)
    try:
        yield
    finally:
        _payer.reset(token)


@contextmanager
def own_time(one: Payer | None) -> Iterator[None]:
    """Charge the CPU time that this thread spends inside."""
    started = time.thread_time()
    try:
        yield
    finally:
        if one is not None:
            one.charge(time.thread_time() - started)


def metered(work: Callable[A, R]) -> Callable[A, R]:
    """A function whose own CPU time is charged to whoever it is called for."""

    @wraps(work)
    def paid(*args: A.args, **kwargs: A.kwargs) -> R:
        with own_time(payer()):
            return work(*args, **kwargs)

    return paid
