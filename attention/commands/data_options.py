"""Options of the commands that look after data sets: the data folder, and how a data set is to be understood."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attention.data.intake.inventory import Refused
from attention.errors import BadData
from attention.reports.parts.inventory import Choices

DEFAULT_FOLDER = "~/.local/share/attention"


def data_folder() -> Path:
    """Find the service's data folder: ``ATTENTION_DATA``, else ``~/.local/share/attention``."""
    return Path(os.environ.get("ATTENTION_DATA") or DEFAULT_FOLDER).expanduser()


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--data``, the service's data folder, to a command that looks after data sets."""
    folder = data_folder()
    parser.add_argument("--data", type=Path, default=folder, help=f"the service's data folder; now {folder}")


def add_lab_folder(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--folder``, the service's data folder, to a command whose ``--data`` names a data set."""
    folder = data_folder()
    parser.add_argument(
        "--folder", type=Path, default=folder, help=f"where data sets and checkpoints lie; now {folder}"
    )


@contextmanager
def choosing() -> Iterator[None]:
    """Add to the refusal of a data set inside the block which command makes the choice that it asks for.

    Raises:
        BadData: it is refused.
    """
    try:
        yield
    except Refused as error:
        if not any(f"{name}=" in str(error) for name in Choices.model_fields):
            raise
        raise BadData(
            f"{error} Such a choice is made when a zip or tar is kept, and holds from then on under its name: "
            "attention-lab data add FILE --skip-bad, for instance."
        ) from error


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each field of `Choices` to a command."""
    for name, field in Choices.model_fields.items():
        flag, text = f"--{name.replace('_', '-')}", str(field.description).replace("%", "%%")
        if field.annotation is bool:
            parser.add_argument(flag, action="store_true", help=text)
        else:
            parser.add_argument(flag, type=int if "int" in str(field.annotation) else str, help=text)


def choices(chosen: argparse.Namespace) -> Choices:
    """Read the `Choices` from the flags that `add_choices` added."""
    return Choices.model_validate({name: getattr(chosen, name) for name in Choices.model_fields})
