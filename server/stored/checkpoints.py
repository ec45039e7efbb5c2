"""Checkpoints: weights that a study, a fold or a user left in the folder ``checkpoints``."""

from collections.abc import Iterator
from contextlib import suppress

from attention.errors import BadCheckpoint, Conflict, NotFound
from attention.reports.checkpoints import Card
from attention.schemas import Checkpoint
from attention.storage.base import Entry
from attention.weights.find import NAME, Checkpoints
from server.store.jobs import JobTable
from server.stored.kinds import StoredKind, Thing, moment

SUFFIX = ".safetensors"


class StoredCheckpoints(StoredKind):
    """Checkpoints that ``weights=file:NAME`` of a variant can name; those that come with the service are no part."""

    name = "checkpoints"

    def __init__(self, checkpoints: Checkpoints, jobs: JobTable, keep_days: float) -> None:
        super().__init__(jobs, keep_days)
        self._checkpoints = checkpoints
        self._files = checkpoints.kept

    def things(self) -> Iterator[Thing]:
        """Every checkpoint."""
        for name, file in self._entries():
            yield Thing.of(name, file)

    def list(self) -> list[Checkpoint]:
        """Every checkpoint, by name."""
        return [self._described(name, file) for name, file in self._entries()]

    def get(self, name: str) -> Checkpoint:
        """What is known of a checkpoint.

        Raises:
            NotFound: it is not here.
        """
        stem = self._stem(name)
        found = (self._described(stem, file) for other, file in self._entries() if other == stem)
        return next(found)

    def names(self, field: str, text: str) -> str | None:
        """The checkpoint that a question names in a field ``weights``."""
        if field != "weights" or not text.startswith("file:"):
            return None
        return text.removeprefix("file:").removesuffix(SUFFIX)

    def delete(self, name: str) -> None:
        """Delete a checkpoint and its card; a study that made it would train it again."""
        super().delete(self._stem(name))

    def forget(self, name: str) -> None:
        """Delete a checkpoint and its card, whatever needs them."""
        for suffix in (SUFFIX, ".json"):
            self._files.remove(_place(name, suffix))

    def rename(self, name: str, new_name: str) -> Checkpoint:
        """Give a checkpoint another name; reports that tell of it keep the one it had.

        Raises:
            NotFound: it is not here.
            InvalidRequest: the new name cannot be one.
            Conflict: a job that has not ended needs it, or the new name is taken.
        """
        stem, new = self._stem(name), checkpoint_name(new_name)
        self.check_unused(stem)
        try:
            self._files.move(_place(stem), _place(new))
        except FileExistsError:
            raise Conflict(f"There is a checkpoint {new!r} already. Give this one another name.") from None
        with suppress(FileNotFoundError, FileExistsError):
            self._files.move(_place(stem, ".json"), _place(new, ".json"))
        return self.get(new)

    def _entries(self) -> Iterator[tuple[str, Entry]]:
        for file in self._files.entries("checkpoints"):
            stem = file.last.removesuffix(SUFFIX)
            if file.last.endswith(SUFFIX) and not file.folder and NAME.fullmatch(stem):
                yield stem, file

    def _described(self, name: str, file: Entry) -> Checkpoint:
        card = None
        with suppress(BadCheckpoint):  # a card that cannot be read hides no checkpoint
            card = self._checkpoints.card(name)
        return Checkpoint(
            name=name,
            weights=f"file:{name}",
            bytes=file.size,
            created=moment(file.changed),
            origin="unknown" if card is None else "trained" if isinstance(card, Card) else "converted",
            variant=card.variant.name if card is not None and card.variant is not None else None,
        )

    def _stem(self, name: str) -> str:
        """The name of a checkpoint that is here."""
        stem = checkpoint_name(name)
        try:
            self._files.state(_place(stem))
        except FileNotFoundError:
            raise NotFound(
                f"There is no checkpoint {name!r} here. GET /v1/checkpoints lists those there are."
            ) from None
        return stem


def checkpoint_name(text: str) -> str:
    """A name that a checkpoint may have, without the ending of its file.

    Raises:
        BadCheckpoint: it may not.
    """
    name = text.removesuffix(SUFFIX)
    if not NAME.fullmatch(name):
        raise BadCheckpoint(
            f"{text[:100]!r} cannot be a checkpoint's name: letters, digits and . _ - = only, the first a letter or "
            "digit without accents, 200 at most."
        )
    return name


def _place(name: str, suffix: str = SUFFIX) -> str:
    return f"checkpoints/{name}{suffix}"
