"""What every place for files does, seen from two machines: a folder they share, or a store with a copy on each."""

import os
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from attention.analyses import run
from attention.data.files import Files
from attention.data.folder import DataFolder
from attention.errors import BadCheckpoint, Cancelled, Conflict, InvalidRequest, NotFound, StorageFailed
from attention.interventions.fold import keep
from attention.reports.study import StudyRequest
from attention.spec import Plain, Recipe, Variant
from attention.storage.base import Entry, write_whole
from attention.storage.s3 import CHECK_AFTER_S, KEEP_FREE_BYTES, S3Store, check_url
from attention.weights.load import stamp
from tests.attention.direct_lab import DirectLab
from tests.attention.storage.file_stores import Nodes, nodes, s3, store, url
from tests.server.conftest import photo

pytestmark = pytest.mark.usefixtures("nothing_shipped")

__all__ = ["nodes", "s3", "store", "url"]

ARMS = tuple(Variant.parse(name) for name in ("resnet20(width=4)/none", "resnet20(width=4)/eca"))
STUDY = StudyRequest(
    data="shades", size=8, variants=ARMS, seeds=1, recipe=Recipe(epochs=2, batch_size=8, lr=0.05, crop_padding=0)
)


class Machine(DirectLab):
    """A lab whose files are those of a machine."""

    def __init__(self, files: Files) -> None:
        super().__init__(files.root)
        self.files = files


def zipped(files: Files, name: str, splits: tuple[str, ...] = ("train", "test")) -> Path:
    """A data set as it is when it has just come: a hidden file in the folder it is to be adopted from."""
    folder = DataFolder(files.file_store).folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{name}.part"
    with zipfile.ZipFile(path, "w") as archive:
        for number, place in enumerate(f"{split}/{label}/{n}.png" for split in splits for label in "ab" for n in "01"):
            archive.writestr(place, photo(number, (12, 10), "PNG"))
    return path


def shades(files: Files) -> None:
    """Two classes of small pictures, as a data set."""
    for split, count in (("train", 8), ("test", 4)):
        for number, label in enumerate(("dark", "light")):
            for index in range(count):
                place = f"datasets/shades/{split}/{label}/{index}.png"
                files.file_store.write(place, photo(20 * number + index + (8 if split == "test" else 0), (8, 8), "PNG"))


@pytest.fixture
def unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every copy is compared each time it is read."""
    monkeypatch.setattr("attention.storage.s3.CHECK_AFTER_S", 0.0)


# ---------------------------------------------------------------- photos


def test_a_photo_that_comes_to_one_machine_is_there_on_the_other_until_either_deletes_it(nodes: Nodes) -> None:
    here, there = nodes("a"), nodes("b")
    name = here.put_image(b"photo")
    assert there.image_bytes(name) == b"photo"
    there.remove_image(name)
    there.remove_image(name)
    for files in (here, there):
        with pytest.raises(NotFound, match="Upload it first"):
            files.image_bytes(name)


def test_photos_are_found_by_when_they_last_came_and_nothing_else_is(nodes: Nodes) -> None:
    here, there = nodes("a"), nodes("b")
    first, second = sorted((here.put_image(b"one"), there.put_image(b"two")))
    here.file_store.write("images/about.txt", b"not a photo")
    assert [file.last for file in there.images()] == sorted([first, second])
    assert there.has_image(first) and not there.has_image("0" * 64)


# ---------------------------------------------------------------- data sets


def test_a_data_set_that_comes_to_one_machine_is_listed_and_read_on_the_other(nodes: Nodes) -> None:
    here, there = nodes("a"), nodes("b")
    coming = zipped(here, "pets")
    listed = DataFolder(here.file_store).adopt(coming, "pets")
    assert not coming.exists()
    folder = DataFolder(there.file_store)
    assert folder.all() == (listed,) == (folder.get("pets"),)
    assert (listed.kind, listed.images, listed.classes, listed.split) == ("zip", 8, ("a", "b"), True)
    path = folder.path("pets")
    assert path is not None and zipfile.ZipFile(path).testzip() is None
    assert folder.state("pets") == DataFolder(here.file_store).state("pets") != []
    assert (folder.get("pet"), folder.path("pet"), folder.state("pet")) == (None, None, [])


def test_a_name_is_taken_on_every_machine_and_the_first_data_set_stays(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = nodes("a"), nodes("b")
    DataFolder(here.file_store).adopt(zipped(here, "pets"), "pets")
    late = zipped(there, "pets", ("train",))
    with pytest.raises(Conflict):
        DataFolder(there.file_store).adopt(late, "pets")
    monkeypatch.setattr(DataFolder, "check_free", lambda self, name: None)  # as if both had come at the same moment
    with pytest.raises(Conflict):
        DataFolder(there.file_store).adopt(late, "pets")
    found = DataFolder(there.file_store).get("pets")
    assert found is not None and found.images == 8


def test_a_data_set_may_be_a_folder_of_files(nodes: Nodes, unsure: None) -> None:
    here, there = nodes("a"), nodes("b")
    for split in ("train", "test"):
        for label in ("a", "b"):
            here.file_store.write(f"datasets/birds/{split}/{label}/1.png", photo(1, (8, 8), "PNG"))
    folder = DataFolder(there.file_store)
    listed = folder.get("birds")
    assert listed is not None and (listed.kind, listed.images) == ("folder", 4)
    path = folder.path("birds")
    assert path is not None and len(list(path.rglob("*.png"))) == 4
    before = folder.state("birds")
    here.file_store.write("datasets/birds/train/a/2.png", photo(2, (8, 8), "PNG"))
    assert folder.state("birds") != before
    path, listed = folder.path("birds"), folder.get("birds")
    assert path is not None and len(list(path.rglob("*.png"))) == 5
    assert listed is not None and listed.images == 5


# ---------------------------------------------------------------- checkpoints and runs


@pytest.mark.full
def test_a_network_that_is_kept_on_one_machine_is_built_on_the_other_with_its_card(nodes: Nodes) -> None:
    here, there = nodes("a"), nodes("b")
    shades(here)
    trained = run(STUDY, Machine(here)).runs[0]
    name = str(trained.weights)
    found = there.checkpoints.find(name)
    assert (
        found.card is not None
        and found.card.test_accuracy == trained.test_accuracy
        and found.labels == found.card.labels
    )
    assert name.removeprefix("file:") in there.checkpoints.names()
    variant = ARMS[0].model_copy(update={"classes": 2, "weights": name})
    one, other = (Machine(files).network(variant).state_dict() for files in (here, there))
    assert all(bool((one[key] == other[key]).all()) for key in one)
    folded, _ = keep(Machine(here).network(variant), variant, None, here.file_store)
    assert there.checkpoints.find(str(folded.weights)).card is None


def test_a_checkpoint_that_is_replaced_is_another_one_everywhere(nodes: Nodes, unsure: None) -> None:
    here, there = nodes("a"), nodes("b")
    here.file_store.write("checkpoints/x.safetensors", b"1234")
    variant = Variant.parse("resnet20/none?weights=file:x")
    before = stamp(variant, there.checkpoints)
    assert there.checkpoints.find("file:x").path.read_bytes() == b"1234"
    here.file_store.write("checkpoints/x.safetensors", b"5678")  # within the same second, and as long
    assert there.checkpoints.find("file:x").path.read_bytes() == b"5678"
    assert stamp(variant, there.checkpoints) != before
    here.file_store.remove("checkpoints/x.safetensors")
    with pytest.raises(NotFound, match="no checkpoint 'x'"):
        there.checkpoints.find("file:x")


@pytest.mark.full
def test_a_run_that_is_finished_on_one_machine_is_not_done_again_on_the_other(nodes: Nodes) -> None:
    here, there = nodes("a"), nodes("b")
    shades(here)
    first, second = Machine(here), Machine(there)
    assert run(STUDY, first) == run(STUDY, second)
    assert first.told[1:] == [(1, 4), (2, 4), (2, 4), (3, 4), (4, 4), (4, 4)]
    assert second.told[1:] == [(4, 4), (4, 4)], "nothing was trained"
    assert [entry.name for entry in there.file_store.entries("runs") if entry.name.endswith(".part")] == []


@pytest.mark.full
def test_a_run_whose_machine_is_gone_goes_on_elsewhere_from_its_last_epoch(nodes: Nodes, tmp_path: Path) -> None:
    class Killed(Machine):
        def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
            super().progress(done, total, note)
            if done == 3:
                raise Cancelled("The machine is gone.")

    here, there, alone = nodes("a"), nodes("b"), Files(tmp_path / "alone")
    shades(here)
    shades(alone)
    with pytest.raises(Cancelled):
        run(STUDY, Killed(here))
    lab = Machine(there)
    resumed, whole = run(STUDY, lab), run(STUDY, Machine(alone))
    assert [done for done, _ in lab.told] == [0, 3, 4, 4], "the finished epoch of the second run was done again"
    assert [[point.loss for point in one.curve] for one in resumed.runs] == [
        [point.loss for point in one.curve] for one in whole.runs
    ]


# ---------------------------------------------------------------- interruptions


def test_a_put_that_is_interrupted_leaves_what_was_there(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    files = nodes("a")
    files.file_store.write("checkpoints/x.json", b"before")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if isinstance(files.file_store, S3Store):
            patched.setattr(files.file_store._system, "pipe_file", interrupted)
        else:
            patched.setattr("os.replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            files.file_store.write("checkpoints/x.json", b"after")
    assert nodes("b").file_store.read("checkpoints/x.json") == b"before"
    assert [entry.last for entry in nodes("b").file_store.entries("checkpoints", deep=True)] == ["x.json"]


@pytest.fixture
def bucket(store: str, tmp_path: Path) -> S3Store:
    """A machine's view of a store with one checkpoint in it, which came from elsewhere."""
    Files(tmp_path / "a", store).file_store.write("checkpoints/x.safetensors", b"1234")
    file_store = Files(tmp_path / "b", store).file_store
    assert isinstance(file_store, S3Store)
    return file_store


def left(bucket: S3Store) -> list[str]:
    """Copies on a machine, and what else lies beside them."""
    return sorted(path.name for path in bucket.root.rglob("*") if path.is_file() and not path.name.endswith(".lock"))


@pytest.mark.parametrize("how", ["cut off", "short"])
def test_a_copy_that_is_interrupted_is_none(bucket: S3Store, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    def half(name: str, path: str, **_: object) -> None:
        Path(path).write_bytes(b"12")
        if how == "cut off":
            raise ConnectionResetError("Somebody pulled the plug")

    with monkeypatch.context() as patched:
        patched.setattr(bucket._system, "get_file", half)
        with pytest.raises(StorageFailed, match="store of files does not do what it is asked for"):
            bucket.path("checkpoints/x.safetensors")
    assert left(bucket) == []
    assert bucket.path("checkpoints/x.safetensors").read_bytes() == b"1234"
    assert left(bucket) == ["x.safetensors"]


def test_many_threads_that_want_the_same_copy_fetch_it_once(bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched, fetch = [], S3Store._fetch

    def counted(self: S3Store, here: Path, entry: Entry, inside: tuple[Entry, ...]) -> None:
        fetched.append(entry.name)
        fetch(self, here, entry, inside)

    monkeypatch.setattr(S3Store, "_fetch", counted)
    threads = [threading.Thread(target=bucket.path, args=("checkpoints/x.safetensors",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched == ["checkpoints/x.safetensors"]
    assert bucket.path("checkpoints/x.safetensors").read_bytes() == b"1234"


def test_a_copy_is_not_compared_again_at_once(bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.path("checkpoints/x.safetensors")
    monkeypatch.setattr(bucket._system, "info", lambda *_, **__: pytest.fail("the store was asked"))
    bucket.path("checkpoints/x.safetensors")
    assert CHECK_AFTER_S <= 2.0, "so long a deleted checkpoint is used at most, says docs/scale.md"


def test_what_a_fetch_that_was_killed_left_is_swept_up(bucket: S3Store) -> None:
    there = bucket.root / "checkpoints" / ".abc.part"
    (there / "x").mkdir(parents=True)
    os.utime(there, (0, 0))
    bucket.path("checkpoints/x.safetensors")
    assert Files(bucket.root.parent, bucket.url).sweep() == 1
    assert left(bucket) == ["x.safetensors"]


def test_copies_that_were_not_used_for_longest_leave_when_the_disk_is_full(
    bucket: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"checkpoints/{letter}.json" for letter in "abcd"]
    for name in names:
        bucket.write(name, name.encode())
    paths = [bucket.path(name) for name in names[:3]]
    for path, hours in zip(paths, (3, 4, 0), strict=True):  # ago
        os.utime(path, (time.time() - 3600 * hours, path.stat().st_mtime))
        os.utime(path, ns=(path.stat().st_atime_ns, bucket._stat(f"checkpoints/{path.name}")[0].changed))
    bucket.path(names[0])  # so the second is the older one now, and the only one that nobody can be reading
    free = iter((KEEP_FREE_BYTES - 1, KEEP_FREE_BYTES - 1, KEEP_FREE_BYTES - 1, KEEP_FREE_BYTES - 1))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=next(free)))
    assert bucket.path(names[3]).read_bytes() == names[3].encode()
    assert left(bucket) == ["a.json", "c.json", "d.json"]
    monkeypatch.undo()
    assert [bucket.path(name).read_bytes() for name in names] == [name.encode() for name in names]


# ---------------------------------------------------------------- stores that cannot be had


def test_a_store_that_is_away_is_a_sentence_whatever_is_asked_of_it(
    bucket: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unreachable(Exception):
        """As botocore's, which is no OSError."""

    def away(*_: object, **__: object) -> None:
        raise Unreachable("Could not connect to the endpoint URL")

    write_whole(tmp_path / "made", b"x")
    for method in ("cat_file", "find", "get_file", "info", "ls", "pipe_file", "put_file", "rm_file"):
        monkeypatch.setattr(bucket._system, method, away)
    for ask in (
        lambda: bucket.read("x"),
        lambda: bucket.write("x", b""),
        lambda: bucket.create("x", tmp_path / "made"),
        lambda: bucket.remove("x"),
        lambda: list(bucket.entries("datasets")),
        lambda: bucket.path("x"),
        lambda: bucket.open("x"),
        lambda: bucket.state("x"),
    ):
        with pytest.raises(StorageFailed, match=r"does not do what it is asked for now \(Unreachable\)"):
            ask()
    assert (tmp_path / "made").exists()


def test_a_zip_on_a_store_that_goes_away_is_not_taken_for_a_bad_one(
    bucket: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Files(bucket.root.parent, bucket.url), Files(bucket.root.parent / "other", bucket.url)
    DataFolder(here.file_store).adopt(zipped(here, "pets"), "pets")

    def away(*_: object, **__: object) -> None:
        raise OSError("Connection was closed")

    with monkeypatch.context() as patched:
        patched.setattr(bucket._system, "cat_file", away)
        with pytest.raises(StorageFailed):
            DataFolder(there.file_store).all()
    assert [one.name for one in DataFolder(there.file_store).all()] == ["pets"]


@pytest.mark.parametrize("said", ["/mnt/shared", "file:///mnt/shared", "s3://", "S3://bucket", "ftp://host/x", "s3:/b"])
def test_what_is_no_store_is_refused_with_what_would_be_one(said: str) -> None:
    with pytest.raises(InvalidRequest, match=r"takes s3://BUCKET or s3://BUCKET/PREFIX\. A folder that all machines"):
        check_url(said)


def test_without_its_packages_a_store_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(InvalidRequest, match=r"pip install 'attention-lab\[scale\]'"):
        check_url("s3://not-opened-before")


def test_names_that_would_leave_the_folder_never_reach_the_store(nodes: Nodes) -> None:
    for said in ("../x", "a/b", ".hidden"):
        with pytest.raises((BadCheckpoint, NotFound)):
            nodes("a").checkpoints.find(f"file:{said}")
