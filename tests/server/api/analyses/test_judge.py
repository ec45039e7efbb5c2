"""POST /v1/judge: differences or tables in, verdicts out; what cannot be judged is a 400 that names the line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from tests.server.api.http.test_problems import problem

DIFFERENCES = {"eca": [0.62, 0.48, 0.71, 0.55, 0.39, 0.66], "se": [-0.2, 0.4, -0.2, -0.4, -0.1, 0.5]}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(data=tmp_path, device="cpu", threads=1, jobs=0))) as client:
        yield client


def table(filler: str = "") -> str:
    rows = [f"{arm},{seed},{score}{filler}" for arm, score in (("none", 77.0), ("eca", 78.0)) for seed in range(6)]
    return "\n".join(["arm,seed,score" + (",comment" if filler else ""), *rows])


@pytest.mark.full
def test_differences_are_answered_with_a_verdict_for_each_arm(client: TestClient) -> None:
    asked = {"differences": DIFFERENCES, "margin": 0.3, "first_look": 6, "looks": 3, "test_images": 10_000}
    answer = client.post("/v1/judge", json=asked)
    assert answer.status_code == 200
    verdicts = {arm["name"]: arm["verdict"] for arm in answer.json()["arms"]}
    assert {name: verdict["kind"] for name, verdict in verdicts.items()} == {"eca": "better", "se": "undecided"}
    fields = {
        "kind",
        "sentence",
        "reason",
        "n",
        "look",
        "looks",
        "k",
        "difference",
        "half_seeds",
        "half_images",
        "scope",
    }
    fields |= {"p_adjusted", "margin", "next_look", "seeds_needed", "seeds_needed_range", "power_next", "notes"}
    assert set(verdicts["se"]) == fields and verdicts["se"]["k"] == 2


@pytest.mark.full
def test_a_large_table_is_taken_where_other_questions_end_at_a_megabyte(client: TestClient) -> None:
    files = [{"name": "results.csv", "text": table("," + "x" * 100_000)}]
    answer = client.post("/v1/judge", json={"files": files})
    assert answer.status_code == 200 and answer.json()["arms"][1]["verdict"]["kind"] == "withheld"
    files[0]["text"] = table("," + "x" * 900_000)
    problem(client.post("/v1/judge", json={"files": files}), 400, "more than 10 MB")
    files[0]["text"] = table("," + "x" * 2_000_000)
    assert client.post("/v1/judge", json={"files": files}).status_code == 413
    assert client.post("/v1/cost", json={"variants": ["x" * 1_100_000]}).status_code == 413


@pytest.mark.full
def test_verdicts_are_the_same_in_any_unit_however_large_its_numbers(client: TestClient) -> None:
    kinds = []
    for size in (1.0, 1e99):
        scaled = {arm: [size * value for value in values] for arm, values in DIFFERENCES.items()}
        answer = client.post("/v1/judge", json={"differences": scaled, "margin": 0.3 * size, "unit": "counts"})
        assert answer.status_code == 200
        kinds.append([arm["verdict"]["kind"] for arm in answer.json()["arms"]])
    assert kinds[0] == kinds[1] and "better" in kinds[0]


@pytest.mark.parametrize("more", [{"differences": {"a": [1e200] * 6}}, {"differences": DIFFERENCES, "margin": 1e200}])
def test_numbers_whose_squares_are_none_are_refused(client: TestClient, more: dict[str, object]) -> None:
    problem(client.post("/v1/judge", json=more), 422, "less than or equal to 1000")


@pytest.mark.full
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (table().replace("none,1,", "none,0,"), "Line 3 of results.csv repeats arm 'none', seed 0"),
        (table().replace("none,1,77.0", "none,1,nan"), "Line 3 of results.csv: the score is nan"),
        (table().replace("none,1,77.0", "none,1,1e300"), "Line 3 of results.csv: the score is 1e300. Scores of up to"),
        (table().replace("eca,5,78.0", "eca,5,0.78"), "Line 13 of results.csv: 0.78 is a share"),
        ("arm,seed,score\nnone,0,77", "of one arm, 'none'"),
    ],
)
def test_what_cannot_be_judged_is_a_400_with_the_line(client: TestClient, text: str, sentence: str) -> None:
    problem(client.post("/v1/judge", json={"files": [{"text": text}]}), 400, sentence)


def test_a_question_that_is_none_is_a_422(client: TestClient) -> None:
    problem(client.post("/v1/judge", json={}), 422, "either files or differences")
    problem(client.post("/v1/judge", json={"differences": {"a": [1, "x"]}}), 422, "differences")
