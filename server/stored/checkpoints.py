"""Checkpoints: weights that a study, a fold or a user left in the folder ``checkpoints``."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection

from attention.build import skeleton
from attention.errors import BadCheckpoint, Conflict, NotFound, StorageFailed
from attention.reports.parts.checkpoints import Card
from attention.schemas import Checkpoint
from attention.storage.base import CLOSED, NOT_WRITABLE
from attention.weights.convert import inspect
from attention.weights.find import NAME, Checkpoints, Source
from attention.weights.proposals import propose
from server.store.jobs import JobTable
from server.store.ownership import ASKER, OwnerTable
from server.stored.kinds import NamedByOwner, Thing, own_name

SUFFIX = ".safetensors"

MOST_NAME_BYTES = 200
"""Bytes of a checkpoint's name in UTF-8 at most; file systems take 255 with the ending."""


class StoredCheckpoints(NamedByOwner):
    """Checkpoints that ``weights=file:NAME`` of a variant can name; those that come with the service are no part."""

    name = "checkpoints"

    def __init__(self, checkpoints: Checkpoints, jobs: JobTable, owners: OwnerTable, keep_days: float) -> None:
        super().__init__(jobs, owners, keep_days)
        self._checkpoints = checkpoints
        self._files = checkpoints.kept

    def things(self) -> Iterator[Thing]:
        """Every checkpoint, by name."""
        for file in self._files.entries("checkpoints"):
            stem = file.last.removesuffix(SUFFIX)
            if file.last.endswith(SUFFIX) and not file.folder and NAME.fullmatch(stem):
                yield Thing.of(stem, file)

    def get(self, name: str) -> Checkpoint:
        """What is known of a checkpoint.

        Raises:
            NotFound: it is not here.
        """
        stem = self._stem(name)
        return next(self.described(thing) for thing in self.things() if thing.name == stem)

    def file(self, name: str) -> Path:
        """Where the file of a checkpoint can be read on this machine now.

        Raises:
            NotFound: it is not here.
            BadCheckpoint: the file of that name is none, such as a pickle.
        """
        stem = name.removesuffix(SUFFIX)
        if not super().sees(stem) or (ASKER.get() and not self._here(stem)):  # a key hears no other key's names
            raise self.missing(name)
        return self._checkpoints.find(f"file:{name}").path

    def sees(self, name: str) -> bool:
        """Whether a checkpoint is here, and the key that asks may use it."""
        return super().sees(name) and self._here(name)

    def described(self, thing: Thing) -> Checkpoint:
        """A checkpoint with what its card says."""
        card = None
        with suppress(BadCheckpoint):  # a card that cannot be read hides no checkpoint
            card = self._checkpoints.card(thing.name)
        return Checkpoint(
            name=thing.name,
            weights=f"file:{thing.name}",
            bytes=thing.bytes,
            created=thing.created,
            origin="unknown" if card is None else "trained" if isinstance(card, Card) else "converted",
            variant=card.variant.name if card is not None and card.variant is not None else None,
        )

    def names(self, field: str, text: str) -> str | None:
        """The checkpoint that a question names in a field ``weights``."""
        if field != "weights" or not text.startswith("file:"):
            return None
        return text.removeprefix("file:").removesuffix(SUFFIX)

    def missing(self, name: str) -> NotFound:
        """The error of a checkpoint that is not here."""
        return NotFound(f"There is no checkpoint {name!r} here. GET /v1/checkpoints lists those there are.")

    def check_owned(self, name: str) -> None:
        """Return if a checkpoint is here, and the key that asks may change it."""
        super().check_owned(self._stem(name))

    def share(self, name: str, shared: bool) -> None:
        """Let every key use a checkpoint, or its owner alone again."""
        super().share(self._stem(name), shared)

    def delete(self, name: str) -> None:
        """Delete a checkpoint and its card; a study that made it would train it again."""
        super().delete(self._stem(name))

    def erase(self, connection: Connection, name: str) -> None:
        """Delete a checkpoint and its card, whatever needs them."""
        for suffix in (SUFFIX, ".json"):
            self._files.remove(_place(name, suffix))

    def check_free(self, name: str) -> None:
        """Return if a name may be given to a new checkpoint.

        Raises:
            BadCheckpoint: it cannot be one.
            Conflict: it is taken.
        """
        if checkpoint_name(name) in (thing.name for thing in self.things()):
            raise _taken(name)

    @contextmanager
    def arriving(self, name: str) -> Iterator[Path]:
        """Where the file of a new checkpoint is written while it comes; gone when the block ends, however it does."""
        folder = self._files.root / "checkpoints"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            coming = Path(tempfile.mkdtemp(dir=folder, prefix=".", suffix=".part"))
        except OSError as error:
            raise StorageFailed(NOT_WRITABLE.get(error.errno or 0, CLOSED)) from error
        try:
            yield coming / f"{checkpoint_name(name)}{SUFFIX}"
        finally:
            shutil.rmtree(coming, ignore_errors=True)

    def adopt(self, file: Path) -> Checkpoint:
        """Keep a file of safetensors under its name, with a card that says which network it fits.

        Raises:
            BadCheckpoint: it is no checkpoint whose every number is a finite float.
            Conflict: the name is taken.
        """
        card = inspect(file)
        card = card.model_copy(update={"variant": propose(Source(file, f"file:{file.stem}"), skeleton)})
        name = file.name.removesuffix(SUFFIX)
        try:
            self._files.create(_place(name), file)
        except FileExistsError:
            raise _taken(name) from None
        try:
            self._files.write(_place(name, ".json"), card.model_dump_json(indent=1).encode())
        except BaseException:
            self.forget(name)
            raise
        return self.get(name)

    def rename(self, name: str, new_name: str) -> str:
        """Give a checkpoint another name."""
        stem = self._stem(name)
        new = checkpoint_name(own_name(checkpoint_name(new_name), stem))
        self.check_owned(stem)
        self.check_unused(stem)
        try:
            self._files.move(_place(stem), _place(new))
        except FileExistsError:
            raise _taken(new) from None
        with suppress(FileNotFoundError, FileExistsError):
            self._files.move(_place(stem, ".json"), _place(new, ".json"))
        self._owners.rename(self.name, stem, new)
        return new

    def _stem(self, name: str) -> str:
        """The name of a checkpoint that is here."""
        stem = checkpoint_name(name)
        if not self.sees(stem) or not self._here(stem):
            raise self.missing(name)
        return stem

    def _here(self, stem: str) -> bool:
        try:
            self._files.state(_place(stem))
        except FileNotFoundError:
            return False
        return True


def checkpoint_name(text: str) -> str:
    """A name that a checkpoint may have, without the ending of its file.

    Raises:
        BadCheckpoint: it may not.
    """
    name = text.removesuffix(SUFFIX)
    if not NAME.fullmatch(name) or len(name.encode()) > MOST_NAME_BYTES:
        raise BadCheckpoint(
            f"{text[:100]!r} cannot be a checkpoint's name: letters, digits and . _ - = only, the first a letter or "
            f"digit without accents, {MOST_NAME_BYTES} bytes at most."
        )
    return name


def _taken(name: str) -> Conflict:
    return Conflict(f"There is a checkpoint {name!r} already. Give this one another name.")


def _place(name: str, suffix: str = SUFFIX) -> str:
    return f"checkpoints/{name}{suffix}"
