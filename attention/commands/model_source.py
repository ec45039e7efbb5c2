"""load_model: a model that the command line names, the user's own among them, run in the user's own process."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from attention.build import build
from attention.data.files import Files
from attention.errors import AttentionError, InvalidRequest, NotFound, did_you_mean
from attention.models.own_models import load_file
from attention.spec import Variant

FORMS = (
    "a function in a file (./model.py:build), in a package (mypackage.models:build), timm:NAME, torchvision:NAME, "
    "or a short name such as resnet50/se"
)


def load_model(source: str, folder: Path) -> nn.Module:
    """Make the model that a text names; code of the user's own is imported and called, so it may do anything.

    Args:
        source: `FORMS`.
        folder: where checkpoints of short names lie.

    Raises:
        NotFound: there is no such file, package or function.
        InvalidRequest: what is there fails, or gives no model.
    """
    place, separator, name = source.rpartition(":")
    if not separator and source.endswith(".py"):
        raise InvalidRequest(f"Say which function of {source} gives the model: {source}:NAME.")
    if not separator:
        return build(Variant.parse(source), Files(folder, any_path=True).checkpoints)
    if place == "timm":
        return _called(source, lambda: _package("timm").create_model(name))
    if place == "torchvision":
        return _called(source, lambda: _package("torchvision").models.get_model(name, weights=None))
    module = load_file(Path(place)) if place.endswith(".py") else _package(place)
    function = getattr(module, name, None)
    if function is None:
        public = [attribute for attribute in vars(module) if not attribute.startswith("_")]
        raise NotFound(f"{place} has no {name!r}.{did_you_mean(name, public)}")
    return function if isinstance(function, nn.Module) else _called(source, function)


def _called(source: str, function: Callable[[], Any]) -> nn.Module:
    try:
        model = function()
    except AttentionError:
        raise
    except Exception as error:
        raise InvalidRequest(f"{source} failed: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise InvalidRequest(f"{source} gives a {type(model).__name__}, and no nn.Module.")
    return model


def _package(name: str) -> ModuleType:
    _add_to_path(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise NotFound(f"There is no package {name!r} here. A model is {FORMS}.") from None
        raise InvalidRequest(f"{name} cannot be imported: {error}") from error
    except Exception as error:
        raise InvalidRequest(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


def _add_to_path(folder: Path) -> None:
    """Let a user's files import those beside them; last, so that they hide nothing of the library."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
