"""Data sets: what lies in the folder ``datasets``, to train on."""

from collections.abc import Iterator

from attention.data.folder import DataFolder, Listed, data_set_name
from server.store.jobs import JobTable
from server.stored.kinds import StoredKind, Thing


class DataSets(StoredKind):
    """Data sets that a study can name."""

    name = "data sets"

    def __init__(self, folder: DataFolder, jobs: JobTable, keep_days: float) -> None:
        super().__init__(jobs, keep_days)
        self.folder = folder

    def things(self) -> Iterator[Thing]:
        """Every data set of the service's own, those that were put into the folder by hand too."""
        for listed in self.folder.all():
            if listed.created is not None and not listed.shipped:
                yield Thing(listed.name, listed.bytes or 0, listed.created)

    def names(self, field: str, text: str) -> str | None:
        """The data set that a question names in a field ``data``."""
        return text.partition(".")[0] if field == "data" else None

    def delete(self, name: str) -> None:
        """Delete a data set's files; reports and checkpoints that came of it stay."""
        super().delete(name.partition(".")[0])

    def forget(self, name: str) -> None:
        """Delete a data set's files, whatever needs them."""
        self.folder.remove(name)

    def rename(self, name: str, new_name: str) -> Listed:
        """Give a data set another name; reports that tell of it keep the one it had.

        Raises:
            NotFound: there is none of that name.
            Conflict: a job that has not ended needs it, or the new name is taken.
        """
        self.check_unused(name.partition(".")[0])
        return self.folder.rename(name, data_set_name(new_name))
