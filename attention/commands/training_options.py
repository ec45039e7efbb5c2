"""Options of the commands that train: networks, data, recipe, device, and the errors that wrong values lead to."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from attention.commands import data_options
from attention.data.folder import DataFolder
from attention.data.intake.splits import VALIDATION_SHARE
from attention.errors import InvalidRequest
from attention.names import split_names
from attention.reports.parts.inventory import Choices
from attention.reports.parts.recipes import RECIPES, of_name
from attention.running.device import best_device, check_device
from attention.spec import Recipe, Variant
from attention.storage.folder import FolderStore

SIZES = range(4, 513)
"""Heights and widths that images can be trained at, pixels."""


@dataclass(frozen=True)
class DataPlace:
    """Where a data set lies, and how it is understood: as was chosen when it was brought in; None for a mere path."""

    path: Path
    choices: Choices | None = None


def data_place(text: str) -> DataPlace:
    """Find the data set that a path names, or else a name in the data folder; the path where there is neither."""
    path = Path(text)
    folder = DataFolder(FolderStore(data_options.data_folder()))
    named = None if path.exists() or path.name != text else folder.path(text)
    return DataPlace(path) if named is None else DataPlace(named, folder.choices(text))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that training commands share: networks, data, recipe and device."""
    parser.add_argument(
        "data",
        type=data_place,
        help="folder per class, zip of one, CIFAR archive, or the name of a data set that attention-lab data lists",
    )
    parser.add_argument("variants", nargs="+", help="short names, such as resnet20/none resnet20/eca")
    parser.add_argument("--data-name", help="what the data set is called")
    parser.add_argument("--recipe", default="quick", choices=sorted(RECIPES))
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--batch-size", type=int, help="instead of the recipe's")
    parser.add_argument("--size", type=int, default=32, help="height and width of the images, pixels")
    parser.add_argument(
        "--validation",
        type=float,
        default=VALIDATION_SHARE,
        help="share of the training images to hold out for curves, unless the data has a split for it; 0 for none",
    )
    parser.add_argument("--device", default=best_device())
    parser.add_argument("--threads", type=int, help="CPU threads of one run")
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the steps first (torch.compile); pays in long runs on a GPU if at all, so measure it",
    )


def prepare(chosen: argparse.Namespace) -> None:
    """Check what no other part checks, and set the number of threads.

    Raises:
        InvalidRequest: there is no such device, or a number is out of its range.
    """
    check_device(chosen.device)
    if chosen.size not in SIZES:
        raise InvalidRequest(f"--size is {chosen.size} pixels. Choose {SIZES[0]} to {SIZES[-1]}.")
    if not 0 <= chosen.validation <= 0.5:
        raise InvalidRequest(f"--validation is {chosen.validation:g}. Choose a share from 0 to 0.5.")
    if chosen.threads is not None:
        if chosen.threads < 1:
            raise InvalidRequest(f"--threads is {chosen.threads}. Choose 1 or more.")
        torch.set_num_threads(chosen.threads)


def recipe(chosen: argparse.Namespace) -> Recipe:
    """Look up a recipe by name, with the values that options put in place of its own."""
    return _changed(RECIPES[chosen.recipe], chosen)


def recipes(chosen: argparse.Namespace) -> tuple[Recipe, ...]:
    """Look up the recipes to choose among, with the values that options put in place of theirs; none if none are named.

    Raises:
        InvalidRequest: there is no recipe of a name.
    """
    try:
        named = of_name(chosen.recipes)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    return tuple(_changed(recipe, chosen) for recipe in named)


def _changed(named: Recipe, chosen: argparse.Namespace) -> Recipe:
    instead = {field: getattr(chosen, field) for field in ("epochs", "batch_size")}
    changes = {field: value for field, value in instead.items() if value is not None}
    return Recipe.model_validate({**named.model_dump(), **changes})


def variants(chosen: argparse.Namespace) -> tuple[Variant, ...]:
    """Read the variants named on the command line, separated by blanks or commas."""
    return tuple(Variant.parse(name) for text in chosen.variants for name in split_names(text))


def decisive(chosen: argparse.Namespace) -> list[str]:
    """The shared options as they would be typed, as far as they decide the result and are not on every card."""
    words = ["--recipe", chosen.recipe]
    for option in ("epochs", "batch_size"):
        value = getattr(chosen, option)
        words += [f"--{option.replace('_', '-')}", str(value)] if value is not None else []
    words += ["--size", str(chosen.size), "--validation", f"{chosen.validation:g}"]
    words += ["--threads", str(chosen.threads)] if chosen.threads is not None else []
    return words + (["--compile"] if chosen.compile else [])


@contextmanager
def understood(chosen: argparse.Namespace) -> Iterator[None]:
    """Turn errors about values inside the block into sentences that name the option.

    Raises:
        InvalidRequest: a value is not what its field takes.
    """
    try:
        yield
    except ValidationError as error:
        fault = error.errors()[0]
        if fault["type"] == "value_error":
            raise InvalidRequest(str(fault["ctx"]["error"])) from error
        field = str(fault["loc"][0]) if fault["loc"] else ""
        where = f"--{field.replace('_', '-')}" if field in vars(chosen) else ".".join(map(str, fault["loc"]))
        raise InvalidRequest(f"{where} is {fault['input']!r}. {fault['msg']}.") from error
