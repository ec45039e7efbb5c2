"""What a data folder keeps of a data set beside its files."""

import json
from pathlib import Path

import pytest

from attention.data.folder import DataFolder
from attention.reports.parts.inventory import Choices
from attention.storage.folder import FolderStore
from tests.attention.data.archives import photos, write_zip


@pytest.mark.full
def test_choices_outlive_what_is_kept_of_the_files(tmp_path: Path) -> None:
    folder = DataFolder(FolderStore(tmp_path))
    folder.folder.mkdir()
    files = {**photos(("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png")), "cat/bad.png": b"x"}
    folder.adopt(write_zip(tmp_path / "pets.zip", files), "pets", Choices(skip_bad=True))
    (kept,) = (tmp_path / "inventories").glob("*.json")
    told = json.loads(kept.read_bytes())
    kept.write_text(json.dumps({**told, "records": [["as another version wrote them"]]}))
    assert folder.choices("pets").skip_bad
    assert folder.intake("pets").inventory.images == 4  # made anew, as it was chosen
