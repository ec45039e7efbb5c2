"""A network as a repository of the Hugging Face hub has it: weights, their configuration, and a page about them.

``config.json`` has the fields that timm's repositories have, so that their readers find size, crop and class names
there; ``weights=hub:OWNER/NAME`` of a variant reads it back.
"""

import json
import re
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from attention.errors import BadCheckpoint, InvalidRequest, first_line
from attention.names import Size, height_and_width, write_size
from attention.reports.export import ExportCard
from attention.running.export import About, export
from attention.spec import Preprocess
from attention.storage.base import write_whole

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


class Client(Protocol):
    """Protocol of the hub's client, with the two functions that publishing uses."""

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> object:
        """Make a repository, if it is not there."""

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> object:
        """Send all files of a folder in one commit."""


def save_pretrained(model: nn.Module, folder: Path, size: Size, about: About, licence: str | None = None) -> ExportCard:
    """Write a network into a folder as a repository of the hub: model.safetensors, config.json and README.md.

    Args:
        size: side of the input in pixels, or its height and width.
        licence: the licence of the weights, as the hub spells it, such as apache-2.0.

    Raises:
        InvalidRequest: the folder has such files already.
    """
    card = export(model, folder / "model.safetensors", size, about)
    (folder / "model.json").unlink()  # all of it is in the configuration
    config = json.dumps(configuration(card), indent=1, ensure_ascii=False)
    write_whole(folder / "config.json", config.encode() + b"\n")
    write_whole(folder / "README.md", page(card, licence).encode())
    return card


def check_repository(name: str) -> None:
    """Check that a repository's name is one.

    Raises:
        InvalidRequest: it is not OWNER/NAME as the hub has names.
    """
    if not REPOSITORY.fullmatch(name):
        raise InvalidRequest(f"{name!r} is no repository of the hub. Write owner/name.")


def push(client: Client, folder: Path, repository: str, private: bool = True) -> str:
    """Send a folder to the hub; gives the address.

    Raises:
        InvalidRequest: the repository's name is none.
        BadCheckpoint: the hub refuses, or cannot be reached.
    """
    check_repository(repository)
    try:
        client.create_repo(repository, private=private, exist_ok=True)
        client.upload_folder(repo_id=repository, folder_path=folder, commit_message="Weights, configuration and card")
    except Exception as error:  # the hub's client raises errors of its own, of its HTTP library and of the system
        raise BadCheckpoint(
            f"{repository} cannot be written: {first_line(error)}. The files are in {folder}; "
            "'hf auth login' stores a token."
        ) from error
    return f"hub:{repository}"


def configuration(card: ExportCard) -> dict[str, Any]:
    """What ``config.json`` says of an exported network."""
    height, width = height_and_width(card.size)
    how = card.preprocess or Preprocess(
        size=height, width=width if width != height else None, resize=min(height, width)
    )
    classes = card.outputs[0][-1] if card.outputs and len(card.outputs[0]) == 2 else None
    return {
        "architecture": card.variant.backbone if card.variant else None,
        "num_classes": classes,
        **({"label_names": list(card.labels)} if card.labels else {}),
        "pretrained_cfg": {
            "input_size": [3, *how.height_and_width],
            "crop_pct": round(min(how.height_and_width) / how.resize, 6),
            "crop_mode": how.mode,
            "interpolation": how.filter,
            "mean": list(how.mean),
            "std": list(how.std),
            "num_classes": classes,
        },
        "attention_lab": {
            "variant": card.variant.name if card.variant else None,
            "preprocess": how.model_dump(mode="json"),
            "card": card.model_dump(mode="json"),
        },
    }


def page(card: ExportCard, licence: str | None) -> str:
    """The page about an exported network, as the hub shows it."""
    name = card.variant.name if card.variant else "A network"
    head = ["---", "tags: [image-classification, attention-lab]", "library_name: attention-lab"]
    head += [f"license: {licence}"] if licence else []
    lines = [*head, "---", "", f"# {name}", ""]
    lines.append(
        f"{card.parameters:,} parameters; images of {write_size(card.size)} pixels; read again and held against "
        f"torch {card.torch}: outputs differ by at most {card.largest_difference:.1e}."
    )
    if card.labels:
        lines += ["", f"{len(card.labels)} classes: {', '.join(card.labels[:20])}{' ...' * (len(card.labels) > 20)}."]
    if card.variant:
        bare = card.variant.model_copy(update={"weights": None})
        sign = "&" if "?" in bare.name else "?"
        lines += ["", f"In attention-lab: `{bare.name}{sign}weights=hub:OWNER/NAME`.", ""]
    return "\n".join([*lines, ""])
