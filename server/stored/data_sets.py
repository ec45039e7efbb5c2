"""Data sets: what lies in the folder ``datasets``, to train on."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from attention.data.folder import DataFolder, Listed, data_set_name
from attention.data.intake.inventory import OnImage
from attention.errors import NotFound
from attention.schemas import Reading
from server.store.jobs import JobTable
from server.store.ownership import ASKER, OwnerTable
from server.stored.kinds import NamedByOwner, Thing, own_name


class DataSets(NamedByOwner):
    """Data sets that a study can name."""

    name = "data sets"

    def __init__(self, folder: DataFolder, jobs: JobTable, owners: OwnerTable, keep_days: float) -> None:
        super().__init__(jobs, owners, keep_days)
        self.folder = folder
        self._readings: dict[object, tuple[str | None, Reading]] = {}

    def things(self) -> Iterator[Thing]:
        """Every data set of the service's own, those that were put into the folder by hand too."""
        for listed in self.folder.all():
            if listed.created is not None and not listed.shipped:
                yield Thing(listed.name, listed.bytes or 0, listed.created)

    def all(self) -> list[Listed]:
        """List the data sets that the key that asks may name, those that come along last."""
        every = self.folder.all()
        shown = self.shown((listed for listed in every if not listed.shipped), lambda listed: listed.name)
        return [*shown, *(listed for listed in every if listed.shipped)]

    def get(self, name: str) -> Listed:
        """One data set with its inventory; one that was put into the folder by hand is read through for that.

        Raises:
            NotFound: it is not here.
            BadData, TooLarge: it cannot be read.
        """
        if not self.sees(name):
            raise self.missing(name)
        with self.counted(name) as on_image:
            self.folder.intake(name, on_image)
        listed = self.folder.get(name)
        if listed is None:
            raise self.missing(name)
        return listed

    @contextmanager
    def counted(self, name: str) -> Iterator[OnImage]:
        """Show a data set among `reading` while the block reads it through; give what to call after each image."""
        key = object()

        def on_image(done: int, total: int) -> None:
            self._readings[key] = ASKER.get(), Reading(name=name, read=done, images=total or None)

        try:
            yield on_image
        finally:
            self._readings.pop(key, None)

    @property
    def reading(self) -> tuple[Reading, ...]:
        """How far the data sets are that are read through for the key that asks, in the order they were begun."""
        return tuple(reading for asker, reading in list(self._readings.values()) if asker == ASKER.get())

    def missing(self, name: str) -> NotFound:
        """The error of a data set that is not here."""
        return NotFound(f"There is no data set {name[:100]!r}. GET /v1/datasets lists those there are.")

    def sees(self, name: str) -> bool:
        """Whether a data set is here, and the key that asks may name it: its own, shared, or one that comes along."""
        stem = name.partition(".")[0]
        listed = self.folder.get(stem)
        return listed is not None and (listed.shipped or super().sees(stem))

    def names(self, field: str, text: str) -> str | None:
        """The data set that a question names in a field ``data``."""
        return text.partition(".")[0] if field == "data" else None

    def check_owned(self, name: str) -> None:
        """Return if a data set is here and does not come along, and the key that asks may change it."""
        if not self.sees(name):
            raise self.missing(name)
        self.folder.changeable(name)
        super().check_owned(name)

    def share(self, name: str, shared: bool) -> None:
        """Let every key use a data set, or its owner alone again."""
        super().share(name.partition(".")[0], shared)

    def delete(self, name: str) -> None:
        """Delete a data set's files; reports and checkpoints that came of it stay."""
        super().delete(name.partition(".")[0])

    def erase(self, connection: Connection, name: str) -> None:
        """Delete a data set's files, whatever needs them."""
        self.folder.remove(name)

    def rename(self, name: str, new_name: str) -> str:
        """Give a data set another name."""
        stem = name.partition(".")[0]
        self.check_owned(stem)
        self.check_unused(stem)
        renamed = self.folder.rename(stem, own_name(data_set_name(new_name), stem))
        self._owners.rename(self.name, stem, renamed.name)
        return renamed.name
