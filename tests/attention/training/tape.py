"""A recorder of training steps on the CPU that stands in for CUDA graphs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps each operation with its very tensors, and what was in each tensor before."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self.before: list[tuple[Tensor, Tensor]] = []
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_floating_point():
            raise RuntimeError("operation not permitted when stream is capturing")  # whole numbers: kept on the CPU
        for leaf in tree_leaves((args, kwargs)):  # not all operations declare what they change: batch norm does not
            if isinstance(leaf, Tensor) and id(leaf) not in self._seen:
                self._seen.add(id(leaf))
                self.before.append((leaf, leaf.detach().clone()))
        result = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]))
        return result


class Tape:
    """Records operations without effect and replays them without Python, as a CUDA graph does.

    A number read by Python while it is recorded is an error, or a constant for ever; results lie where they lay.
    """

    def __init__(self) -> None:
        self.eager_calls = self.recordings = self.replays = 0

    def eager(self, run: Callable[[], Tensor]) -> Tensor:
        self.eager_calls += 1
        return run()

    def record(self, run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        operations = _Operations()
        try:
            with operations:
                result = run()
        finally:
            with torch.no_grad():
                for tensor, content in reversed(operations.before):
                    if not torch.equal(tensor, content):
                        tensor.copy_(content)
        self.recordings += 1

        def replay() -> None:
            self.replays += 1
            with torch.no_grad():
                for func, args, kwargs, places in operations.calls:
                    again = [leaf for leaf in tree_leaves(func(*args, **kwargs)) if isinstance(leaf, Tensor)]
                    for place, value in zip(places, again, strict=True):
                        if place.data_ptr() != value.data_ptr():
                            place.copy_(value)

        return replay, result
