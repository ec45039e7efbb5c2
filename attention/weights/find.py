"""Checkpoints: how the text ``weights`` of a variant leads to a file, and what that file says of itself.

    file:NAME                            a safetensors file in a folder; a path only where the caller allows paths
    hub:OWNER/NAME[/FILE][@REVISION]     a published checkpoint, such as hub:timm/resnet50.a1_in1k
    hub:ResNet50_Weights.IMAGENET1K_V2   torchvision's name for one

Nothing is ever unpickled: what does not begin as safetensors do is refused before anything reads on.
"""

import json
import math
import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from attention.errors import BadCheckpoint, NotFound, did_you_mean, first_line
from attention.reports.parts.checkpoints import Card, Conversion
from attention.spec import Preprocess
from attention.storage.base import FileStore
from attention.storage.folder import FolderStore
from attention.weights import imagenet
from attention.weights.hub import TORCHVISION

Shape = tuple[int, ...]

Fetch = Callable[[str, str, str | None], Path | None]
"""(repository, file, revision) -> where the file lies on this machine; None if the repository has none such."""

LONGEST_HEADER = 16 << 20
"""Bytes; ResNet-152's header has 0.1 MB."""

LONGEST_CONFIG = 1 << 20
"""Bytes of a repository's config.json; timm's have about 700."""

MOST_NAMES = 30
"""A sentence does not list more."""

PICKLE_HEADS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth", ".tar")

NAME = re.compile(r"[A-Za-z0-9][\w.=-]{0,199}")
_HUB = re.compile(
    r"(?P<repository>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})"
    r"(?:/(?P<file>(?:[\w=-][\w.=-]*/)*[\w=-][\w.=-]*\.safetensors))?"
    r"(?:@(?P<revision>[\w][\w.-]*))?"
)


@dataclass(frozen=True)
class Source:
    """A checkpoint's file and what is known of it without its tensors.

    Args:
        weights: the text that named it.
        card: what was trained, where it was trained here.
        labels: class names in the order of the logits, where they are known.
        architecture: what its publisher calls the network.
        revision: the hub's commit.
    """

    path: Path
    weights: str
    card: Card | None = None
    preprocess: Preprocess | None = None
    labels: tuple[str, ...] = ()
    architecture: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Checkpoints:
    """Where named checkpoints are looked for. By default nowhere: whoever builds says what may be read.

    Args:
        folder: where ``file:NAME`` lies, as ``NAME.safetensors``, perhaps with its card ``NAME.json``.
        fetch: how files come from the hub.
        any_path: whether ``file:`` may be any path. Never for names that came over a network.
        file_store: what brings the files of ``folder``, which is its ``checkpoints``; None is that they lie there.
    """

    folder: Path | None = None
    fetch: Fetch | None = None
    any_path: bool = False
    file_store: FileStore | None = None

    def find(self, weights: str) -> Source:
        """The checkpoint that ``weights`` names.

        Raises:
            BadCheckpoint: it cannot be a checkpoint's name, or what it names is none.
            NotFound: there is no such file.
        """
        check_name(weights)
        kind, _, name = weights.partition(":")
        return self._file(weights, name) if kind == "file" else self._published(weights, name)

    def _file(self, weights: str, name: str) -> Source:
        if self.folder is None and not self.any_path:
            raise BadCheckpoint(f"{weights!r} cannot be read here: no folder of checkpoints is given.")
        if name.lower().endswith(PICKLES):
            raise BadCheckpoint(_pickle(name))
        stem = name.removesuffix(".safetensors")
        stored = self.folder is not None and NAME.fullmatch(stem) is not None
        path = self._brought(f"{stem}.safetensors") if stored else None
        if self.any_path and not (path and path.is_file()):
            path = Path(f"{stem}.safetensors").expanduser()
        if path is None:
            raise BadCheckpoint(
                f"{name!r} is not a checkpoint's name: letters, digits and . _ - = only. It is looked for among the "
                "checkpoints stored here; a path is not taken."
            )
        if not path.is_file():
            names = self.names()
            raise NotFound(
                f"There is no checkpoint {name!r} here.{did_you_mean(stem, names) if len(names) <= MOST_NAMES else ''}"
            )
        if path.parent == self.folder:
            self._brought(f"{stem}.json")
        card = _card(path)
        if card is None:
            return Source(path, weights)
        trained = card if isinstance(card, Card) else None
        return Source(path, weights, trained, preprocess=card.preprocess, labels=card.labels)

    def names(self) -> list[str]:
        """Names of the stored checkpoints, which may stand after ``file:`` in ``weights``."""
        if self.folder is None:
            return []
        there = self.kept.entries(self.folder.name)
        return sorted(entry.last.removesuffix(".safetensors") for entry in there if entry.last.endswith(".safetensors"))

    def card(self, name: str) -> Card | Conversion | None:
        """What is written beside the checkpoint ``file:NAME``; None if nothing is.

        Raises:
            BadCheckpoint: what is there is no card.
        """
        return _card(self._brought(f"{name}.json"))

    @property
    def kept(self) -> FileStore:
        """File store of the folder of checkpoints."""
        assert self.folder is not None
        return self.file_store or FolderStore(self.folder.parent)

    def _brought(self, name: str) -> Path:
        """Where a file of the folder lies, if there is one; it is there to be read."""
        assert self.folder is not None
        with suppress(FileNotFoundError):
            return self.kept.path(f"{self.folder.name}/{name}")
        return self.folder / name

    def _published(self, weights: str, name: str) -> Source:
        if self.fetch is None:
            raise BadCheckpoint(f"{weights!r} cannot be read here: nothing is fetched from the hub.")
        match = _HUB.fullmatch(TORCHVISION.get(name, name))
        assert match is not None  # check_name has seen it
        repository, revision = match["repository"], match["revision"]
        file = match["file"] or "model.safetensors"
        path = self.fetch(repository, file, revision)
        if path is None:
            raise BadCheckpoint(
                f"The repository {repository!r} has no {file}. Only safetensors are read: .bin and .pt files are "
                "pickles, which can run code when they are opened."
            )
        about = _config(self.fetch(repository, "config.json", revision))
        commit = path.parent.name if re.fullmatch(r"[0-9a-f]{40}", path.parent.name) else revision
        return Source(
            path,
            weights,
            preprocess=published_preprocess(about),
            labels=published_labels(about, repository),
            architecture=str(about["architecture"])[:100] if "architecture" in about else None,
            revision=commit,
        )


NOWHERE = Checkpoints()
"""Only what comes with the project is found."""


def check_name(weights: str) -> None:
    """Say what is wrong with a text that cannot name a checkpoint, whatever lies where.

    Raises:
        BadCheckpoint: in a sentence.
    """
    kind, sign, name = weights.partition(":")
    if kind not in ("file", "hub") or not sign or not name:
        raise BadCheckpoint(
            f"There are no weights called {weights!r}. Say 'shipped', 'file:NAME' for a stored checkpoint, "
            "'hub:OWNER/NAME' for a published one such as hub:timm/resnet50.a1_in1k, or leave weights out."
        )
    if kind == "file":
        return
    if name.lower().endswith(PICKLES):
        raise BadCheckpoint(_pickle(name))
    if "/" not in name and name not in TORCHVISION:
        raise BadCheckpoint(
            f"{name!r} is neither a repository, OWNER/NAME, nor a name of torchvision's whose weights are on the hub."
            f"{did_you_mean(name, TORCHVISION)}"
        )
    if "/" in name and (not _HUB.fullmatch(name) or ".." in name):
        raise BadCheckpoint(
            f"{name!r} is not a repository on the hub. Write hub:OWNER/NAME, and after it /FILE.safetensors or "
            "@REVISION if need be."
        )


def shapes(source: Source, original: str | None = None) -> dict[str, Shape]:
    """Shapes of all tensors of a checkpoint, by name; only its header is read.

    Args:
        original: what the file is called where its owner has it, for a command; None is its name here.

    Raises:
        BadCheckpoint: it is not safetensors, or not whole, or its numbers are not floats.
    """
    path, name = source.path, source.path.name
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(10)
    except OSError as error:
        raise BadCheckpoint(f"The checkpoint {name} cannot be read: {error.strerror}.") from error
    header = int.from_bytes(start[:8], "little")
    if start.startswith(PICKLE_HEADS):
        raise BadCheckpoint(_pickle(name, original))
    if len(start) < 10 or start[8:9] != b"{":
        raise BadCheckpoint(f"The checkpoint {name} is not a safetensors file.")
    if header > LONGEST_HEADER or header + 8 > size:
        raise BadCheckpoint(
            f"The checkpoint {name} is damaged: it claims a header of {header:,} bytes in a file of {size:,}."
        )
    by_name: dict[str, Shape] = {}
    try:
        with safe_open(path, framework="pt") as tensors:
            for key in tensors.keys():  # noqa: SIM118
                part = tensors.get_slice(key)
                kind = part.get_dtype()
                if kind.startswith("C") or (not kind.startswith(("F", "BF")) and part.get_shape()):
                    raise BadCheckpoint(f"The checkpoint {name} holds {kind} in {key[:200]}, not floats.")
                by_name[key] = tuple(part.get_shape())
    except (OSError, SafetensorError) as error:
        raise BadCheckpoint(f"The checkpoint {name} is damaged: {str(error)[:300]}.") from error
    return by_name


def _pickle(name: str, file: str | None = None) -> str:
    return (
        f"{name!r} is a pickle or an archive, which can run code when it is opened, so it is not. Where it lies, "
        f"`attention-lab convert {shlex.quote(file or name)}` makes safetensors of it."
    )


def _card(path: Path) -> Card | Conversion | None:
    """What is written beside a checkpoint: how it was trained, or what it was converted from."""
    beside = path.with_suffix(".json")
    if not beside.exists():
        return None
    try:
        data = beside.read_bytes()
        with suppress(ValidationError):
            return Conversion.model_validate_json(data)
        return Card.model_validate_json(data)
    except (OSError, ValidationError) as error:
        raise BadCheckpoint(f"The card {beside.name} beside the checkpoint is not one: {first_line(error)}.") from error


def _config(path: Path | None) -> dict[str, Any]:
    """What a repository's ``config.json`` says; nothing if it is not there or not readable."""
    if path is None or path.stat().st_size > LONGEST_CONFIG:
        return {}
    try:
        read = json.loads(path.read_bytes())
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def published_preprocess(about: dict[str, Any]) -> Preprocess | None:
    """How timm's configuration says that photos were prepared; None if it does not say so in full.

    The rule is that of timm's transforms_imagenet_eval (https://github.com/huggingface/pytorch-image-models,
    timm/data/transforms_factory.py), defaults included.
    """
    try:
        recorded = about.get("attention_lab", {}).get("preprocess")
        if recorded is not None:  # written by attention.running.hub_layout
            return Preprocess.model_validate(recorded)
        config = about["pretrained_cfg"]
        _, height, size = (int(side) for side in config["input_size"])
        if height != size:
            return None
        return Preprocess(
            size=size,
            resize=math.floor(size / float(config.get("crop_pct") or 0.875)),
            mean=config["mean"],
            std=config["std"],
            filter=config.get("interpolation") or "bicubic",
            mode=config.get("crop_mode") or "center",
            rounding="torchvision",
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None


def published_labels(about: dict[str, Any], repository: str) -> tuple[str, ...]:
    """Class names as a configuration says them; ImageNet's for timm's networks of ImageNet-1k, which leave them out."""
    names = about.get("label_names")
    if isinstance(names, list):
        return tuple(str(name)[:200] for name in names)
    if repository.endswith("_in1k") and about.get("num_classes") == imagenet.CLASSES:
        return imagenet.labels()
    return ()
