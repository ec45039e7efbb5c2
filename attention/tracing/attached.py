"""Modules that run behind submodules of a model, without changing these: a child that holds them, and hooks."""

from typing import Any

from torch import Tensor, nn


class AttachedModules(nn.ModuleDict):
    """All that is attached to a model, by path; as a layer of an `nn.Sequential` it gives what it is given."""

    def forward(self, x: Any) -> Any:
        return x


class RunAttached:
    """Forward hook that sends a submodule's output through what is attached to it.

    It is an object that holds the module, so that a copy of the model runs modules of its own.
    """

    def __init__(self, attached: nn.Module) -> None:
        self.attached = attached

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return self.attached(output)


def key(path: str) -> str:
    """Name under which a module is held: a path without its dots."""
    return path.replace(".", "_")
