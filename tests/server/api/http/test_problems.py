"""Whatever goes wrong has one shape, a fitting status, and a sentence for the person who can fix it."""

import asyncio
import io
import logging
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import httpx2
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient
from starlette.types import Message

from attention import errors
from attention.errors import AttentionError, Overloaded
from attention.schemas import Problem
from attention.spec import Plain, Request
from server.app import create_app
from server.engine.local import LocalEngine
from server.problems import status_of
from server.settings import Settings
from tests.server.conftest import photo

R = TypeVar("R", bound=Plain)

SOME_ID = "0" * 64


def problem(answer: httpx2.Response, status: int, *words: str) -> Problem:
    """The problem in an answer, after a look at all that every problem promises."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    found = Problem.model_validate_json(answer.content)  # this shape and no other: extra fields are refused
    assert found.status == status and found.type.startswith("/problems/") and found.title
    assert found.detail[-1] in ".)?" and found.detail[0] == found.detail[0].upper(), found.detail
    assert all(word in found.detail for word in words), found.detail
    assert "pydantic" not in answer.text and "Traceback" not in answer.text
    return found


def png_of(width: int, height: int) -> bytes:
    """A valid black PNG of any size in a few bytes a row: a decompression bomb, if the size is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


# ---------------------------------------------------------------- names and options


@pytest.mark.full
@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("resnet20/ecaa", ["no attention module named 'ecaa'", "Did you mean 'eca'?"]),
        ("resnet51/se", ["no backbone named 'resnet51'", "Did you mean 'resnet"]),
        ("resnet20/eca(reduction=4)", ["'eca' has no option 'reduction'"]),
        ("resnet20/se(reduction=0)", ["'se' cannot take reduction=0"]),
        ("resnet20/se@standard:9", ["stage 9", "1, 2, 3"]),
        ("resnet20/se@somewhere", ["position", "'standard'"]),
        ("resnet20//se", ["not a variant's name", "backbone/attention"]),
        ("resnet20/se?weights=mine", ["no weights called 'mine'"]),
    ],
)
@pytest.mark.parametrize("path", ["/v1/compare", "/v1/cost"])
def test_a_variant_that_cannot_be_is_explained(
    client: TestClient, image_id: str, path: str, variant: str, words: list[str]
) -> None:
    images = {"images": [image_id]} if path == "/v1/compare" else {}
    problem(client.post(path, json={**images, "variants": [variant]}), 422, *words)


@pytest.mark.full
def test_a_gate_that_is_not_there_is_explained(client: TestClient, image_id: str) -> None:
    ablation = {"kind": "neutral", "gates": ["layer9"]}
    asked = {"images": [image_id], "variants": ["resnet20/se"], "ablation": ablation}
    problem(client.post("/v1/compare", json=asked), 422, "no gate at 'layer9'", "layer1")


@pytest.mark.full
def test_too_many_variants_are_counted(client: TestClient, image_id: str) -> None:
    asked = {"images": [image_id], "variants": ["resnet20/none"] * 13}
    problem(client.post("/v1/compare", json=asked), 422, "'variants'", "at most 12")


@pytest.mark.full
def test_an_image_that_is_not_here_is_not_found(client: TestClient) -> None:
    problem(client.post("/v1/compare", json={"images": [SOME_ID], "variants": ["resnet20/none"]}), 404, "Upload it")
    problem(client.get(f"/v1/images/{SOME_ID}"), 404, "Upload it")
    problem(client.get("/v1/images/no-such/file"), 404)
    problem(client.get("/v1/images/..%2f..%2fattention.db/file"), 404)


# ---------------------------------------------------------------- fields


@pytest.mark.full
@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({}, "images", ["'images' is missing"]),
        ({"images": []}, "images", ["'images'", "1 or more"]),
        ({"images": [SOME_ID], "top": 3}, "top", ["no field 'top'", "Did you mean 'top_k'?"]),
        ({"images": [SOME_ID], "top_k": 0}, "top_k", ["'top_k'", "greater than or equal to 1"]),
        ({"images": [SOME_ID], "gates": "xml"}, "gates", ["'gates'", "'none', 'json' or 'base64'"]),
        ({"images": [SOME_ID], "variants": [{"seed": -1}]}, "variants[0].seed", ["'variants[0].seed'"]),
        ({"images": [SOME_ID], "ablation": {"kind": "mean"}}, "ablation", ["needs reference images"]),
        ({"images": [SOME_ID], "top_k": True}, "top_k", ["should be a number, not true"]),
        ({"images": [SOME_ID], "top_k": "3"}, "top_k", ['should be a number, not "3"']),
        ({"images": [SOME_ID], "variants": ["se", {"seed": False}]}, "variants[1].seed", ["a number, not false"]),
        (
            {"images": [SOME_ID], "variants": [{"attention": "se", "placement": {"stages": [3, "1"]}}]},
            "variants[0].placement.stages[1]",
            ['should be a number, not "1"'],
        ),
        (
            {"images": [SOME_ID], "ablation": {"kind": "constant", "value": "0.5"}},
            "ablation.value",
            ['should be a number, not "0.5"'],
        ),
    ],
)
def test_a_field_that_is_wrong_is_named(client: TestClient, asked: Any, field: str, words: list[str]) -> None:
    found = problem(client.post("/v1/compare", json=asked), 422, *words)
    assert found.errors[0]["field"] == field
    assert found.errors[0]["message"] == found.detail


@pytest.mark.full
def test_what_json_may_say_in_more_ways_than_one_is_taken(client: TestClient, image_id: str) -> None:
    """3.0 is the integer 3, and 1 a number where 1.0 is meant; options keep the type they are sent in."""
    asked = {
        "images": [image_id],
        "top_k": 3.0,
        "variants": [{"backbone": "resnet20", "attention": "se", "options": {"reduction": 8}}],
        "ablation": {"kind": "constant", "value": 1},
    }
    assert client.post("/v1/compare", json=asked).status_code == 200


@pytest.mark.full
def test_text_of_a_form_is_read_as_what_its_field_takes(client: TestClient) -> None:
    form = {"variants": "se", "top_k": "3"}
    assert client.post("/v1/compare", data=form, files={"image": photo()}).status_code == 200


@pytest.mark.full
def test_a_job_is_taken_at_its_word_too(client: TestClient) -> None:
    asked = {"analysis": "cost", "request": {"variants": ["se"], "input_size": "64"}}
    problem(client.post("/v1/jobs", json=asked), 422, "'input_size'", 'should be a number, not "64"')
    digits = b'{"analysis": "cost", "request": {"variants": ["se"], "input_size": %s}}' % (b"9" * 5000)
    problem(client.post("/v1/jobs", content=digits, headers={"Content-Type": "application/json"}), 422)


@pytest.mark.full
def test_all_wrong_fields_are_listed(client: TestClient) -> None:
    found = problem(client.post("/v1/compare", json={"top_k": 0, "images": [SOME_ID], "x": 1}), 422, "1 more")
    assert [fault["field"] for fault in found.errors] == ["top_k", "x"]


# ---------------------------------------------------------------- bodies


@pytest.mark.full
@pytest.mark.parametrize("body", [b'{"images": [', b"nonsense", b"\xff\xfe", b"[" * 5000])
def test_a_body_that_is_not_json_says_so(client: TestClient, body: bytes) -> None:
    problem(client.post("/v1/compare", content=body, headers={"Content-Type": "application/json"}), 422, "JSON")


@pytest.mark.full
def test_json_of_another_type_says_so(client: TestClient) -> None:
    problem(client.post("/v1/cost", json=[1, 2]), 422)


@pytest.mark.full
def test_an_empty_body_gets_an_example(client: TestClient) -> None:
    problem(client.post("/v1/compare"), 422, "empty", '"variants"')
    problem(client.post("/v1/compare", headers={"Content-Type": "application/json"}), 422, "empty")
    problem(client.post("/v1/images"), 422, "empty")


@pytest.mark.full
def test_a_wrong_content_type_says_what_is_taken(client: TestClient) -> None:
    for path, words in (
        ("/v1/compare", "multipart/form-data"),
        ("/v1/cost", "application/json"),
        ("/v1/images", "image/"),
    ):
        problem(client.post(path, content=b"a,b", headers={"Content-Type": "text/csv"}), 415, "'text/csv'", words)
    problem(client.post("/v1/cost", files={"image": photo()}), 415, "multipart")


@pytest.mark.full
def test_a_large_json_body_is_refused(client: TestClient) -> None:
    asked = {"images": ["x" * 30_000]}
    problem(client.post("/v1/compare", json=asked), 413, "20,000 bytes")


# ---------------------------------------------------------------- photos


@pytest.mark.full
@pytest.mark.parametrize("path", ["/v1/images", "/v1/compare"])
@pytest.mark.parametrize(
    ("name", "data", "status", "word"),
    [
        ("cut.jpg", lambda: photo(size=(200, 200))[:-2000], 422, "damaged or cut short"),
        ("notes.png", lambda: b"Dear diary, this is not a picture.", 422, "not an image"),
        ("page.svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", 422, "not an image"),
        ("empty.jpg", lambda: b"", 422, "empty"),
        ("bomb.png", lambda: png_of(20_000, 20_000), 413, "pixels"),
        ("large.png", lambda: png_of(8_000, 7_000), 413, "8000 x 7000"),
        ("long.bmp", lambda: bytes(200_001), 413, "'long.bmp' is larger than the 200,000 bytes"),
    ],
    ids=["truncated", "text", "svg", "empty", "bomb", "pixels", "bytes"],
)
def test_a_photo_that_cannot_be_taken_is_explained(
    client: TestClient, path: str, name: str, data: Callable[[], bytes], status: int, word: str
) -> None:
    form = {"variants": "resnet20/none"} if path == "/v1/compare" else None
    problem(client.post(path, files={"image": (name, data())}, data=form), status, word)
    assert not [image for image in client.get("/v1/images").json()["images"] if not image["sample"]]


FORM_HEAD = b'--cut\r\nContent-Disposition: form-data; name="image"; filename="huge.jpg"\r\n\r\n'
FORM_TYPE = "multipart/form-data; boundary=cut"


def forty_megabytes(head: bytes = b"") -> Iterator[bytes]:
    """A long body in pieces, of which nobody knows the length beforehand."""
    yield head
    for _ in range(800):
        yield bytes(50_000)


@pytest.mark.full
@pytest.mark.parametrize(
    ("path", "kind", "head"),
    [("/v1/images", "image/jpeg", b""), ("/v1/images", FORM_TYPE, FORM_HEAD), ("/v1/compare", FORM_TYPE, FORM_HEAD)],
)
@pytest.mark.parametrize("announced", [False, True])
def test_what_is_over_the_limit_is_not_read(
    client: TestClient, path: str, kind: str, head: bytes, announced: bool
) -> None:
    """Straight ASGI, to see how many bytes the app asks for before it refuses."""
    body = forty_megabytes(head)
    taken, sent = 0, list[Message]()

    async def receive() -> Message:
        nonlocal taken
        chunk = next(body)
        taken += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    length = [(b"content-length", b"40000000")] * announced
    headers = [(b"host", b"testserver"), (b"content-type", kind.encode()), *length]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}

    async def ask() -> None:
        await client.app(scope, receive, send)

    asyncio.run(ask())
    assert sent[0]["status"] == 413 and b"larger than the" in sent[1]["body"]
    assert taken == 0 if announced else 200_000 < taken <= 300_000


@pytest.mark.full
def test_too_many_files_and_too_much_in_all_are_refused(client: TestClient) -> None:
    many = [("image", (f"{number}.jpg", photo())) for number in range(33)]
    problem(client.post("/v1/compare", files=many), 413, "32")
    heavy = [("image", (f"{number}.bmp", bytes(150_000))) for number in range(4)]
    problem(client.post("/v1/compare", files=heavy), 413, "500,000 bytes")
    two = [("image", ("a.jpg", photo())), ("image", ("b.jpg", photo(1)))]
    problem(client.post("/v1/images", files=two), 413, "1")


@pytest.mark.full
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ["ends in the middle"]),
        (b"nothing like a form", ["not well-formed"]),
        (b'--cut\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\nabc', ["ends in the middle"]),
        (b"--cut\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--cut--\r\n", ["no name"]),
        (b'--cut\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n\xff\xff\r\n--cut--\r\n', ["'top_k'", "UTF-8"]),
    ],
)
def test_a_form_that_is_broken_says_where(client: TestClient, body: bytes, words: list[str]) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    problem(client.post("/v1/compare", content=body, headers=headers), 422, *words)


@pytest.mark.full
def test_a_form_without_a_boundary_says_so(client: TestClient) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    problem(client.post("/v1/compare", content=b"--x", headers=headers), 422, "boundary")


@pytest.mark.full
@pytest.mark.parametrize(
    ("fields", "files", "words"),
    [
        ({"image": "photo.jpg"}, {}, ["holds text", "image=@photo.jpg"]),
        ({}, {"photo": photo()}, ["'image', not 'photo'"]),
        ({"ablation": "{kind: mean}"}, {"image": photo()}, ["'ablation'", "not valid"]),
        ({"top_k": ["1", "2"]}, {"image": photo()}, ["'top_k'", "2 times"]),
        ({"variant": "se"}, {"image": photo()}, ["no field 'variant'", "Did you mean 'variants'?"]),
        ({"variants": "resnet20/none"}, {"image": b""}, ["empty"]),
    ],
)
def test_a_form_with_a_slip_says_which(client: TestClient, fields: Any, files: Any, words: list[str]) -> None:
    files = files or {"other": (None, "x")}
    fields = {**fields}
    problem(client.post("/v1/compare", data=fields, files=files), 422, *words)


def test_an_upload_without_a_file_says_how(client: TestClient) -> None:
    problem(client.post("/v1/images", data={"image": "x"}, files={"y": (None, "x")}), 422, "image=@photo.jpg")
    problem(client.post("/v1/images", files={"file": photo()}), 422, "'image'")


# ---------------------------------------------------------------- the service itself


def test_an_unknown_path_and_a_wrong_method_are_problems(client: TestClient) -> None:
    problem(client.get("/nowhere"), 404, "nothing at /nowhere")
    problem(client.post("/v1/compar", json={}), 404, "Did you mean '/v1/compare'?")
    wrong = client.get("/v1/compare")
    problem(wrong, 405, "GET is not possible", "POST")
    assert wrong.headers["Allow"] == "OPTIONS, POST"


class Refusing(LocalEngine):
    """An engine that always raises the same."""

    def __init__(self, settings: Settings, error: Exception) -> None:
        super().__init__(settings)
        self.error = error

    async def answer(self, request: Request[R], photos: Mapping[str, bytes] | None = None) -> R:
        raise self.error


def app_that_raises(settings: Settings, error: Exception) -> FastAPI:
    return create_app(settings, Refusing(settings, error))


def test_a_full_service_says_when_to_come_back(settings: Settings) -> None:
    with TestClient(app_that_raises(settings, Overloaded("Too much to do.", retry_after_s=3.2))) as client:
        answer = client.post("/v1/cost", json={})
    problem(answer, 503, "Too much to do.")
    assert answer.headers["Retry-After"] == "3"


def test_a_bug_is_logged_and_told_by_its_number_only(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with (
        TestClient(app_that_raises(settings, ZeroDivisionError("secret"))) as client,
        caplog.at_level(logging.ERROR),
    ):
        answer = client.post("/v1/cost", json={})
    found = problem(answer, 500, "bug in the service")
    assert "secret" not in answer.text
    number = found.detail.split()[-1].rstrip(".")
    logged = next(record for record in caplog.records if number in record.getMessage())
    assert logged.exc_info and logged.exc_info[0] is ZeroDivisionError


def test_every_error_of_the_library_has_a_status_of_its_own_or_its_parents() -> None:
    def family(cls: type[AttentionError]) -> Iterator[type[AttentionError]]:
        yield cls
        for child in cls.__subclasses__():
            yield from family(child)

    for cls in family(AttentionError):
        error = cls.__new__(cls)
        assert 400 <= status_of(error) < 600
    assert status_of(errors.UnknownName("module", "x", ())) == status_of(errors.InvalidRequest("x")) == 422


@pytest.mark.full
def test_a_photo_of_any_format_that_is_listed_is_taken(client: TestClient) -> None:
    for form in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        out = io.BytesIO()
        Image.new("RGB", (20, 20), "olive").save(out, form)
        answer = client.post("/v1/images", files={"image": (f"x.{form}", out.getvalue())})
        assert (answer.status_code, answer.json().get("format")) == (201, form)
