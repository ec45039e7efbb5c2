"""Provenance: what decides an answer beside its question, which is versions, device, and the files it names."""

import hashlib
import json
import logging
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from attention.build import resolve
from attention.data.folder import DataFolder
from attention.errors import AttentionError
from attention.models import own_models
from attention.schemas import ROUNDING, Conditions, Difference
from attention.spec import Request, Variant
from attention.weights.find import Checkpoints
from attention.weights.hub import Hub
from attention.weights.load import source
from server.catalog import version
from server.engine import Engine
from server.settings import Settings
from server.stored.references import data_sets, variants

log = logging.getLogger(__name__)

DIGITS = 16
"""Hex digits of a fingerprint: 64 bits, for telling files of one name apart."""


class Provenance:
    """The conditions of this service's answers."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._files = engine.files
        self._common = Conditions(
            version=version(),
            torch=str(torch.__version__),
            device=engine.device,
            dtype=settings.dtype,
            threads=settings.cpu_threads,
            tolerance=0.0 if settings.max_batch_size == 1 else ROUNDING if settings.dtype == "float32" else None,
        )

    def needs_no_files(self, question: Request[Any]) -> bool:
        """Whether the conditions of a question's answer are known without looking at files that may change."""
        return next(data_sets(question), None) is None and all(
            variant.weights in (None, "shipped") and variant.backbone != "own" for variant in variants(question)
        )

    def conditions(self, question: Request[Any]) -> Conditions:
        """What decides the answer of a question as long as nothing changes.

        It may block on files, so async code calls it in a thread unless it `needs_no_files`.
        """
        weights = dict(filter(None, map(self._weights, dict.fromkeys(variants(question)))))
        data = self._data(tuple(dict.fromkeys(data_sets(question))))
        if not weights and not data:
            return self._common
        return self._common.model_copy(update={"weights": weights, "data": data})

    def _data(self, names: tuple[str, ...]) -> dict[str, str]:
        """The fingerprints of data sets by name, of those that are here."""
        if not names:
            return {}
        folder = DataFolder(self._files.file_store)
        return {name: digest for name in names if (digest := _data_set(folder, name))}

    def _weights(self, variant: Variant) -> tuple[str, str] | None:
        """A network's name and the fingerprint of its weights; None if it has none, or none on this machine."""
        if variant.weights is None:
            return _own_model(variant)
        return _shipped_fingerprint(variant) if variant.weights == "shipped" else _checkpoint(variant, self._local)

    @property
    def _local(self) -> Checkpoints:
        """The service's checkpoints without those that would have to be fetched first."""
        checkpoints = self._files.checkpoints
        fetch = checkpoints.fetch
        return replace(checkpoints, fetch=replace(fetch, offline=True) if isinstance(fetch, Hub) else None)


def changes(before: Conditions | None, now: Conditions) -> tuple[Difference, ...]:
    """The conditions that are not what they were; none where it is not known what they were."""
    if before is None:
        return ()
    old, new = _flat(before), _flat(now)
    return tuple(
        Difference(path=name, before=old.get(name), after=new.get(name))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    )


def _flat(conditions: Conditions) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in conditions.model_dump().items():
        values |= (
            {f"{name} of {key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
        )
    return values


@lru_cache(maxsize=256)
def _shipped_fingerprint(variant: Variant) -> tuple[str, str] | None:
    """Fingerprint of shipped weights; computed once per process."""
    return _checkpoint(variant, Checkpoints())


def _own_model(variant: Variant) -> tuple[str, str] | None:
    """A network's name and the fingerprint of the user's model that it is; None if it is none."""
    if variant.backbone != "own":
        return None
    try:
        return variant.name, own_models.get(str(variant.backbone_options.get("name", ""))).fingerprint[:DIGITS]
    except AttentionError as error:
        log.debug("No fingerprint of %s: %s", variant.name, error)
        return None


def _checkpoint(variant: Variant, checkpoints: Checkpoints) -> tuple[str, str] | None:
    """A network's name and the fingerprint of its weights and of the card beside them."""
    try:
        weights = source(resolve(variant), checkpoints)
        if weights is None:
            return None
        parts = [_file(path) for path in (weights.path, weights.path.with_suffix(".json")) if path.is_file()]
    except (AttentionError, OSError) as error:  # counting a network does not need its weights, so it had an answer
        log.debug("No fingerprint of %s: %s", variant.name, error)
        return None
    return variant.name, parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()[:DIGITS]


def _file(path: Path) -> str:
    about = path.stat()
    return _digest(path.resolve(), about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=1024)
def _digest(path: Path, size: int, changed: int) -> str:
    """A file's fingerprint; ``size`` and ``changed`` make another file in its place be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]


def _data_set(folder: DataFolder, name: str) -> str | None:
    """The fingerprint of a data set's files: of a folder, when something last came into or left its folders."""
    try:
        state = folder.state(name)
    except (AttentionError, OSError) as error:
        log.debug("No fingerprint of the data set %s: %s", name, error)
        return None
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:DIGITS] if state else None
