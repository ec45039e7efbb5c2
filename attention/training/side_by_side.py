"""Several runs of a study side by side on one GPU, in one process.

A small network's step keeps a GPU busy for less time than it takes to ask for it, even as one graph. So several runs
are trained at once, each in a thread of its own with a stream of its own; what they share is the GPU. A run draws
nothing from what another one draws, so it gives what it gives alone, as far as the device adds in the same order.
How many run at once is found by measuring, with steps of the study's own first network.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

import torch

from attention.analysis import Step
from attention.data.dataset import DataSet, Split
from attention.errors import AttentionError, Cancelled
from attention.spec import Recipe, Variant
from attention.training.train import train

T = TypeVar("T")
S = TypeVar("S")

MOST = 16
"""Runs at once, at most: each holds a copy of the training images on the GPU, and a recording with its memory."""

LEAST_GAIN = 1.1
"""How many times as fast all runs together have to become when their number doubles, for it to be worth it."""

MEASURED_STEPS = 12
"""Steps of an epoch that is timed; an epoch before it warms up and records."""

LOOK_S = 0.2
"""Seconds between two looks at what the runs have reported."""


@dataclass(frozen=True)
class SideBySide(Generic[T, S]):
    """Goes through items like `attention.analysis.in_order`, several at once, each in a thread of its own.

    ``on_progress`` and the results come in the caller's thread. When the caller ends early, or ``on_progress`` raises,
    running items are ended by `Cancelled` at the next time that they report something.

    Args:
        device: a torch device; on CUDA each thread has a stream of its own.
        count: how many at once; called before the first starts.
    """

    device: str
    count: Callable[[], int]

    def __call__(
        self, fn: Step[T, S], items: Sequence[T], on_progress: Callable[[T, S], None], lost: Callable[[T, str], S]
    ) -> Iterator[S]:
        news: SimpleQueue[tuple[T, S]] = SimpleQueue()
        ended = threading.Event()

        def told(item: T, state: S) -> None:
            if ended.is_set():
                raise Cancelled("The study was ended.")
            news.put((item, state))

        def run(item: T) -> S:
            if ended.is_set():
                raise Cancelled("The study was ended.")
            with stream_of_its_own(self.device):
                return fn(item, lambda state: told(item, state))

        with ThreadPoolExecutor(max(self.count(), 1)) as pool:
            try:
                pending = {pool.submit(run, item) for item in items}
                while pending:
                    done, pending = wait(pending, LOOK_S, FIRST_COMPLETED)
                    _pass_on(news, on_progress)
                    yield from _results(done)
            finally:
                ended.set()
                pool.shutdown(cancel_futures=True)


def _pass_on(news: "SimpleQueue[tuple[T, S]]", on_progress: Callable[[T, S], None]) -> None:
    """Tell the caller what came since the last time."""
    while True:
        try:
            item, state = news.get_nowait()
        except Empty:
            return
        on_progress(item, state)


def _results(done: "set[Future[S]]") -> Iterator[S]:
    return (future.result() for future in done)


def stream_of_its_own(device: str) -> AbstractContextManager[object]:
    """On CUDA, let all that this thread asks for inside run on a new stream; on others do nothing."""
    if not device.startswith("cuda"):
        return nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]


def best_count(speed: Callable[[int], float], most: int = MOST) -> int:
    """Double the number of runs at once for as long as all together become faster by `LEAST_GAIN`.

    Args:
        speed: of so many runs together, in any unit; an AttentionError, such as too little memory, ends the search.
    """
    count, fastest = 1, speed(1)
    while 2 * count <= most:
        try:
            together = speed(2 * count)
        except AttentionError:
            break
        if together < LEAST_GAIN * fastest:
            break
        count, fastest = 2 * count, together
    return count


def speed_together(variant: Variant, recipe: Recipe, data: DataSet, device: str, count: int) -> float:
    """Train so many runs at once on a part of the data; steps a second of all together, recording left out.

    Raises:
        AttentionError: they do not fit into the device's memory, or one of them failed.
    """
    images = min(MEASURED_STEPS * recipe.batch_size, len(data.train))
    part = Split(data.train.images[:images], data.train.labels[:images])
    few = replace(data, train=part, validation=None, test=Split(data.test.images[:1], data.test.labels[:1]))
    short = recipe.model_copy(update={"epochs": 2})
    barrier = threading.Barrier(count)

    def seconds(seed: int) -> float:
        try:
            with stream_of_its_own(device):
                run = train(variant, short, few, seed=seed, device=device, on_epoch=lambda _: meet(barrier))
            return run.curve[-1].seconds
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(count) as pool:
        taken = list(pool.map(seconds, range(count)))
    return sum(images // recipe.batch_size / share for share in taken)


def meet(barrier: threading.Barrier) -> None:
    """Wait until all runs are at the end of an epoch, so that they are timed while all of them run.

    Raises:
        AttentionError: one of them failed.
    """
    try:
        barrier.wait()
    except threading.BrokenBarrierError:
        raise AttentionError("Another run that was timed beside this one failed.") from None
