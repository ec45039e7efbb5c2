"""Decoded images are kept by what their files are: known files are not decoded again, damaged caches are made anew."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attention.data import dataset
from attention.data.dataset import DataSet, read
from attention.data.images import decode
from attention.data.intake.inventory import digest_of, take_inventory
from attention.data.intake.sources import items
from attention.data.pixel_cache import CHUNK, PixelCache, fingerprint_of, in_parallel
from attention.errors import BadData
from tests.attention.data.test_dataset import png, split_files, write_folder, write_zip


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The sizes of the files that were decoded."""
    sizes: list[int] = []

    def counted(data: bytes) -> Image.Image:
        sizes.append(len(data))
        return decode(data)

    monkeypatch.setattr(dataset, "decode", counted)
    yield sizes


def parts(data: DataSet) -> list[torch.Tensor]:
    splits = [data.train, data.validation, data.test]
    return [tensor for split in splits if split for tensor in (split.images, split.labels)]


def test_a_known_data_set_is_not_decoded_again_and_is_the_same(tmp_path: Path, decodes: list[int]) -> None:
    folder, cache = write_folder(tmp_path / "pets", split_files()), PixelCache(tmp_path / "pixels")
    plain = read(folder, 8)
    count = len(decodes)
    first = read(folder, 8, cache=cache)
    assert count == 24 and len(decodes) == 2 * count
    again = read(folder, 8, cache=cache)
    zipped = read(write_zip(tmp_path / "pets.zip", split_files()), 8, "pets", cache=cache)
    assert len(decodes) == 2 * count  # by the files' content, wherever they lie
    for data in (first, again, zipped):
        assert data.facts == plain.facts and all(map(torch.equal, parts(data), parts(plain)))
    read(folder, 5, cache=cache)
    assert len(decodes) == 3 * count
    (folder / "test" / "cat" / "0.png").write_bytes(png(1000))
    assert not torch.equal(read(folder, 8, cache=cache).test.images, plain.test.images)
    assert len(decodes) == 4 * count


def test_files_that_are_not_kept_yet_are_read_once_to_decode_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[bytes] = []

    def counted(content: bytes) -> bytes:
        reads.append(content)
        return digest_of(content)

    monkeypatch.setattr(dataset, "digest_of", counted)
    folder, cache = write_folder(tmp_path / "pets", split_files()), PixelCache(tmp_path / "pixels")
    read(folder, 8, intake=take_inventory(folder), cache=cache)
    assert len(reads) == 24


def test_of_a_known_inventory_no_file_is_read_again(tmp_path: Path) -> None:
    """The inventory has the hash and class of every file; so the second study begins without going through them."""
    folder, cache = write_folder(tmp_path / "pets", split_files()), PixelCache(tmp_path / "pixels")
    intake = take_inventory(folder)
    first = read(folder, 8, intake=intake, cache=cache)
    shutil.rmtree(folder)
    again = read(folder, 8, intake=intake, cache=cache)
    assert again.facts == first.facts and all(map(torch.equal, parts(again), parts(first)))
    [kept] = cache.folder.iterdir()
    kept.unlink()
    with pytest.raises(BadData):
        read(folder, 8, intake=intake, cache=cache)


@pytest.mark.parametrize("damage", ["cut short", "another pixel", "empty", "no array"])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, decodes: list[int], damage: str) -> None:
    folder, cache = write_folder(tmp_path / "pets", split_files()), PixelCache(tmp_path / "pixels")
    whole = read(folder, 8, cache=cache)
    [path] = cache.folder.iterdir()
    content = path.read_bytes()
    flipped = content[:-7] + bytes([content[-7] ^ 1]) + content[-6:]
    path.write_bytes(
        {"cut short": content[:-100], "another pixel": flipped, "empty": b"", "no array": b"\0" * 500}[damage]
    )
    count = len(decodes)
    assert all(map(torch.equal, parts(read(folder, 8, cache=cache)), parts(whole)))
    assert len(decodes) == 2 * count and path.read_bytes() == content
    read(folder, 8, cache=cache)
    assert len(decodes) == 2 * count


def test_what_is_done_to_images_in_memory_does_not_reach_the_kept_file(tmp_path: Path) -> None:
    cache, pixels = PixelCache(tmp_path), np.arange(4 * 8 * 8 * 3, dtype=np.uint8).reshape(4, 8, 8, 3)
    cache.keep("a", pixels)
    mapped = cache.read("a")
    assert isinstance(mapped, np.memmap)
    mapped[:] = 0
    again = cache.read("a")
    assert again is not None and np.array_equal(again, pixels)


def test_the_bound_holds_and_what_was_read_least_recently_leaves(tmp_path: Path) -> None:
    pixels = np.zeros((10, 8, 8, 3), np.uint8)
    cache = PixelCache(tmp_path, most_bytes=2 * (pixels.nbytes + 200))
    for name in ("a", "b", "c"):
        if name == "c":
            assert cache.read("a") is not None
        cache.keep(name, pixels)
        for path in tmp_path.glob(f"{name}-*"):
            assert path.stat().st_size <= pixels.nbytes + 200
    assert cache.read("b") is None and cache.read("a") is not None and cache.read("c") is not None
    cache.keep("large", np.zeros((30, 8, 8, 3), np.uint8))
    assert cache.read("large") is None and cache.read("a") is not None


def test_a_folder_that_cannot_be_written_costs_the_cache_and_not_the_data_set(tmp_path: Path) -> None:
    (tmp_path / "pixels").write_bytes(b"a file where the folder should be")
    data = read(write_folder(tmp_path / "pets", split_files()), 8, cache=PixelCache(tmp_path / "pixels"))
    assert len(data.train) == 15


def test_files_that_change_while_they_are_read_are_refused(tmp_path: Path) -> None:
    folder, cache = write_folder(tmp_path / "pets", split_files()), PixelCache(tmp_path / "pixels")
    with pytest.raises(BadData, match="changed while"):
        dataset.collect(items(folder), 8, "pets", cache=cache, expected=fingerprint_of([b"other"], 8))
    assert not cache.folder.exists()


def test_items_are_changed_in_order_on_several_threads_with_few_held_at_a_time() -> None:
    taken, threads = 0, set()

    def numbers() -> Iterator[int]:
        nonlocal taken
        while taken < 10_000:
            taken += 1
            yield taken - 1

    def doubled(number: int) -> int:
        threads.add(threading.get_ident())
        return 2 * number

    results = in_parallel(doubled, numbers())
    assert next(results) == 0 and taken < 5000 + CHUNK
    assert list(results) == list(range(2, 20_000, 2)) and threading.get_ident() not in threads


def test_the_first_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    files = split_files() | {"train/dog/1.png": b"no image", "train/owl/2.png": b"nor this"}
    with pytest.raises(BadData, match=r"dog.1\.png cannot be used"):
        dataset.collect(items(write_folder(tmp_path / "pets", files)), 8, "pets")
