"""Data sets from folders, zips, CIFAR's archives and parquet; what is found in them; what is refused."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attention.data.dataset import DataSet, Split, arrange, read
from attention.data.intake.containers import MAX_RATIO
from attention.errors import BadData, TooLarge


def png(number: int, side: int = 8) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def split_files() -> dict[str, bytes]:
    """``train`` and ``test``, three classes, every image another one."""
    parts = (("train", 6), ("test", 2))
    names = [
        f"{part}/{label}/{i}.png" for part, count in parts for label in ("cat", "dog", "owl") for i in range(count)
    ]
    return {name: png(number) for number, name in enumerate(names)}


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_a_folder_and_a_zip_of_it_are_the_same_data_set(tmp_path: Path) -> None:
    files = split_files()
    folder = read(write_folder(tmp_path / "pets", files), 8)
    zipped = read(write_zip(tmp_path / "pets.zip", {f"pets/{name}": data for name, data in files.items()}), 8)
    assert folder.name == zipped.name == "pets" and folder.classes == zipped.classes == ("cat", "dog", "owl")
    assert (len(folder.train), len(folder.validation or ()), len(folder.test)) == (15, 3, 6)
    assert torch.equal(folder.train.images, zipped.train.images) and torch.equal(folder.test.labels, zipped.test.labels)
    assert folder.facts and zipped.facts and folder.facts.fingerprint == zipped.facts.fingerprint
    assert not folder.facts.split_by_hash and folder.facts.duplicates == folder.facts.label_conflicts == 0


def test_pixels_of_the_right_size_are_untouched_and_others_are_resized(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "d", split_files())
    first = np.asarray(Image.open(folder / "train/cat/0.png"))
    assert np.array_equal(read(folder, 8, validation=0).train.images[0].numpy(), first)
    assert read(folder, 5, validation=0).train.images.shape == (18, 5, 5, 3)


@pytest.mark.full
def test_without_a_split_one_is_made_by_hash_and_is_always_the_same(tmp_path: Path) -> None:
    files = {f"{label}/{i}.png": png(1000 * (label == "b") + i) for label in "ab" for i in range(150)}
    one = read(write_folder(tmp_path / "one", files), 8)
    renamed = {name.replace(".png", "x.png"): data for name, data in reversed(files.items())}
    two = read(write_zip(tmp_path / "two.zip", renamed), 8)
    assert one.facts and two.facts and one.facts.split_by_hash
    assert one.facts.fingerprint == two.facts.fingerprint
    assert 0.12 < len(one.test) / 300 < 0.28


def test_repeats_across_splits_and_conflicting_labels_are_counted(tmp_path: Path) -> None:
    files = split_files()
    files["test/cat/again.png"] = files["train/cat/0.png"]
    files["train/dog/also.png"] = files["train/owl/0.png"]
    facts = read(write_folder(tmp_path / "d", files), 8).facts
    assert facts and (facts.duplicates, facts.duplicates_across_splits, facts.label_conflicts) == (2, 1, 1)


# ------------------------------------------------------------------ validation


def split_sizes(data: DataSet) -> tuple[int, int, int]:
    return len(data.train), len(data.validation or ()), len(data.test)


def contents(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.images.numpy()}


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev"])
def test_a_validation_split_that_the_data_has_is_used_as_it_is(tmp_path: Path, name: str) -> None:
    places = [f"{name}/{label}/{i}.png" for label in ("cat", "dog", "owl") for i in range(2)]
    own = {place: png(500 + number) for number, place in enumerate(places)}
    folder = write_folder(tmp_path / "d", split_files() | own)
    data = read(folder, 8)
    assert data.validation is not None and split_sizes(data) == (18, 6, 6)
    assert contents(data.validation) == {np.asarray(Image.open(folder / place)).tobytes() for place in own}
    assert data.facts and (data.facts.validation, data.facts.validation_images) == ("own", 6)
    off = read(folder, 8, validation=0)
    assert off.facts and (off.facts.validation, off.facts.unused_images) == ("off", 6)
    assert split_sizes(off) == (18, 0, 6)
    assert "6 validation images are not used" in off.facts.sentence


def test_where_there_is_no_test_split_validation_is_the_test(tmp_path: Path) -> None:
    files = {name.replace("test/", "val/"): content for name, content in split_files().items()}
    data = read(write_folder(tmp_path / "d", files), 8)
    assert split_sizes(data) == (15, 3, 6) and data.facts and data.facts.validation == "cut"


def many(counts: dict[str, int]) -> dict[str, bytes]:
    """``train`` and ``test`` with so many training images of each class, every image another one."""
    files = {f"test/{label}/{i}.png": png(90_000 + 10 * i + n) for n, label in enumerate(counts) for i in range(2)}
    for number, (label, count) in enumerate(counts.items()):
        files |= {f"train/{label}/{i}.png": png(10_000 * number + i) for i in range(count)}
    return files


@pytest.mark.full
def test_the_cut_takes_the_same_share_of_every_class_and_no_image_twice(tmp_path: Path) -> None:
    counts = {"a": 103, "b": 40, "c": 7, "d": 3}
    folder = write_folder(tmp_path / "d", many(counts))
    data, whole = read(folder, 8, validation=0.2), read(folder, 8, validation=0)
    assert data.validation is not None
    cut = torch.bincount(data.validation.labels, minlength=4).tolist()
    assert cut == [round(0.2 * count) for count in counts.values()]
    assert data.facts and data.facts.train_per_class == tuple(n - k for n, k in zip(counts.values(), cut, strict=True))
    assert contents(data.train) | contents(data.validation) == contents(whole.train)
    assert torch.equal(data.test.images, whole.test.images)


@pytest.mark.full
def test_the_cut_depends_on_contents_alone(tmp_path: Path) -> None:
    files = many({"a": 50, "b": 50})
    backwards = enumerate(reversed(files.items()))
    renamed = {f"{name.rpartition('/')[0]}/{number:04}.png": content for number, (name, content) in backwards}
    one, two = read(write_folder(tmp_path / "one", files), 8), read(write_zip(tmp_path / "two.zip", renamed), 8)
    assert one.validation is not None and two.validation is not None and one.facts and two.facts
    assert contents(one.validation) == contents(two.validation)
    assert one.facts.fingerprint == two.facts.fingerprint
    fingerprints = {read(tmp_path / "one", 8, validation=share).facts for share in (0, 0.1, 0.3)}
    assert len(fingerprints) == 3, "another cut is other data"


def test_files_of_one_content_are_cut_together_and_a_class_is_never_emptied(tmp_path: Path) -> None:
    files = many({"a": 2, "b": 1})
    files |= {f"train/c/{i}.png": png(777_000 + i // 3) for i in range(30)} | {"test/c/0.png": png(888)}
    data = read(write_folder(tmp_path / "d", files), 8, validation=0.5)
    assert data.validation is not None
    assert not contents(data.train) & contents(data.validation)
    assert torch.bincount(data.train.labels, minlength=3).tolist() == [1, 1, 15]


def test_a_data_set_too_small_to_cut_says_that_it_has_none(tmp_path: Path) -> None:
    data = read(write_folder(tmp_path / "d", many({"a": 3, "b": 4})), 8)
    assert data.validation is None and data.watched is data.test
    assert data.facts and data.facts.validation == "off" and "curves are of the test images" in data.facts.sentence


def cifar_archive(path: Path, fine: bool) -> tuple[Path, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(12, dtype=np.uint8) % 3
    columns = [labels[:, None]] if not fine else [np.full((12, 1), 9, np.uint8), labels[:, None]]
    rows = np.concatenate([*columns, images.reshape(12, -1)], 1)
    files = {
        ("fine_label_names.txt" if fine else "batches.meta.txt"): b"plane\ncar\nbird\n",
        ("train.bin" if fine else "data_batch_1.bin"): rows[:9].tobytes(),
        ("test.bin" if fine else "test_batch.bin"): rows[9:].tobytes(),
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"cifar/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path, images


@pytest.mark.parametrize("fine", [False, True])
def test_cifars_binary_archives_are_read(tmp_path: Path, fine: bool) -> None:
    path, images = cifar_archive(tmp_path / "cifar-binary.tar.gz", fine)
    data = read(path, 32, validation=0)
    assert data.classes == ("bird", "car", "plane") and (len(data.train), len(data.test)) == (9, 3)
    assert np.array_equal(data.train.images[0].permute(2, 0, 1).numpy(), images[0])
    assert [data.classes[label] for label in data.train.labels[:3].tolist()] == ["plane", "car", "bird"]


def test_parquet_of_a_hub_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    paths = []
    for split in ("train", "test"):
        rows = [{"img": {"bytes": png(i + 50 * (split == "test")), "path": None}, "label": i % 2} for i in range(8)]
        info = b'{"info": {"features": {"label": {"names": ["cat", "dog"]}}}}'
        table = pyarrow.Table.from_pylist(rows).replace_schema_metadata({b"huggingface": info})
        paths.append(tmp_path / f"{split}-00000-of-00001.parquet")
        parquet.write_table(table, paths[-1])
    from attention.data.dataset import collect
    from attention.data.intake.sources import parquet_rows

    data = collect(parquet_rows(paths), 8, "pets")
    assert data.classes == ("cat", "dog") and (len(data.train), len(data.test)) == (8, 8)
    paths[1].rename(tmp_path / "validation-00000-of-00001.parquet")
    renamed = collect(parquet_rows([paths[0], tmp_path / "validation-00000-of-00001.parquet"]), 8, "pets")
    assert torch.equal(renamed.test.images, data.test.images)


def no_images(root: Path) -> Path:
    return write_folder(root / "d", {"cat/readme.txt": b"hello"})


def one_class(root: Path) -> Path:
    return write_folder(root / "d", {f"train/cat/{i}.png": png(i) for i in range(3)})


def half_split(root: Path) -> Path:
    return write_folder(root / "d", split_files() | {"cat/0.png": png(99)})


def empty_test_class(root: Path) -> Path:
    return write_folder(root / "d", {name: data for name, data in split_files().items() if "test/owl" not in name})


def broken_image(root: Path) -> Path:
    return write_folder(root / "d", split_files() | {"train/cat/x.jpg": b"no photo"})


def escaping_zip(root: Path) -> Path:
    return write_zip(root / "d.zip", split_files() | {"../../etc/cat/x.png": png(0)})


def cut_zip(root: Path) -> Path:
    path = write_zip(root / "d.zip", split_files())
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)
    path.write_bytes(data)
    return path


def pickled_cifar(root: Path) -> Path:
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"\x80\x04N."))
    return root / "cifar-10-python.tar.gz"


def text_file(root: Path) -> Path:
    return write_folder(root, {"notes.txt": b"hello"}) / "notes.txt"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda root: root / "nowhere", "There is no data set at"),
        (no_images, "holds no images"),
        (one_class, "a classifier needs at least 2"),
        (half_split, "are splits and 'cat' is not"),
        (empty_test_class, "Class 'owl' has no images in its test split"),
        (broken_image, r"x\.jpg cannot be used: .* not an image"),
        (escaping_zip, "points outside of it"),
        (cut_zip, "cannot be"),
        (pickled_cifar, "holds pickles, which are not opened"),
        (text_file, "is no data set"),
    ],
)
def test_what_cannot_be_trained_on_gets_a_sentence(tmp_path: Path, make: Callable[[Path], Path], sentence: str) -> None:
    with pytest.raises(BadData, match=sentence):
        read(make(tmp_path), 8)


@pytest.mark.full
def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "bomb.zip", {"train/cat/0.png": bytes((MAX_RATIO + 50) * 1_000_000)})
    with pytest.raises(TooLarge, match="far more than photos do"):
        read(path, 8)


def test_splits_are_parts_of_one_array_so_that_no_image_is_in_memory_twice(tmp_path: Path) -> None:
    paths = [f"{split}/{label}/{n}.png" for split in ("test", "train", "val") for label in "ab" for n in range(4)]
    data = read(write_folder(tmp_path / "d", {path: png(number) for number, path in enumerate(paths)}), 6)
    assert data.validation is not None
    storages = [part.images.untyped_storage() for part in (data.train, data.test, data.validation)]
    assert len({storage.data_ptr() for storage in storages}) == 1 and storages[0].nbytes() == 24 * 6 * 6 * 3


def test_rows_are_arranged_as_indexing_does() -> None:
    random = np.random.default_rng(0)
    for count in (0, 1, 2, *range(3, 40)):
        rows, order = random.integers(0, 256, (count, 2), np.uint8), random.permutation(count)
        expected = rows[order]
        arrange(rows, order)
        assert np.array_equal(rows, expected)
