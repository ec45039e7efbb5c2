"""Names of attention mechanisms by the classes that other libraries give them: one file a library.

Gates are found by following data, and these tables only say what a class is called in the field: a class that stands
in none of them has its gates found all the same, without a name.
"""

from collections.abc import Mapping

from torch import nn

from attention.modules import modules
from attention.registry import Registry

mechanisms: Registry[Mapping[str, str]] = Registry("library of attention classes", __name__)
"""Top package of a class -> name of the class -> name of the mechanism; under ``*`` whatever the package."""

UNITS = frozenset(("sk", "split_attention"))
"""Mechanisms whose convolutions belong to them, so that a module of theirs is attention as a whole."""


def mechanism_of(module: nn.Module) -> str | None:
    """What the field calls a module's mechanism; None if its class is not known."""
    kind = type(module)
    library = kind.__module__.partition(".")[0]
    if library == __name__.partition(".")[0]:
        return next((name for name, own in modules.items() if own is kind), None)
    for table in (library, "*"):
        if table in mechanisms and kind.__name__ in mechanisms[table]:
            return mechanisms[table][kind.__name__]
    return None
