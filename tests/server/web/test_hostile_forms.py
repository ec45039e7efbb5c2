"""Forms that no client sends by accident: torn, swollen, of a type that is none."""

import json
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.server.conftest import photo
from tests.server.web.hostile import DEEP, FORM, ID, refused, serving


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with serving(tmp_path_factory.mktemp("requests")) as client:
        yield client


def part(head: bytes, body: bytes = b"") -> bytes:
    return b"--XX\r\n" + head + b"\r\n\r\n" + body + b"\r\n"


def field(name: bytes, value: bytes) -> bytes:
    return part(b'Content-Disposition: form-data; name="' + name + b'"', value)


END = b"--XX--\r\n"
FILE = b'Content-Disposition: form-data; name="image"; filename="a.png"'
FORMS = {
    "empty": b"",
    "nothing": END,
    "no end": field(b"images", b"x"),
    "half a boundary": field(b"images", b"x")[:-1] + b"--X",
    "twenty thousand parts": field(b"a", b"") * 20_000 + END,
    "thirty-three files": part(FILE, b"x") * 33 + END,
    "megabytes of header": part(FILE + b'; x="' + b"y" * 3_000_000 + b'"') + END,
    "megabytes of a header's name": b"--XX\r\n" + b"A" * 3_000_000 + b": b\r\n\r\n\r\n" + END,
    "a hundred thousand headers": part(b"\r\n".join(b"X-%d: y" % number for number in range(100_000))) + END,
    "a header without a name": b"--XX\r\n: x\r\n\r\n\r\n" + END,
    "a header without a colon": b"--XX\r\nfoo\r\n\r\n\r\n" + END,
    "a part without a name": part(b"Content-Disposition: form-data", b"x") + END,
    "a part without disposition": part(b"X: y", b"x") + END,
    "zeros": bytes(10_000),
    "text before": b"z" * 1_000_000 + field(b"images", b"x") + END,
    "NUL in a name": part(b'Content-Disposition: form-data; name="image"; filename="a\0b"', b"x") + END,
    "line break in a name": part(b'Content-Disposition: form-data; name="image"; filename="a\r\nb"', b"x") + END,
    "a charset that is none": part(b"Content-Disposition: form-data; name=\"image\"; filename*=utf-7''%FF", b"x") + END,
    "a form in the form": part(b'Content-Disposition: form-data; name="image"\r\nContent-Type: multipart/mixed', b"--")
    + END,
    "base64": part(FILE + b"\r\nContent-Transfer-Encoding: base64", b"iVBORw0KGgo=") + END,
    "a name of 100 KB": part(b'Content-Disposition: form-data; name="image"; filename="' + b"a" * 100_000 + b'"', b"x")
    + END,
    "another field": field(b"\xed\xa0\x80", b"1") + END,
    "not UTF-8": field(b"variants", b"\xff") + END,
    "text where a file is": field(b"image", b"x") + END,
}


@pytest.mark.full
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("path", ["/v1/compare", "/v1/images", "/v1/reports/0123456789abcdef/again"])
def test_a_form_that_is_torn_or_swollen(client: TestClient, path: str, name: str) -> None:
    refused(client, "POST", path, content=FORMS[name], headers=FORM)


FIELDS = {
    "deep": (b"variants", b"[" * DEEP + b"]" * DEEP),
    "as deep as Python reads": (b"variants", b"[" * 900 + b"]" * 900),
    "deep objects": (b"ablation", b'{"a":' * 900 + b"1" + b"}" * 900),
    "half a letter": (b"ablation", b'{"kind": "\\ud800"}'),
    "half a letter for a name": (b"ablation", b'{"\\ud800": 1}'),
    "half a letter in a list": (b"variants", b'["\\ud800"]'),
    "half a letter in a gate": (b"ablation", b'{"kind": "neutral", "gates": ["\\ud800"]}'),
    "NUL": (b"variants", b"\0"),
    "a million commas": (b"variants", b"," * 900_000),
    "a million names": (b"variants", b"a," * 400_000),
    "a million parentheses": (b"variants", b"(," * 400_000),
    "no number": (b"ablation", b'{"kind": "constant", "value": NaN}'),
    "a long number": (b"top_k", b"9" * 5000),
    "a long number in a list": (b"variants", b"[" + b"9" * 5000 + b"]"),
    "twice": (b"top_k", b"3\r\n" + field(b"top_k", b"4")),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_a_form_that_means_nothing(client: TestClient, name: str) -> None:
    key, value = FIELDS[name]
    refused(client, "POST", "/v1/compare", content=field(b"images", ID) + field(key, value) + END, headers=FORM)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 10_000,
        'multipart/form-data; boundary="X\\"X"',
        "multipart/form-data; ;;;=; boundary*=utf-8''%00",
        "multipart/mixed; boundary=XX",
        "application/x-www-form-urlencoded",
        "application/xml",
        "text/html; charset=utf-7",
        "application/x-pickle",
        "\xff\xfe",
        ";",
        "a" * 8000,
    ],
    ids=lambda kind: kind[:30],
)
def test_a_type_that_is_none_or_not_taken(client: TestClient, kind: str) -> None:
    headers = {b"Content-Type": kind.encode("latin-1")}
    refused(client, "POST", "/v1/compare", content=field(b"images", ID), headers=headers)


NOT_NUMBERS = [
    "1_0",
    "+3",
    " 3",
    "3 ",
    "03",
    "0x3",
    "\u0663",
    "1e",
    ".5",
    "NaN",
    "Infinity",
    "-inf",
    "true",
    "null",
    "",
]


def form(field: str, text: str) -> dict[str, tuple[None, str]]:
    return {"images": (None, ID.decode()), "variants": (None, "resnet20(width=4)/eca"), field: (None, text)}


def test_a_number_in_a_form_is_written_as_json_writes_it(client: TestClient) -> None:
    """One strictness for both: a form takes what JSON would take as a number, and nothing else."""
    for text in NOT_NUMBERS:
        assert "top_k" in refused(client, "POST", "/v1/compare", files=form("top_k", text)), text
    for text in ("yes", "on", "1", "0", "True", "T", ""):
        assert "matrices" in refused(client, "POST", "/v1/compare", files=form("matrices", text)), text


@pytest.mark.full
def test_what_json_takes_as_a_number_a_form_takes_too(client: TestClient) -> None:
    for field, text in (("top_k", "3"), ("top_k", "3.0"), ("top_k", "30e-1"), ("matrices", "false")):
        asked = {"images": [ID.decode()], "variants": ["resnet20(width=4)/eca"], field: json.loads(text)}
        by_form, by_json = client.post("/v1/compare", files=form(field, text)), client.post("/v1/compare", json=asked)
        assert by_form.status_code == by_json.status_code == 200, (text, by_form.text)
        assert by_form.json() == by_json.json()


@pytest.mark.full
def test_every_photo_of_a_form_that_cannot_be_read_is_told_of_at_once(client: TestClient) -> None:
    whole = photo()
    sent = [whole, b"not a photo at all", b"", whole[: len(whole) // 2]]
    files = [("image", (f"{number}.jpg", data)) for number, data in enumerate(sent)]
    answer = client.post("/v1/compare", files=files, data={"variants": "resnet20/none"})
    assert answer.status_code == 422
    problem = answer.json()
    assert [fault["field"] for fault in problem["errors"]] == ["images[1]", "images[2]", "images[3]"]
    alone = [client.post("/v1/compare", files={"image": data}, data={"variants": "resnet20/none"}) for data in sent[1:]]
    assert [fault["message"] for fault in problem["errors"]] == [one.json()["detail"] for one in alone]
    assert problem["detail"].startswith("Photo images[1]: ") and "2 more cannot be read" in problem["detail"]
    assert client.get(problem["type"]).status_code == 200
