"""Attention modules in image networks: where they go, what they cost, what they do, and what is lost without them.

    from attention import Variant, build, capture, ablate, watch, attach, count, diagnose_model, export, train
    from attention import Lab, look, Client, AsyncClient

``Variant`` says what network is wanted and ``build`` makes it; ``capture`` and ``ablate`` look at its gates and replace
them; ``watch``, ``attach``, ``count``, ``diagnose_model`` and ``export`` take any ``nn.Module``. ``Lab`` answers every
analysis, ``look`` compares networks on a photo in one line, and ``Client`` asks a service. Each name is loaded when it
is first used, so importing the package, or its plain data in ``attention.spec`` and ``attention.reports``, never loads
torch.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attention.attach import attach as attach
    from attention.build import build as build
    from attention.client import Client as Client
    from attention.client.async_client import AsyncClient as AsyncClient
    from attention.counting.model_cost import count as count
    from attention.interventions.diagnosis import diagnose_model as diagnose_model
    from attention.lab import Lab as Lab
    from attention.lab import look as look
    from attention.running.export import export as export
    from attention.spec import Variant as Variant
    from attention.training.train import train as train
    from attention.watch import ablate as ablate
    from attention.watch import capture as capture
    from attention.watch import watch as watch

HOMES = {
    "Variant": ".spec",
    "build": ".build",
    "capture": ".watch",
    "ablate": ".watch",
    "watch": ".watch",
    "attach": ".attach",
    "count": ".counting.model_cost",
    "Lab": ".lab",
    "look": ".lab",
    "diagnose_model": ".interventions.diagnosis",
    "export": ".running.export",
    "train": ".training.train",
    "Client": ".client",
    "AsyncClient": ".client.async_client",
}
"""Name -> module of this package that defines it."""


class _Face(ModuleType):
    """A package in which ``attention.watch`` is the function, though a module of that name is imported too."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *HOMES})


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


sys.modules[__name__].__class__ = _Face
