"""Compiled networks: their paths, and how their hooks run.

What ``torch.compile`` made of a network does not see hooks that are set after its first call. While `eager` is entered
compiled networks run as they are written, so that hooks fire; afterwards the compiled code runs again.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

import torch
from torch import nn

WRAPPER = "_orig_mod."
"""What ``torch.compile`` puts before every name."""

_lock = Lock()
_entered: list[ExitStack] = []
"""One entry a block that is open; the first holds torch's stance, which is one for all threads."""


def is_compiled(model: nn.Module) -> bool:
    """Whether a network or a part of it was given to ``torch.compile``, or compiled in place."""
    return any(hasattr(part, "_orig_mod") or part._compiled_call_impl is not None for part in model.modules())


def own_path(path: str) -> str:
    """The path that a module has in the network as it was before it was compiled."""
    return path.replace(WRAPPER, "")


@contextmanager
def eager(model: nn.Module) -> Iterator[None]:
    """Inside it a compiled network runs as it is written; nothing happens to others.

    The stance holds for the whole process, so other compiled networks run as written meanwhile, too. Blocks may overlap
    in several threads: the last to leave gives the compiled code back.
    """
    if not is_compiled(model):
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    with _lock:
        stance = ExitStack()
        if not _entered:
            stance.enter_context(torch.compiler.set_stance("force_eager"))
        _entered.append(stance)


def _leave() -> None:
    with _lock:
        if len(_entered) == 1:
            _entered[0].close()
        _entered.pop()
