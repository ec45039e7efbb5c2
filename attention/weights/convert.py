"""Checkpoints of other code become safetensors: only tensors are read, and nothing in the file is run.

``torch.load`` with ``weights_only=True`` reads tensors, numbers, text and containers; of everything else it refuses
the file. Taken are the weights of one network, without what stood before all of their names.
"""

import argparse
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from attention.errors import BadCheckpoint, InvalidRequest, NotFound
from attention.reports.parts.checkpoints import Conversion
from attention.storage.base import write_whole
from attention.weights.find import PICKLES, Source, shapes
from attention.weights.key_names import NO_EFFECT, unwrapped
from attention.weights.load import finite

KEYS = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "ema",
    "model_ema",
    "ema_state_dict",
    "state_dict_ema",
    "params_ema",
)
"""What training scripts call the weights, in the order of preference."""

_scalar = np.float64(0).__reduce__()[0]
HARMLESS: list[Any] = [
    argparse.Namespace,
    _scalar,
    (_scalar, "numpy.core.multiarray.scalar"),  # as numpy 1 called it
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
]
"""What training scripts put beside the weights, and what only holds values: options and numpy's numbers."""

MAGIC = (b"PK", b"\x80")
"""First bytes of what torch writes: a zip since 1.6, a pickle before."""

NAMED = 5
"""How many names a sentence lists."""


@dataclass(frozen=True)
class Weights:
    """One network's tensors as they are read from a file.

    Args:
        key: where in the file they were.
        others: where there are further ones.
        left_out: entries beside them that are no tensors.
    """

    tensors: Mapping[str, Tensor]
    key: str
    others: tuple[str, ...]
    left_out: tuple[str, ...]


def convert(
    path: Path,
    out: Path | None = None,
    *,
    key: str | None = None,
    rename: Sequence[tuple[str, str]] = (),
    labels: Sequence[str] = (),
) -> tuple[Path, Conversion]:
    """Write a checkpoint's weights as safetensors, and a card beside them; gives where they lie, and the card.

    Args:
        path: a file that torch or safetensors wrote.
        out: the new file; None is the same name with another ending, in the same folder.
        key: which entry of the file holds the weights; None is the usual one.
        rename: parts of names that are replaced, in order: (old, new).
        labels: class names in the order of the logits.

    Raises:
        NotFound: there is no such file.
        InvalidRequest: the new file is there already, or a new name is given twice.
        BadCheckpoint: the file holds no weights, or something that only its own code can read, or no finite numbers.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    target = out.with_suffix(".safetensors") if out and out.suffix != ".safetensors" else out or _beside(path)
    if target.exists():
        raise InvalidRequest(f"{target} is there already. Say another name: --out NAME.")
    weights = _chosen(_read(path), path.name, key)
    prefix, tensors = _without_prefix(weights.tensors)
    tensors = _renamed(tensors, rename)
    floats, left_out = _floats(tensors)
    if not floats:
        raise BadCheckpoint(f"{path.name} holds no tensors of floats.")
    card = Conversion(
        converted_from=path.name,
        sha256=sha256_of(path),
        key=weights.key,
        others=weights.others,
        prefix=prefix,
        renamed=tuple(rename),
        tensors=len(floats),
        parameters=sum(tensor.numel() for tensor in floats.values()),
        left_out=(*weights.left_out, *left_out),
        labels=tuple(labels),
        torch=torch.__version__,
        date=datetime.now(UTC).date().isoformat(),
    )
    write_whole(target, save(floats))
    write_card(target, card)
    return target, card


def inspect(path: Path) -> Conversion:
    """What is in a file of safetensors that somebody sent, as its card; one tensor at a time is in memory.

    Raises:
        BadCheckpoint: it is a pickle or no safetensors, cut short, empty, of something else than floats, or not finite.
    """
    if path.stat().st_size == 0:
        raise BadCheckpoint(f"The checkpoint {path.name} is empty.")
    sizes = shapes(Source(path, f"file:{path.stem}"), original="FILE")
    if not sizes:
        raise BadCheckpoint(f"The checkpoint {path.name} holds no tensors.")
    with safe_open(path, framework="pt") as tensors:
        for name in sizes:
            _check_finite(name, tensors.get_tensor(name))
    return Conversion(
        converted_from=path.name,
        sha256=sha256_of(path),
        key="",
        others=(),
        prefix="",
        tensors=len(sizes),
        parameters=sum(math.prod(size) for size in sizes.values()),
        left_out=(),
        torch=torch.__version__,
        date=datetime.now(UTC).date().isoformat(),
    )


def write_card(path: Path, card: Conversion) -> None:
    """Write the card of a converted checkpoint beside it."""
    write_whole(path.with_suffix(".json"), card.model_dump_json(indent=1).encode() + b"\n")


def _beside(path: Path) -> Path:
    """A file name with the ending of safetensors, whatever endings of pickles it had."""
    stem = path
    while stem.suffix.lower() in (*PICKLES, ".safetensors"):
        stem = stem.with_suffix("")
    target = stem.with_name(f"{stem.name}.safetensors")
    return target if target != path else path.with_name(f"{stem.name}-converted.safetensors")


def _read(path: Path) -> Any:
    """What is in a file, on the CPU.

    Raises:
        BadCheckpoint: neither torch nor safetensors can read it, or not without running code.
    """
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:9] == b"{":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise BadCheckpoint(f"{path.name} is damaged: {str(error)[:300]}.") from error
    if not start.startswith(MAGIC):
        raise BadCheckpoint(_reason(path.name, ""))
    try:
        with torch.serialization.safe_globals(HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can fail in any way
        raise BadCheckpoint(_reason(path.name, str(error))) from error


def _reason(name: str, message: str) -> str:
    """Why torch did not read a file, in a sentence."""
    if "TorchScript" in message or "constants.pkl" in message:
        return (
            f"{name} is a TorchScript program. Load it where you trust it, with torch.jit.load, and save "
            "torch.save(program.state_dict(), 'weights.pt'); that can be converted."
        )
    if "GLOBAL" in message or "Unsupported" in message:
        culprit = re.search(r"GLOBAL ([\w.]+)", message)
        return (
            f"{name} holds more than tensors and plain values ({culprit[1] if culprit else 'objects'}), which only its "
            "own code can read, and reading it would run that code. Where that code is, save "
            "torch.save(model.state_dict(), 'weights.pt'); that can be converted."
        )
    first = f": {message.strip().splitlines()[0][:200].rstrip('.')}" if message.strip() else ""
    return f"{name} is no checkpoint of torch's or safetensors', or it is damaged or cut short{first}."


def _chosen(content: Any, name: str, key: str | None) -> Weights:
    """The weights of one network in what a file holds.

    Raises:
        BadCheckpoint: there are none, or none under the key.
    """
    sets = dict(_sets_of_weights(content))
    if key is not None and key not in sets:
        keys = ", ".join(repr(key) for key in sets if key) or "none"
        raise BadCheckpoint(f"{name} has no weights under {key!r}. There are: {keys}.")
    if not sets:
        raise BadCheckpoint(f"{name} holds no weights: no entry in it has names with tensors.")
    chosen = key if key is not None else min(sets, key=lambda name: (_rank(name), -len(sets[name])))
    mapping = sets[chosen]
    tensors = {str(entry): value for entry, value in mapping.items() if isinstance(value, Tensor)}
    beside = tuple(str(entry) for entry, value in mapping.items() if not isinstance(value, Tensor))
    return Weights(tensors, chosen, tuple(key for key in sets if key != chosen), beside)


def _rank(key: str) -> int:
    last = key.rpartition(".")[2]
    return KEYS.index(last) if last in KEYS else -1 if not key else len(KEYS)


def _sets_of_weights(content: Any, path: str = "") -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Mappings of names to tensors in a file, each with the keys that lead there."""
    if not isinstance(content, Mapping):
        return
    weights = [name for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)]
    if any(content[name].dim() for name in weights):
        yield path, content
    if len(weights) < len(content):
        for name, value in content.items():
            if isinstance(name, str) and isinstance(value, Mapping) and path.count(".") < 3:
                yield from _sets_of_weights(value, f"{path}.{name}" if path else name)


def _without_prefix(tensors: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """What stands before all names, and the tensors without it; the names of a single layer keep it."""
    names, prefix = {name: name for name in tensors}, ""
    for shorter in unwrapped(tensors):
        if any("." in name for name in shorter.values() if not name.endswith(NO_EFFECT)):
            names = shorter
    first = next((name for name in tensors if not name.endswith(NO_EFFECT)), "")
    if first:
        prefix = first.removesuffix(names[first])
    return prefix, {names[name]: tensor for name, tensor in tensors.items()}


def _renamed(tensors: Mapping[str, Tensor], rename: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        for old, new in rename:
            name = name.replace(old, new)
        if name in named:
            raise InvalidRequest(f"Two tensors would be called {name!r}. Say what to rename more exactly.")
        named[name] = tensor
    return named


def _floats(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Tensors as safetensors take them, each with memory of its own, and the names of those that are left out.

    Raises:
        BadCheckpoint: a tensor is not finite.
    """
    weights: dict[str, Tensor] = {}
    left_out = []
    for name, tensor in tensors.items():
        if tensor.is_sparse or tensor.is_quantized or not (tensor.is_floating_point() or tensor.dim() == 0):
            left_out.append(name)
            continue
        _check_finite(name, tensor)
        weights[name] = tensor.detach().clone(memory_format=torch.contiguous_format)
    return weights, tuple(left_out)


def _check_finite(name: str, tensor: Tensor) -> None:
    if not finite(tensor):
        raise BadCheckpoint(
            f"Not every number of {name[:200]} is finite: its training had diverged, or the file is damaged."
        )


def sha256_of(path: Path) -> str:
    """Digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
