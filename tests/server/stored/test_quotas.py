"""A key keeps as many bytes as it may, and is told so before more are kept."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from starlette.testclient import TestClient

from server.access.keys import create_key
from server.app import create_app
from server.settings import Settings
from server.store import Store
from server.store.ownership import asking_as
from tests.server.api.data.test_data_sets import SPLIT, zipped
from tests.server.api.http.test_problems import problem
from tests.server.conftest import photo
from tests.server.stored.owners import JOB, LISTS, Asker, Lab, laboratory, weights

pytestmark = pytest.mark.usefixtures("nothing_shipped")


@pytest.fixture
def keys(settings: Settings) -> Iterator[tuple[Asker, Asker]]:
    """A key that may keep as many bytes as one photo has, and one more byte; and a key without a limit of its own."""
    tight = create_key(settings.keys_path, "tight", quota_bytes=len(photo(1)) + 1)[1]
    wide = create_key(settings.keys_path, "wide")[1]
    chosen = settings.model_copy(update={"jobs": 0, "key_bytes": 10_000_000})
    with TestClient(create_app(chosen)) as http:
        yield Asker(http, tight), Asker(http, wide)


@pytest.mark.full
def test_what_does_not_fit_is_refused_alike_and_kept_nowhere(keys: tuple[Asker, Asker], settings: Settings) -> None:
    tight, _ = keys
    image = tight.upload(photo(1))
    asked = {"images": [image], "variants": ["resnet20/eca"]}
    refused = [
        tight("POST", "images", content=photo(2)),
        tight("POST", "datasets", params={"name": "pets"}, content=zipped(SPLIT)),
        tight("POST", "checkpoints", params={"name": "mine"}, content=weights()),
        tight("POST", "sweep", files={"image": ("x.jpg", photo(3))}, data={"variant": "resnet20/eca"}),
    ]
    for answer in refused:
        problem(answer, 413, "This API key keeps", "Delete something first")
        assert answer.json()["type"] == "/problems/quota-exceeded"
    assert {kind: len(tight.ids(kind)) for kind in LISTS} == dict.fromkeys(LISTS, 0) | {"images": 1}
    assert [path.name for path in (settings.folder / "images").rglob("*") if path.is_file()] == [image]
    answer = tight("POST", "compare", json=asked)  # the answer is given, and says that it is not kept
    assert answer.status_code == 200 and "Delete something first" in answer.headers["Report-Not-Kept"]
    assert tight("POST", "images", content=photo(1)).status_code == 201  # what is kept already needs no more room
    assert tight("DELETE", f"images/{image}").status_code == 204
    assert tight("POST", "images", content=photo(1)).status_code == 201


@pytest.mark.full
def test_a_key_is_told_its_use_and_its_quota(keys: tuple[Asker, Asker]) -> None:
    tight, wide = keys
    tight.upload(photo(1))
    told = tight("GET", "storage").json()
    assert (told["bytes"], told["quota_bytes"]) == (len(photo(1)), len(photo(1)) + 1)
    told = wide("GET", "storage").json()
    assert (told["bytes"], told["quota_bytes"]) == (0, 10_000_000)
    assert wide("POST", "datasets", params={"name": "pets"}, content=zipped(SPLIT)).status_code == 201
    assert wide("POST", "jobs", json=JOB).status_code == 202


@pytest.mark.full
def test_of_uploads_at_once_only_as_many_are_kept_as_fit(keys: tuple[Asker, Asker]) -> None:
    tight, _ = keys
    start = Barrier(4)

    def upload(seed: int) -> int:
        start.wait()
        return tight("POST", "images", content=photo(1, form="JPEG") + bytes(seed)).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(upload, (0, 1, 0, 1)))
    assert set(statuses) == {201, 413}
    assert tight("GET", "storage").json()["bytes"] <= len(photo(1)) + 1


# ---------------------------------------------------------------- at once


@pytest.fixture
def lab(settings: Settings) -> Iterator[Lab]:
    with laboratory(settings) as lab:
        yield lab


@pytest.mark.full
def test_two_keys_that_keep_the_same_bytes_at_once_both_own_them(lab: Lab) -> None:
    for seed in range(20, 24):
        start = Barrier(2)

        def upload(asker: Asker, seed: int = seed, start: Barrier = start) -> str:
            start.wait()
            return asker.upload(photo(seed))

        with ThreadPoolExecutor(2) as pool:
            image, same = pool.map(upload, (lab.anna, lab.bert))
        assert image == same and image in lab.anna.ids("images") & lab.bert.ids("images")


@pytest.mark.full
def test_who_deletes_a_photo_takes_none_from_a_key_that_keeps_it_meanwhile(lab: Lab) -> None:
    for seed in range(30, 38):
        image, start = lab.anna.upload(photo(seed)), Barrier(2)

        def keep(seed: int = seed, start: Barrier = start) -> None:
            start.wait()
            lab.bert.upload(photo(seed))

        def delete(image: str = image, start: Barrier = start) -> None:
            start.wait()
            assert lab.anna("DELETE", f"images/{image}").status_code == 204

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(keep), pool.submit(delete)]:
                done.result()
        assert lab.bert("GET", f"images/{image}/file").content == photo(seed)
        assert lab.anna("GET", f"images/{image}").status_code == 404


@pytest.mark.full
def test_owners_are_kept_on_every_database(database_url: str) -> None:
    store = Store(database_url)
    names = itertools.count()
    try:
        for asker in ("aaaaaaaa", "bbbbbbbb"):
            with asking_as(asker):
                store.claim_image("1" * 64, f"{next(names)}.jpg")
                assert set(store.owners.owned("photos", asker)) == {"1" * 64} and not store.owners.owned("jobs", asker)
        store.owners.share("photos", "1" * 64, "aaaaaaaa", shared=True)
        assert store.owners.shared("photos", ("1" * 64, "2" * 64)) == {"1" * 64}
    finally:
        store.close()
