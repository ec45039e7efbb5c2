"""What the README and the pages on REST and names show is what happens: their commands, snippets and tables."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from attention.spec import POSITIONS, Variant
from server.app import create_app
from server.settings import Settings

ROOT = Path(__file__).parents[1]
README, CHINESE, REST, NAMES = (
    (ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh.md", "docs/rest.md", "docs/names.md")
)


def blocks(language: str, page: str = REST) -> list[str]:
    """The code blocks of one language; those of no language are commands."""
    found: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.M | re.S)
    return [text for name, text in found if name == language]


def curls(page: str = REST) -> list[str]:
    return [block for block in blocks("", page) if block.startswith("curl ")]


def test_the_readmes_are_short_and_ask_alike() -> None:
    assert README.count("\n") < 120 and CHINESE.count("\n") < 120
    assert curls(README) == curls(CHINESE) == curls()[:1]
    rows = [[re.findall(r"[\d.−+]+", row) for row in page.splitlines() if " % (" in row] for page in (README, CHINESE)]
    assert rows[0] == rows[1] and len(rows[0]) == 7


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(data=tmp_path_factory.mktemp("data")))) as client:
        yield client


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a photo.jpg in it."""
    shutil.copy(ROOT / "attention" / "data" / "samples" / "sunflowers_22183529245.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)


def curl(http: TestClient, command: str) -> Any:
    """What a curl command of the README gets."""
    words = shlex.split(command.replace("\\\n", " "))[1:]
    options = [(words[at], words[at + 1]) for at in range(len(words) - 1) if words[at] in ("-F", "-H", "-d")]
    (url,) = [word for word in words if word.startswith("localhost:8000/")]
    path = url.removeprefix("localhost:8000")
    pairs = [text.split("=", 1) for flag, text in options if flag == "-F"]
    if pairs:
        files = {name: (text[1:], Path(text[1:]).read_bytes()) for name, text in pairs if text.startswith("@")}
        return http.post(path, files=files, data={name: text for name, text in pairs if not text.startswith("@")})
    bodies = [text for flag, text in options if flag == "-d"]
    if bodies:
        headers = dict(text.split(": ") for flag, text in options if flag == "-H")
        return http.post(path, content=bodies[0], headers=headers)
    return http.get(path)


@pytest.mark.full
@pytest.mark.usefixtures("photo")
@pytest.mark.parametrize("command", curls())
def test_every_curl_line_is_answered(http: TestClient, command: str) -> None:
    answer = curl(http, command)
    assert answer.status_code == 200, answer.text


@pytest.mark.usefixtures("photo")
def test_the_first_line_compares_three_trained_networks(http: TestClient) -> None:
    report = curl(http, curls()[0]).json()
    assert [variant["variant"]["attention"] for variant in report["variants"]] == [None, "se", "eca"]
    assert all(variant["trained"] and variant["card"] for variant in report["variants"])
    assert all(prediction["top"][0]["label"] for prediction in report["predictions"])


def shows(shown: Any, real: Any) -> None:
    """Everything that is shown is there: lists may be cut short, objects may leave fields out, numbers are rounded."""
    if isinstance(shown, dict):
        for key, value in shown.items():
            shows(value, real[key])
    elif isinstance(shown, list):
        for one, other in zip(shown, real[: len(shown)], strict=True):
            shows(one, other)
    else:
        assert shown == (pytest.approx(real, abs=2e-3) if isinstance(shown, float) else real)


@pytest.mark.usefixtures("photo")
def test_the_first_answer_is_the_one_shown(http: TestClient) -> None:
    shows(json.loads(blocks("json")[0]), curl(http, curls()[0]).json())


@pytest.mark.full
@pytest.mark.usefixtures("photo")
def test_the_second_line_says_that_its_networks_are_untrained(http: TestClient) -> None:
    report = curl(http, curls()[1]).json()
    assert [variant["trained"] for variant in report["variants"]] == [False, False]
    assert all(variant["warning"] for variant in report["variants"])


def test_the_table_of_costs_is_the_answer(http: TestClient) -> None:
    shown = re.findall(r"^\| `(resnet50/\w+)` \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", REST, re.M)
    bills = curl(http, curls()[2]).json()["variants"]
    found = [
        (
            bill["name"].partition("?")[0],
            *(f"{bill[part][count]:,}" for count in ("parameters", "macs") for part in ("total", "attention")),
        )
        for bill in bills
    ]
    assert shown == found


@pytest.mark.usefixtures("photo")
def test_the_python_client_prints_three_predictions(
    http: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("attention.client.httpx2.Client", lambda **options: http)
    exec(blocks("python")[0], {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["network", "rank", "class", "probability"]
    assert all(re.fullmatch(r"\S+ \w+ \d+%", line) for line in printed[-3:])


@pytest.mark.parametrize(
    ("snippet", "widths"),
    [
        (blocks("python")[1], (32, 64)),
        (blocks("python", README)[0], (16, 32, 64)),
        (blocks("python", CHINESE)[0], (16, 32, 64)),
    ],
)
def test_the_library_gives_logits_and_gates(snippet: str, widths: Sequence[int]) -> None:
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert names["logits"].shape == (2, 10)
    assert {tuple(gate.shape) for gate in names["gates"].values()} == {(2, width, 1, 1) for width in widths}


def test_every_name_in_the_table_is_one(http: TestClient) -> None:
    names = re.findall(r"^\| `([^`]+)` \| ", NAMES, re.M)
    assert len(names) >= 5
    for name in names:
        assert Variant.parse(Variant.parse(name).name) == Variant.parse(name)
    assert Variant.parse("eca").name in names


def test_every_position_is_explained() -> None:
    names = NAMES
    for position in POSITIONS:
        assert f"`{position}`" in names, position


def test_every_route_is_in_the_table_and_the_other_way_round(http: TestClient) -> None:
    shown = set(re.findall(r"`(GET|POST|PATCH|DELETE) (/v1/[^`]*)`", REST))
    paths = http.get("/openapi.json").json()["paths"]
    there = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert {(method, re.sub(r"\{\w+\}", "{id}", path)) for method, path in there} == shown


def test_the_sentence_about_a_misspelt_module_is_the_one(http: TestClient) -> None:
    (sentence,) = re.findall(r"\*(There is no attention module[^*]+)\*", REST)
    assert http.post("/v1/cost", json={"variants": ["resnet50/cbma"]}).json()["detail"] == sentence
