"""Uploading a data set on the page: a sound one is kept at once, one with bad files is shown and asked about."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.schemas import Reading
from dashboard import connect
from dashboard.widgets.data_sets import ReportedFile, read_so_far
from server.app import create_app
from server.settings import Settings
from tests.attention.data.archives import folder, photo, photos, write_tar, write_zip

PETS = photos([*folder("cats", 6), *folder("dogs", 6)])


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    settings = Settings(data=tmp_path / "data", device="cpu", threads=1, jobs=0)
    with TestClient(create_app(settings), base_url="http://testserver") as http:
        client = Client(http)
        monkeypatch.setattr(connect, "client", lambda: client)
        yield client


def page() -> None:
    from dashboard.widgets import data_sets

    data_sets.upload()


def sent(name: str, content: bytes) -> AppTest:
    app = AppTest.from_function(page, default_timeout=60).run()
    app.file_uploader[0].upload(name, content, "application/octet-stream").run()
    return app.button[0].click().run()


@pytest.mark.full
def test_a_sound_data_set_is_kept_at_once_and_shown(client: Client, tmp_path: Path) -> None:
    app = sent("pets.tgz", write_tar(tmp_path / "pets.tgz", PETS).read_bytes())
    assert not app.exception and "pets is there" in app.success[0].value
    assert [row.name for row in client.datasets()] == ["pets", "flowers-sample"]
    assert app.dataframe[0].value["name"].tolist() == ["cats", "dogs"]


@pytest.mark.full
def test_a_data_set_with_bad_files_is_shown_and_kept_only_as_chosen(client: Client, tmp_path: Path) -> None:
    app = sent(
        "pets.zip",
        write_zip(tmp_path / "pets.zip", PETS | {"cats/x.jpg": b"", "cats/y.jpg": photo(1)[:50]}).read_bytes(),
    )
    assert not app.exception and "skip_bad=true" in app.error[0].value and len(client.datasets()) == 1
    assert set(app.dataframe[1].value["such as"]) == {"cats/x.jpg", "cats/y.jpg"}
    app.checkbox[0].check().run()
    app.button[0].click().run()
    assert not app.exception and [row.name for row in client.datasets()] == ["pets", "flowers-sample"]
    kept = client.dataset("pets").inventory
    assert kept is not None and kept.choices.skip_bad and kept.images == 12


@pytest.mark.full
def test_a_data_set_is_replaced_only_when_that_is_said(client: Client, tmp_path: Path) -> None:
    larger = write_zip(tmp_path / "larger.zip", photos([*folder("cats", 9), *folder("owls", 9)])).read_bytes()
    sent("pets.zip", write_zip(tmp_path / "pets.zip", PETS).read_bytes())
    app = sent("pets.zip", larger)
    kept = client.dataset("pets").inventory
    assert "pets" in app.error[0].value and kept is not None and kept.images == 12
    app.toggle(key="zip.replace").set_value(True).run()
    app.button[0].click().run()
    kept = client.dataset("pets").inventory
    assert not app.exception and kept is not None and [one.name for one in kept.classes] == ["cats", "owls"]


@pytest.mark.full
def test_the_client_renames_replaces_and_deletes(client: Client, tmp_path: Path) -> None:
    with write_zip(tmp_path / "pets.zip", PETS).open("rb") as archive:
        assert client.upload_dataset("pets", archive, dry_run=True).kind == "upload" and len(client.datasets()) == 1
        archive.seek(0)
        client.upload_dataset("pets", archive)
        archive.seek(0)
        client.upload_dataset("pets", archive, replace=True)
    client.rename("datasets", "pets", "animals")
    assert [entry["name"] for entry in client.entries("datasets")] == ["animals", "flowers-sample"]
    client.delete("datasets", "animals")
    assert [listed.name for listed in client.datasets()] == ["flowers-sample"]


def test_reading_is_told_as_a_count() -> None:
    assert read_so_far(Reading(name="pets", read=1200, images=60_000)) == "1,200 of 60,000 images read"
    assert read_so_far(Reading(name="pets", read=7, images=None)) == "7 images read"


def test_a_file_says_how_much_of_it_was_read_once_a_hundredth() -> None:
    shares: list[float] = []
    file = ReportedFile(io.BytesIO(bytes(1000)), 1000, shares.append)
    assert b"".join(iter(lambda: file.read(7), b"")) == bytes(1000)
    assert shares == sorted(set(shares)) and len(shares) <= 101 and shares[-1] == 1.0
    assert file.seek(0) == 0 and len(file.read()) == 1000
