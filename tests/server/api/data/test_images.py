"""Photos over HTTP: kept once by their bytes, listed, shown, and forgotten."""

import hashlib
import io
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from attention.data.files import samples
from server.settings import Settings
from tests.server.conftest import photo


@pytest.mark.full
def test_an_upload_is_named_by_its_bytes_and_described(client: TestClient) -> None:
    data = photo(form="PNG")
    answer = client.post("/v1/images", files={"image": ("../../holiday/beach.png", data)})
    assert answer.status_code == 201
    image = answer.json()
    assert abs(datetime.now(UTC) - datetime.fromisoformat(image.pop("created"))) < timedelta(minutes=5)
    assert image == {
        "own": True,
        "shared": False,
        "id": hashlib.sha256(data).hexdigest(),
        "name": "beach.png",
        "format": "PNG",
        "width": 48,
        "height": 40,
        "bytes": len(data),
        "note": None,
        "sample": False,
        "title": None,
        "credit": None,
        "label": None,
    }
    assert answer.headers["Location"] == f"/v1/images/{image['id']}"
    assert client.get(answer.headers["Location"]).json() == answer.json()


@pytest.mark.full
@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded", None])
def test_the_body_may_be_the_file_itself(client: TestClient, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = client.post("/v1/images?name=cat.jpg", content=photo(), headers=headers)
    assert (answer.status_code, answer.json()["name"]) == (201, "cat.jpg")


@pytest.mark.full
def test_a_range_that_was_chosen_is_said_and_kept(client: TestClient) -> None:
    out = io.BytesIO()
    Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40)).save(out, "PNG")
    answer = client.post("/v1/images", files={"image": ("x.png", out.getvalue())})
    assert answer.json()["note"] == "16-bit, 11 used: levels 0 to 2,047 became 0 to 255."
    assert client.get("/v1/images").json()["images"][-1] == answer.json()


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("filename*=UTF-8''caf%C3%A9%20au%20lait.jpg", "café au lait.jpg"),
        ("filename*=iso-8859-1'en'%A3%20rates.jpg", "£ rates.jpg"),
        ("filename=\"plain.jpg\"; filename*=UTF-8''other.jpg", "plain.jpg"),
        ("filename*=utf-8''..%2F..%2Fetc%2Fx.jpg", "x.jpg"),
        ("filename*=no-such-set''a%20b.jpg", "a b.jpg"),
    ],
)
def test_a_client_that_sends_only_the_extended_name_is_understood(client: TestClient, name: str, kept: str) -> None:
    """RFC 5987, as the form parts of some clients have it."""
    head = f'--cut\r\nContent-Disposition: form-data; name="image"; {name}\r\n\r\n'.encode()
    body = head + photo() + b"\r\n--cut--\r\n"
    answer = client.post("/v1/images", content=body, headers={"Content-Type": "multipart/form-data; boundary=cut"})
    assert (answer.status_code, answer.json().get("name")) == (201, kept)


@pytest.mark.full
def test_width_and_height_are_upright(client: TestClient) -> None:
    turned = Image.new("RGB", (30, 20), "teal")
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    turned.save(out, "JPEG", exif=exif)
    image = client.post("/v1/images", files={"image": ("turned.jpg", out.getvalue())}).json()
    assert (image["width"], image["height"]) == (20, 30)


@pytest.mark.full
def test_the_list_has_samples_first_and_then_the_newest_upload(client: TestClient) -> None:
    ids = [
        client.post("/v1/images", files={"image": (f"{seed}.jpg", photo(seed))}).json()["id"] for seed in (1, 2, 3, 1)
    ]
    images = client.get("/v1/images").json()["images"]
    gallery = [image for image in images if image["sample"]]
    assert [image["id"] for image in gallery] == [sample.id for sample in samples()]
    assert all(image["title"] and image["credit"] for image in gallery)
    assert [image["id"] for image in images[len(gallery) :]] == [ids[3], ids[2], ids[1]]


@pytest.mark.full
def test_the_file_comes_back_as_it_was_and_says_how_long_it_is_good(client: TestClient, image_id: str) -> None:
    answer = client.get(f"/v1/images/{image_id}/file")
    assert (answer.content, answer.headers["Content-Type"]) == (photo(), "image/jpeg")
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = client.get(f"/v1/images/{image_id}/file", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.full
def test_a_thumbnail_is_a_small_jpeg_of_the_same_shape(client: TestClient) -> None:
    data = photo(size=(400, 200), form="PNG")
    image_id = client.post("/v1/images", files={"image": ("wide.png", data)}).json()["id"]
    answer = client.get(f"/v1/images/{image_id}/file?size=100")
    thumbnail = Image.open(io.BytesIO(answer.content))
    assert (thumbnail.format, thumbnail.size) == ("JPEG", (100, 50))
    assert client.get(f"/v1/images/{image_id}/file?size=5").status_code == 422


@pytest.mark.full
def test_a_deleted_photo_is_gone_everywhere(client: TestClient, settings: Settings, image_id: str) -> None:
    assert client.delete(f"/v1/images/{image_id}").status_code == 204
    for path in (f"/v1/images/{image_id}", f"/v1/images/{image_id}/file"):
        assert client.get(path).status_code == 404
    assert client.delete(f"/v1/images/{image_id}").status_code == 404
    compared = client.post("/v1/compare", json={"images": [image_id], "variants": ["resnet20/none"]})
    assert compared.status_code == 404
    assert not [path for path in (settings.folder / "images").rglob("*") if path.is_file()]


@pytest.mark.full
def test_a_sample_can_be_shown_and_compared_but_not_deleted(client: TestClient) -> None:
    if not samples():
        pytest.skip("no sample gallery in this copy")
    sample = samples()[0]
    assert client.get(f"/v1/images/{sample.id}/file").content == sample.path.read_bytes()
    refused = client.delete(f"/v1/images/{sample.id}")
    assert refused.status_code == 422 and "sample gallery" in refused.json()["detail"]
    compared = client.post("/v1/compare", json={"images": [sample.id], "variants": ["resnet20/se"]})
    assert compared.status_code == 200


@pytest.mark.full
def test_uploading_a_sample_gives_the_sample(client: TestClient) -> None:
    if not samples():
        pytest.skip("no sample gallery in this copy")
    count = len(client.get("/v1/images").json()["images"])
    answer = client.post("/v1/images", content=photo() if not samples() else samples()[0].path.read_bytes())
    if answer.status_code == 413:
        pytest.skip("the first sample is larger than this test's limit")
    assert answer.json()["sample"] is True
    assert len(client.get("/v1/images").json()["images"]) == count
