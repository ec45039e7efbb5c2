"""Requests that no client sends by accident: absurd JSON, lengths, addresses and headers that try their luck."""

import gzip
import json
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.server.web.hostile import DEEP, FORM, ID, JSON, refused, serving


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with serving(tmp_path_factory.mktemp("requests")) as client:
        yield client


# ---------------------------------------------------------------- JSON


@pytest.mark.full
@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b'{"variants":' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"variants":' + b"[" * 190 + b"]" * 190 + b"}",
        b"[" * DEEP,
        b"",
        b" " * 900_000,
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b"{} {}",
        b"{'a': 1}",
        b"/**/{}",
        b'{"variants": ["\xff\xfe"]}',
        b'{"variants": ["\xed\xa0\x80"]}',
        b'{"variants": ["\\ud800"]}',
        b'{"\\ud800": 1}',
        b'{"variants": ["resnet20/\\u0000"]}',
        b'{"variants": ["resnet20/se"], "\\u0000": 1}',
        '{"variants": ["resnet20/se"]}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b'{"variants": ' + json.dumps(["resnet20/se"] * 60_000).encode() + b"}",
        b'{"variants": {}}',
        b"{" + b",".join(b'"a%d":1' % number for number in range(80_000)) + b"}",
        b'{"' + b"a" * 900_000 + b'": 1}',
    ],
    ids=lambda body: repr(body[:16]),
)
@pytest.mark.parametrize("path", ["/v1/cost", "/v1/jobs"])
def test_json_that_is_none_or_means_nothing(client: TestClient, path: str, body: bytes) -> None:
    refused(client, "POST", path, content=body, headers=JSON)


NUMBERS = [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"9" * 5000, b"-" + b"9" * 5000, b"1e308", b"0.1"]
PLACES = [
    ("/v1/cost", b'{"variants": ["resnet20/se"], "input_size": %s}'),
    ("/v1/cost", b'{"variants": [{"attention": "se", "options": {"reduction": %s}}]}'),
    ("/v1/cost", b'{"variants": [{"attention": "se", "seed": %s}]}'),
    ("/v1/cost", b'{"variants": [{"attention": "se", "classes": %s}]}'),
    ("/v1/cost", b'{"variants": [{"attention": "se", "placement": {"stages": [%s]}}]}'),
    ("/v1/cost", b'{"variants": ["resnet20/se(reduction=%s)"]}'),
    ("/v1/cost", b'{"variants": ["resnet20/se?seed=%s"]}'),
    ("/v1/cost", b'{"variants": ["resnet20/se@standard:%s"]}'),
    ("/v1/compare", b'{"images": ["' + ID + b'"], "top_k": %s}'),
    ("/v1/compare", b'{"images": ["' + ID + b'"], "ablation": {"kind": "shuffle", "seed": %s}}'),
    ("/v1/scale", b'{"pictures": ["' + ID + b'"], "factors": [%s, 2]}'),
    ("/v1/study", b'{"data": "pets", "variants": ["resnet20/se", "resnet20/eca"], "recipe": {"lr": %s, "epochs": 0}}'),
    ("/v1/study", b'{"data": "pets", "variants": ["resnet20/se", "resnet20/eca"], "recipe": {"epochs": %s}}'),
    ("/v1/jobs", b'{"analysis": "cost", "request": {"variants": ["resnet20/se"], "input_size": %s}}'),
]


@pytest.mark.parametrize(("path", "place"), PLACES, ids=[str(place)[-28:] for _, place in PLACES])
def test_numbers_that_are_none_or_too_large(client: TestClient, path: str, place: bytes) -> None:
    for number in NUMBERS:
        refused(client, "POST", path, content=place.replace(b"%s", number), headers=JSON)


@pytest.mark.parametrize("value", ["1001", "-1001", "1e308", "NaN", "1e400"])
def test_gates_are_not_replaced_by_what_no_format_holds(client: TestClient, value: str) -> None:
    for path, more in (("compare", '"images": ["%s"], "ablation": {"kind": "constant", "value": %s}'),):
        body = "{" + more % (ID.decode(), value) + "}"
        assert "value" in refused(client, "POST", f"/v1/{path}", content=body, headers=JSON)


@pytest.mark.full
def test_an_answer_that_is_not_a_number_is_no_answer(client: TestClient) -> None:
    asked = {"images": [ID.decode()], "variants": ["resnet56/se"], "ablation": {"kind": "constant", "value": 1000}}
    assert "beyond the numbers of its format" in refused(client, "POST", "/v1/compare", json=asked)
    swept = {"images": [ID.decode()], "variant": "resnet56/se", "kinds": ["constant"], "value": 1000, "scopes": ["all"]}
    assert "beyond the numbers of its format" in refused(client, "POST", "/v1/whatif", json=swept)


def test_the_last_of_two_fields_of_one_name_counts(client: TestClient) -> None:
    answer = client.post(
        "/v1/cost", content=b'{"variants": ["resnet50/se"], "variants": ["resnet20/eca"]}', headers=JSON
    )
    assert [one["name"] for one in answer.json()["variants"]] == ["resnet20/eca?classes=10"]


# ---------------------------------------------------------------- lengths and packing


def endless(megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes):
        yield b" " * 1_000_000


@pytest.mark.full
@pytest.mark.parametrize(("path", "headers"), [("/v1/cost", JSON), ("/v1/images", {}), ("/v1/compare", FORM)])
def test_a_body_without_a_length_is_cut_at_the_limit(client: TestClient, path: str, headers: dict[str, str]) -> None:
    assert "is larger than the" in refused(client, "POST", path, content=endless(80), headers=headers)


@pytest.mark.parametrize("length", ["9" * 12, "9" * 30, "9" * 5000])
def test_an_announced_length_is_believed_if_it_is_too_long(client: TestClient, length: str) -> None:
    told = refused(client, "POST", "/v1/cost", content=b"{}", headers={**JSON, "Content-Length": length})
    assert "is larger than the" in told


@pytest.mark.parametrize("length", ["-1", "abc", "1", "+5", "0x10", "1_0", ""])
def test_an_announced_length_that_lies_changes_nothing(client: TestClient, length: str) -> None:
    headers = {**JSON, "Content-Length": length}
    assert client.post("/v1/cost", content=b'{"variants": ["resnet20/se"]}', headers=headers).status_code == 200


@pytest.mark.parametrize("packing", ["gzip", "deflate", "br", "identity, gzip", "x" * 4000])
def test_a_packed_body_is_not_unpacked(client: TestClient, packing: str) -> None:
    body = gzip.compress(b" " * 10_000_000 + b"{}")
    for path, headers in (("/v1/cost", JSON), ("/v1/images", {}), ("/v1/compare", FORM), ("/v1/datasets?name=x", {})):
        answer = client.post(path, content=body, headers={**headers, "Content-Encoding": packing})
        assert answer.status_code == 415 and "Send it as it is." in answer.json()["detail"]


# ---------------------------------------------------------------- addresses

TRAVERSALS = [
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "..\\..",
    "%00",
    "a%00b",
    "%ff",
    "%ed%a0%80",
    "%0d%0aX:y",
    "a" * 5000,
    "%7b%7d",
    "'%20OR%201=1--",
]
ADDRESSES = [
    ("GET", "/v1/images/{}"),
    ("GET", "/v1/images/{}/file"),
    ("GET", "/v1/images/{}/file?size=64"),
    ("DELETE", "/v1/images/{}"),
    ("GET", "/v1/checkpoints/{}"),
    ("GET", "/v1/jobs/{}"),
    ("GET", "/v1/jobs/{}/events"),
    ("GET", "/v1/jobs/{}/report"),
    ("POST", "/v1/jobs/{}/cancel"),
    ("GET", "/v1/reports/{}"),
    ("POST", "/v1/reports/{}/again"),
    ("GET", "/v1/{}"),
    ("GET", "/static-offline-docs/{}"),
    ("GET", "/{}"),
]


@pytest.mark.full
@pytest.mark.parametrize("name", TRAVERSALS, ids=lambda name: name[:16])
def test_a_name_in_an_address_leads_nowhere_else(client: TestClient, name: str) -> None:
    for method, address in ADDRESSES:
        refused(client, method, address.format(name))


@pytest.mark.parametrize(
    "query", ["limit=" + "9" * 5000, "limit=NaN", "limit=1e3", "limit=-1", "state=%00", "limit=1&limit=x"]
)
def test_a_query_that_means_nothing(client: TestClient, query: str) -> None:
    refused(client, "GET", f"/v1/jobs?{query}")


@pytest.mark.full
def test_an_address_of_sixty_thousand_letters(client: TestClient) -> None:
    refused(client, "GET", "/v1/" + "a" * 60_000)
    refused(client, "GET", "/v1/jobs?limit=" + "9" * 60_000)


HEADERS = [
    {"If-None-Match": "x" * 60_000},
    {"Last-Event-ID": "\xff"},
    {"Authorization": "Bearer " + "x" * 60_000},
    {"Authorization": "Basic \xff"},
    {"Accept": "x" * 50_000},
    {"X-Request-ID": "a\x01b" * 100},
    {"X-Request-ID": "\xe9" * 1000},
    {"X-API-Key": "\xff" * 1000},
    {"traceparent": "garbage"},
    {"Range": "bytes=0-,0-,0-"},
    {"Cookie": "a=b; " * 5000},
    {"X-Forwarded-For": "'; DROP TABLE jobs; --"},
    {"Expect": "200-maybe"},
    {"Upgrade": "websocket"},
    {f"X-{number}": "y" for number in range(500)},
]


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: next(iter(headers)))
def test_headers_of_any_kind_change_no_answer(client: TestClient, headers: dict[str, str]) -> None:
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = client.post("/v1/cost", json={"variants": ["resnet20/se"]}, headers=raw)
    assert answer.status_code == 200
    assert all(value.isprintable() and len(value) < 300 for value in answer.headers.values())
