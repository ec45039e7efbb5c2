"""Training steps recorded once and replayed: on CUDA hundreds of launches become one.

A step has a few hundred small kernels, and a GPU computes them faster than Python can launch them. So the first steps
run as they are, the next is recorded as a CUDA graph
(https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs), and from then on each step copies what differs, the
draw of its images, to where the recording reads it. Nothing in a recorded function may wait for the device or depend on
a number that Python holds. What cannot be recorded runs as it is.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock
from typing import Protocol

import torch
from torch import Tensor

from attention.errors import first_line
from attention.training.augmentation import Draw

log = logging.getLogger(__name__)

WARM_UPS = 3
"""Calls before one is recorded, in which libraries choose their algorithms and the optimiser makes its state."""

_recording = Lock()
"""Held while a run is recorded: others beside it may compute meanwhile, but not record."""

Inputs = Sequence[Tensor | None]


class Recorder(Protocol):
    """Records what a device does."""

    def eager(self, run: Callable[[], Tensor]) -> Tensor:
        """Call a function that is recorded later."""

    def record(self, run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Record a function without effect on any tensor; gives what replays it, and where its result will lie.

        Raises:
            RuntimeError: it waits for the device, or its memory does not suffice.
        """


class CudaRecorder:
    """Records on one GPU, on a stream of its own.

    Gradients are accumulated on the stream that a forward pass ran on, so eager calls and recordings share one.
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        with torch.cuda.device(self._device):
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def eager(self, run: Callable[[], Tensor]) -> Tensor:
        with torch.cuda.device(self._device):
            before = torch.cuda.current_stream()
            self._stream.wait_stream(before)
            with torch.cuda.stream(self._stream):
                result = run()
            before.wait_stream(self._stream)
        return result

    def record(self, run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        with torch.cuda.device(self._device):
            graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
            self._stream.wait_stream(before)
            with _recording, torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                result = run()
            before.wait_stream(self._stream)

        def replay() -> None:
            with torch.cuda.device(self._device):
                graph.replay()

        return replay, result


class Recorded:
    """A function of tensors that is recorded after its first calls, for the shapes of its first inputs.

    Inputs of other shapes run as they are. A result holds until the next call.

    Args:
        function: takes tensors of one device, or None, and gives a tensor; it may change tensors that it knows.
        recorder: how it is recorded; None runs it as it is, always.
    """

    def __init__(self, function: Callable[..., Tensor], recorder: Recorder | None) -> None:
        self._function = function
        self._recorder = recorder
        self._calls = 0
        self._shapes: list[torch.Size | None] = []
        self._inputs: Inputs = ()
        self._result: Tensor | None = None
        self._replay: Callable[[], None] | None = None

    @property
    def recorded(self) -> bool:
        """Whether the step is replayed from its recording by now."""
        return self._replay is not None

    def __call__(self, *inputs: Tensor | None) -> Tensor:
        """Call or replay the function."""
        shapes = [None if value is None else value.shape for value in inputs]
        self._shapes = self._shapes or shapes
        if self._recorder is None or shapes != self._shapes:
            return self._function(*inputs)
        if self._calls < WARM_UPS:
            self._calls += 1
            return self._recorder.eager(lambda: self._function(*inputs))
        if self._replay is None:
            self._record(inputs, self._recorder)
        if self._replay is None or self._result is None:
            return self._function(*inputs)
        for place, value in zip(self._inputs, inputs, strict=True):
            if place is not None and value is not None:
                place.copy_(value)
        self._replay()
        return self._result

    def _record(self, inputs: Inputs, recorder: Recorder) -> None:
        self._inputs = [None if value is None else value.clone() for value in inputs]
        try:
            self._replay, self._result = recorder.record(lambda: self._function(*self._inputs))
        except RuntimeError as error:
            log.warning("Steps are not recorded, and run as they are: %s", first_line(error))
            self._recorder, self._inputs = None, ()


def sent(draws: Iterable[Draw], device: str) -> Iterator[Draw]:
    """Bring an epoch's draws to a device: to a GPU in one copy, for each copy would cost a launch in every step."""
    if not device.startswith("cuda"):
        yield from (draw.each(lambda value: value.to(device)) for draw in draws)
        return
    steps = list(draws)
    columns = [None if values[0] is None else torch.stack(values) for values in zip(*steps, strict=True)]
    packed = packed_bytes([column for column in columns if column is not None])
    on_device = packed.pin_memory().to(device, non_blocking=True)
    arrived = iter(unpacked(on_device, [column for column in columns if column is not None]))
    placed = [None if column is None else next(arrived) for column in columns]
    for number in range(len(steps)):
        order, rows, across, colours = (None if column is None else column[number] for column in placed)
        assert order is not None and rows is not None and across is not None
        yield Draw(order, rows, across, colours)


def packed_bytes(tensors: Sequence[Tensor]) -> Tensor:
    """Lay tensors behind each other as bytes, (bytes,); larger numbers first, so that all are aligned."""
    return torch.cat([tensor.contiguous().flatten().view(torch.uint8) for tensor in tensors])


def unpacked(data: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Views of packed bytes as the tensors that `packed_bytes` made them of, in their shapes and types."""
    sizes = [tensor.numel() * tensor.element_size() for tensor in like]
    parts = torch.split(data, sizes)
    return [part.view(tensor.dtype).view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]
