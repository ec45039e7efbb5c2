"""The data sets of a service: what lies in ``datasets``, how an uploaded one gets there, and how it leaves.

Listing reads names only, never pixels, unless a data set was read through before: then its inventory is kept in
``inventories`` and is as good as new while the files are the same. An upload gets its name after it has been read
through once, and in one step, so nobody ever sees half a data set or a bad one.
"""

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath

from attention.data.file_kinds import HEAD_BYTES, article, file_kind
from attention.data.intake.containers import UNPACKING, clean
from attention.data.intake.inventory import Intake, OnImage, Record, check, take_inventory, uncounted
from attention.data.intake.layout import understand
from attention.data.intake.sources import SUFFIXES
from attention.data.intake.system_files import left_by_system
from attention.data.pixel_range import PixelRange
from attention.errors import AttentionError, BadData, Conflict, InvalidRequest, NotFound
from attention.reports.parts.inventory import AS_FOUND, Choices, Inventory
from attention.storage.base import Entry, FileStore, State
from attention.storage.folder import FolderStore

SHIPPED = FolderStore(Path(__file__).parent / "shipped")
"""Where the data sets lie that come along; one of the service's own of the same name hides them."""

ENDINGS = {b"PK": ".zip", b"\x1f\x8b": ".tar.gz", b"BZ": ".tar.bz2", b"\xfd7": ".tar.xz", b"PA": ".parquet"}
"""First bytes of an archive -> the ending that it is kept under."""

MAX_NAME = 100
NAME = re.compile(r"\w[\w-]*")


@dataclass(frozen=True)
class Listed:
    """A data set as far as is known: ``images`` and ``classes`` are None where only reading it would tell."""

    name: str
    kind: str
    images: int | None = None
    classes: tuple[str, ...] | None = None
    split: bool | None = None
    bytes: int | None = None
    created: datetime | None = None
    inventory: Inventory | None = None
    shipped: bool = False
    """Whether the data set comes with the project; then it can be neither deleted nor renamed."""


@dataclass(frozen=True)
class IntakeRecord:
    """An inventory as it is kept, with the state of the data set's folder and of all its files when it was taken."""

    state: str
    files: str
    intake: Intake


def data_set_name(text: str) -> str:
    """A name for a data set: letters, digits, ``_`` and ``-``, without folders or the suffix of a file.

    Raises:
        InvalidRequest: nothing is left of it.
    """
    last = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem = re.sub(r"\.(zip|tgz|tar|tar\.\w+|parquet)$", "", last, flags=re.IGNORECASE)
    name = re.sub(r"\W+", "-", stem.replace("-", " ")).strip("-_")[:MAX_NAME]
    if not name:
        raise InvalidRequest(f"{text[:100]!r} leaves no name for a data set. Use letters and digits.")
    return name


@dataclass(frozen=True)
class DataFolder:
    """The folder ``datasets`` among a service's files, with the data sets that come along. Every method blocks.

    Args:
        any_path: whether an absolute path names a data set, too: in the user's own process, never over a network.
    """

    file_store: FileStore
    any_path: bool = False

    @property
    def folder(self) -> Path:
        """Where on this machine a data set is made that is to be adopted."""
        return self.file_store.root / "datasets"

    def entries(self) -> tuple[Entry, ...]:
        """List the files and folders that are data sets: the service's own, and after them those that come along."""
        return tuple(entry for _, entry in self._placed())

    def _placed(self, name: str | None = None) -> list[tuple[FileStore, Entry]]:
        """Files and folders of one data set, or of all, each with its store; those that come along stand last."""
        if name is not None and self.is_path(name):
            path = Path(name)
            about = path.stat()
            return [(FolderStore(path.parent), Entry(path.name, path.is_dir(), about.st_size, about.st_mtime_ns))]
        entries = list(self.file_store.entries("datasets"))
        taken = {_stem(entry.last) for entry in entries}
        more = [entry for entry in SHIPPED.entries("datasets") if not entry.last.endswith(".csv")]
        placed = [(self.file_store, entry) for entry in entries]
        placed += [(SHIPPED, entry) for entry in more if _stem(entry.last) not in taken]
        return [(store, entry) for store, entry in placed if name is None or _stem(entry.last) == _stem(name)]

    def is_path(self, name: str) -> bool:
        """Whether a name is the path of a file or folder that may be read as a data set."""
        return self.any_path and Path(name).is_absolute() and Path(name).exists()

    def all(self) -> tuple[Listed, ...]:
        """List every data set that a study can name: own ones by name, then those that come along."""
        data_sets: dict[str, Listed] = {}
        for store, entry in self._placed():
            listed = self._look(store, entry)
            if listed is not None and NAME.fullmatch(listed.name):
                data_sets.setdefault(listed.name, listed)
        return tuple(sorted(data_sets.values(), key=lambda listed: (listed.shipped, listed.name)))

    def get(self, name: str) -> Listed | None:
        """The data set of a name; None if there is none."""
        there = (self._look(store, entry) for store, entry in self._placed(name))
        return next(filter(None, there), None) if NAME.fullmatch(_stem(name)) else None

    def path(self, name: str) -> Path | None:
        """Where on this machine the data set of a name can be read now; None if there is none."""
        placed = self._placed(name)
        return placed[0][0].path(placed[0][1].name) if placed else None

    def state(self, name: str) -> State:
        """Give a state that changes whenever the data set of a name may have changed; empty if there is none."""
        return [change for store, entry in self._placed(name) for change in store.state(entry.name)]

    def check_free(self, name: str) -> None:
        """Raise Conflict if a name is taken."""
        if self._placed(name):
            raise Conflict(f"There is a data set {name!r} already. Give this one another name.")

    def adopt(
        self,
        arrived: Path,
        name: str,
        choices: Choices = AS_FOUND,
        *,
        replaces: bool = False,
        on_image: OnImage = uncounted,
    ) -> Listed:
        """Read an archive through and give it its name; ``arrived`` lies in the same folder, and is gone in the end.

        Args:
            replaces: take the place of a data set of that name, which stays if this one is refused.

        Raises:
            BadData, TooLarge: it is not a data set that can be trained on.
            Conflict: the name is taken.
        """
        intake = self.preview(arrived, name, choices, on_image)
        check(intake.inventory, name)
        if not replaces:
            self.check_free(name)
        ending = _ending(arrived)
        before = [entry.name for store, entry in self._placed(name) if store is not SHIPPED] if replaces else []
        aside = f"datasets/.{name}.replaced"
        self.file_store.remove(aside)
        try:
            for entry in before:
                self.file_store.move(entry, aside)
            self.file_store.create(f"datasets/{name}{ending}", arrived)
        except BaseException as error:
            for entry in before:
                with suppress(FileNotFoundError, FileExistsError):
                    self.file_store.move(aside, entry)
            if isinstance(error, FileExistsError):
                raise Conflict(f"There is a data set {name!r} already. Give this one another name.") from None
            raise
        self.file_store.remove(aside)
        self._keep(name, intake)
        listed = self.get(name)
        if listed is None:
            raise NotFound(f"The data set {name!r} was removed while it was brought in.")
        return listed

    def preview(self, arrived: Path, name: str, choices: Choices = AS_FOUND, on_image: OnImage = uncounted) -> Intake:
        """Read an archive through without keeping it; sentences call it as it shall be called.

        Raises:
            BadData, TooLarge: it is nothing that can be read.
        """
        called = f"{name}{_ending(arrived)}"
        if not _ending(arrived):
            with arrived.open("rb") as file:
                kind = file_kind(file.read(HEAD_BYTES)).name
            raise BadData(
                f"The data set {name} is no zip or tar but {article(kind)} {kind}. Pack a folder for each class, with "
                "photos in it, as a zip."
            )
        try:
            return take_inventory(arrived, choices, on_image)
        except AttentionError as error:
            raise type(error)(str(error).replace(arrived.name, called)) from None

    def intake(self, name: str, on_image: OnImage = uncounted, choices: Choices | None = None) -> Intake:
        """What a data set is, in full; read through now if that was not done since it changed.

        Args:
            choices: how it is understood from now on; None for what was chosen when it was brought in.

        Raises:
            NotFound: there is none of that name.
            BadData: it is nothing that can be read.
        """
        path = self.path(name)
        if path is None:
            raise NotFound(f"There is no data set {name!r}.")
        record = _intake_record(self.file_store, _stem(name), json.dumps(self.state(name)))
        current = record.intake if record is not None and record.files == self._files(name) else None
        if current is not None and choices in (None, current.inventory.choices):
            return current
        intake = take_inventory(path, self.choices(name) if choices is None else choices, on_image)
        self._keep(name, intake)
        return intake

    def choices(self, name: str) -> Choices:
        """What was chosen for a data set when it was brought in."""
        try:  # apart from the records, whose form may change
            kept = json.loads(self.file_store.read(_sidecar(_stem(name))))
            return Choices.model_validate(kept["inventory"]["choices"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return AS_FOUND

    def remove(self, name: str) -> None:
        """Delete a data set.

        Raises:
            NotFound: there is none of that name.
            InvalidRequest: it comes along.
        """
        for entry in self.changeable(name):
            self.file_store.remove(entry.name)
        self.file_store.remove(_sidecar(_stem(name)))

    def rename(self, name: str, new: str) -> Listed:
        """Give a data set another name.

        Raises:
            NotFound: there is none of that name.
            Conflict: the new name is taken.
        """
        entries = self.changeable(name)
        self.check_free(new)
        record = _intake_record(self.file_store, _stem(name), json.dumps(self.state(name)))
        ending = entries[0].last.removeprefix(_stem(entries[0].last))
        try:
            self.file_store.move(entries[0].name, f"datasets/{new}{ending}")
        except FileExistsError:
            raise Conflict(f"There is a data set {new!r} already. Give this one another name.") from None
        self.file_store.remove(_sidecar(_stem(name)))
        if record is not None:
            self._keep(new, record.intake)
        listed = self.get(new)
        if listed is None:
            raise NotFound(f"There is no data set {name!r}.")
        return listed

    def changeable(self, name: str) -> list[Entry]:
        """The files of the service's own data set of a name.

        Raises:
            NotFound: there is none of that name.
            InvalidRequest: it comes along.
        """
        placed = self._placed(name)
        if not placed:
            raise NotFound(f"There is no data set {name!r}.")
        if placed[0][0] is SHIPPED:
            raise InvalidRequest(f"The data set {name!r} comes with the service: it cannot be deleted or renamed.")
        return [entry for _, entry in placed]

    def _keep(self, name: str, intake: Intake) -> None:
        """Keep what is known of a data set beside it, for as long as its files are the same."""
        rows = [
            (record.name, record.label, record.split, record.digest.hex(), record.content.hex())
            for record in intake.records
        ]
        sidecar = {
            "state": json.dumps(self.state(name)),
            "files": self._files(name),
            "inventory": intake.inventory.model_dump(mode="json"),
            "used": vars(intake.used) if intake.used else None,
            "records": rows,
        }
        self.file_store.write(_sidecar(_stem(name)), json.dumps(sidecar, ensure_ascii=False).encode())

    def _files(self, name: str) -> str:
        """Changes whenever any file of a data set does, however deep it lies."""
        whole = hashlib.sha256()
        for store, entry in self._placed(name):
            for file in store.entries(entry.name, deep=True) if entry.folder else (entry,):
                whole.update(repr((file.name, file.size, file.changed)).encode())
        return whole.hexdigest()

    def _look(self, store: FileStore, entry: Entry) -> Listed | None:
        name = _stem(entry.last)
        state = json.dumps(store.state(entry.name))
        listed = _listed(store, entry, hash(state) if entry.folder else 0)
        if listed is None:
            return None
        # A store of objects knows no time of a folder.
        created = datetime.fromtimestamp(entry.changed / 1e9, UTC) if entry.changed else None
        listed = replace(listed, created=created, shipped=store is SHIPPED)
        record = _intake_record(self.file_store, name, state)
        if record is None:
            return listed
        about = record.intake.inventory
        classes = tuple(counts.name for counts in about.classes)
        return replace(listed, images=about.images, classes=classes, split=not about.split_by_hash, inventory=about)


def _sidecar(name: str) -> str:
    """Where what is known of a data set is kept."""
    return f"inventories/{name}.json"


@lru_cache(maxsize=16)
def _read_sidecar(file_store: FileStore, name: str, changed: int) -> IntakeRecord | None:
    """What is kept of a data set; None if nothing is, or if it is damaged."""
    try:
        sidecar = json.loads(file_store.read(_sidecar(name)))
        records = tuple(
            Record(title, label, split, bytes.fromhex(digest), bytes.fromhex(content))
            for title, label, split, digest, content in sidecar["records"]
        )
        used = PixelRange(**sidecar["used"]) if sidecar["used"] else None
        intake = Intake(Inventory.model_validate(sidecar["inventory"]), records, used)
        return IntakeRecord(sidecar["state"], sidecar["files"], intake)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _intake_record(file_store: FileStore, name: str, state: str) -> IntakeRecord | None:
    """Read the kept inventory of a data set; None if there is none, or if its files changed since it was taken."""
    try:
        record = _read_sidecar(file_store, name, hash(tuple(file_store.state(_sidecar(name)))))
    except FileNotFoundError:
        return None
    return record if record is not None and record.state == state else None


def _ending(path: Path) -> str:
    """The ending that a data set is kept under, by its content; empty if it is none."""
    with path.open("rb") as file:
        head = file.read(262)
    if head[257:262] == b"ustar":
        return ".tar"
    return ENDINGS.get(head[:2], ".zip" if zipfile.is_zipfile(path) else "")


def _stem(name: str) -> str:
    """What a file is called as a data set; a path, by its hash, which is the name of no other."""
    return f"path.{hashlib.sha256(name.encode()).hexdigest()}" if "/" in name else name.partition(".")[0]


@lru_cache(maxsize=256)
def _listed(file_store: FileStore, entry: Entry, state: int) -> Listed | None:
    """A file or folder as a data set; None if it is none. Another entry or state makes it be looked at again."""
    name = _stem(entry.last)
    if entry.folder:
        files = list(file_store.entries(entry.name, deep=True))
        inside = [clean(file.name.removeprefix(f"{entry.name}/")) for file in files]
        size = sum(file.size for file in files)
        if any(path.endswith(".parquet") for path in inside):
            return Listed(name, "parquet", bytes=size)
        return replace(_by_names(name, "folder", inside), bytes=size)
    if entry.last.endswith(".parquet"):
        return Listed(name, "parquet", bytes=entry.size)
    if re.search(r"\.(tar(\.\w+)?|tgz|tbz2?|txz)$", entry.last):
        return Listed(name, "tar", bytes=entry.size)
    try:
        with file_store.open(entry.name) as file, zipfile.ZipFile(file) as archive:
            return replace(_by_names(name, "zip", map(clean, archive.namelist())), bytes=entry.size)
    except UNPACKING:
        return None


def _by_names(name: str, kind: str, files: Iterable[str]) -> Listed:
    """What the names of files tell of a data set; photos are told by their endings here."""
    photos = [
        path for path in files if PurePosixPath(path).suffix.lower() in SUFFIXES and path and not left_by_system(path)
    ]
    places = [place for place in understand(photos, AS_FOUND, {}).places if place is not None]
    classes = tuple(sorted({place.label for place in places}))
    return Listed(name, kind, len(places), classes, any(place.split is not None for place in places))
