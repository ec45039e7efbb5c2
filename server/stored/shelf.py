"""Shelf: every kind of what users keep, and what a key may do with all of them."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from attention.data.files import Files
from attention.data.folder import DataFolder
from attention.errors import QuotaExceeded
from attention.spec import Request
from server.access.limits import Account, account
from server.settings import Settings
from server.store import Store
from server.stored.answers import StoredAnswers
from server.stored.checkpoints import StoredCheckpoints
from server.stored.data_sets import DataSets
from server.stored.jobs import StoredJobs
from server.stored.kinds import StoredKind
from server.stored.photos import Photos
from server.stored.references import data_sets, variants


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

    def check(self, request: Request[Any], brought: Collection[str] = ()) -> None:
        """Raise NotFound unless the asking key may use all that a question names.

        Args:
            brought: ids of photos that came along with it.

        Raises:
            NotFound: something is not here, or not for this key.
        """
        self.photos.check(request.model_dump(mode="json"), brought)
        kept: tuple[tuple[StoredKind, str | None], ...] = (
            *((self.data_sets, self.data_sets.names("data", data)) for data in data_sets(request)),
            *((self.checkpoints, self.checkpoints.names("weights", v.weights or "")) for v in variants(request)),
        )
        for kind, name in kept:
            if name is not None and not kind.sees(name):
                raise kind.missing(name)

    def use(self) -> int:
        """Sum the bytes of everything that the asking API key has stored."""
        return sum(kind.extent().bytes for kind in self.kinds)

    def check_room(self, size: int) -> None:
        """Return if so many bytes more fit into the quota of the key that asks, as far as is known before they came.

        Raises:
            QuotaExceeded: they do not.
        """
        asked = account()
        if asked is not None and asked.quota_bytes is not None:
            with asked.reserving:
                self._compare(asked, asked.quota_bytes, size, 0.0)

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
            self._compare(asked, asked.quota_bytes, size, summed_up_s)
            asked.reserved_bytes += size
        kept = 0
        try:
            yield
            kept = size
        finally:
            with asked.reserving:
                asked.reserved_bytes -= size
                asked.used_bytes += kept

    def _compare(self, asked: Account, quota: int, size: int, summed_up_s: float) -> None:
        if monotonic() - asked.summed_up > summed_up_s:
            asked.used_bytes, asked.summed_up = self.use(), monotonic()
        used = asked.used_bytes + asked.reserved_bytes
        if used + size > quota:
            raise QuotaExceeded(
                f"This API key keeps {used:,} of the {quota:,} bytes that it may, and {size:,} more do not fit. Delete "
                "something first; GET /v1/storage sums up what is there."
            )
