"""Shelf: every kind of what users keep, and what a key may do with all of them."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from attention.data.files import Files
from attention.data.folder import DataFolder
from attention.errors import QuotaExceeded
from server.access.limits import account
from server.settings import Settings
from server.store import Store
from server.stored.answers import StoredAnswers
from server.stored.checkpoints import StoredCheckpoints
from server.stored.data_sets import DataSets
from server.stored.jobs import StoredJobs
from server.stored.kinds import StoredKind, texts
from server.stored.photos import Photos


class Shelf:
    """All stored kinds of one service."""

    def __init__(self, settings: Settings, files: Files, store: Store) -> None:
        jobs, owners = store.jobs, store.owners
        self.photos = Photos(files, store, settings.keep_uploads_days)
        self.data_sets = DataSets(DataFolder(files.file_store), jobs, owners, settings.keep_data_sets_days)
        self.checkpoints = StoredCheckpoints(files.checkpoints, jobs, owners, settings.keep_checkpoints_days)
        self.jobs = StoredJobs(files.file_store, jobs, owners, settings.keep_jobs_days)
        self.answers = StoredAnswers(store.answers, jobs, owners, settings.reports_kept_days)
        self.kinds: tuple[StoredKind, ...] = (self.photos, self.data_sets, self.checkpoints, self.jobs, self.answers)

    def check(self, question: Any, brought: Collection[str] = ()) -> None:
        """Return if the key that asks may use all that a question names. What is another key's is as if it were not.

        Args:
            question: as JSON.
            brought: ids of photos that came along with it.

        Raises:
            NotFound: something is not here, or not for this key.
        """
        self.photos.check(question, brought)
        for _, field, text in texts(question):
            for kind in (self.data_sets, self.checkpoints):
                name = kind.names(field, text)
                if name is not None and not kind.sees(name):
                    raise kind.missing(name)

    def use(self) -> int:
        """Bytes that the key that asks keeps, of all kinds together."""
        return sum(kind.extent().bytes for kind in self.kinds)

    @contextmanager
    def room(self, size: int, summed_up_s: float = 0.0) -> Iterator[None]:
        """Reserve a part of the quota of the key that asks, while so many bytes are being kept.

        Args:
            summed_up_s: how long ago what the key keeps may have been summed up, which reads folders.

        Raises:
            QuotaExceeded: there is no room for them.
        """
        asked = account()
        if asked is None or asked.quota_bytes is None:
            yield
            return
        with asked.reserving:
            if monotonic() - asked.summed_up > summed_up_s:
                asked.used_bytes, asked.summed_up = self.use(), monotonic()
            used = asked.used_bytes + asked.reserved_bytes
            if used + size > asked.quota_bytes:
                raise QuotaExceeded(
                    f"This API key keeps {used:,} of the {asked.quota_bytes:,} bytes that it may, and {size:,} more do "
                    "not fit. Delete something first; GET /v1/storage sums up what is there."
                )
            asked.reserved_bytes += size
        try:
            yield
            asked.used_bytes += size
        finally:
            with asked.reserving:
                asked.reserved_bytes -= size
