"""Names of torch's operations, one for all spellings: x * y, torch.mul, x.mul_(y) and aten.mul.Tensor are mul."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

HOMES = {"torch.nn.functional": "F.", "torch._C._nn": "F.", "torch": "torch."}
"""Module a function is from -> how its name is written."""

ALIASES = {
    **{f"i{name}": name for name in ("add", "sub", "mul", "div", "pow")},
    **{f"r{name}": name for name in ("add", "mul", "div", "pow")},
    **dict.fromkeys(("truediv", "itruediv", "rtruediv", "divide"), "div"),
    "multiply": "mul",
    "subtract": "sub",
    "rmatmul": "matmul",
}
"""Other names of an operation."""


class Operation(NamedTuple):
    """A torch function by the name that all its spellings share."""

    name: str
    spelling: str  # as it was called: F.relu (so does nn.ReLU), torch.relu, or relu for a method or an operator
    in_place: bool


@lru_cache(maxsize=4096)
def operation(func: Callable[..., Any]) -> Operation:
    """The operation that a torch function, method, property or ``aten`` overload is."""
    raw = func.__name__.partition(".")[0]  # aten overloads are named mul.Tensor
    if raw == "__get__":  # a property, such as x.mT
        raw = func.__self__.__name__  # type: ignore[attr-defined]
    name = raw.strip("_").removeprefix("special_")  # torch.special.expit is torch.sigmoid
    in_place = (raw.endswith("_") and not raw.endswith("__")) or (raw.startswith("__i") and name in ALIASES)
    home = HOMES.get(getattr(func, "__module__", None) or "", "")
    return Operation(ALIASES.get(name, name), home + raw.strip("_"), in_place)


def names(text: str) -> frozenset[str]:
    """The words of a text, as a set of names of operations."""
    return frozenset(text.split())
