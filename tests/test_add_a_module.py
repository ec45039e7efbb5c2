"""Adding a module is adding one file: CONTRIBUTING.md's example, in a copy of the project, asked over the API."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
NAME = "contrast"

ASK = """
import json, sys
from pathlib import Path
from starlette.testclient import TestClient
from server.app import create_app
from server.settings import Settings

photo, data = Path(sys.argv[1]), Path(sys.argv[2])
with TestClient(create_app(Settings(data=data))) as http:
    catalog = http.get("/v1/catalog")
    cost = http.post("/v1/cost", json={"variants": ["resnet50/contrast", "resnet20/contrast(reduction=4)@standard:3"]})
    compare = http.post(
        "/v1/compare",
        files={"image": ("photo.png", photo.read_bytes())},
        data={"variants": "resnet20/none,resnet20/contrast(reduction=4)?seed=1", "gates": "json", "top_k": "3"},
    )
    wrong = http.post("/v1/cost", json={"variants": ["resnet20/contrast(reduktion=4)"]})
answers = {"catalog": catalog, "cost": cost, "compare": compare, "wrong": wrong}
print(json.dumps({name: {"status": one.status_code, "body": one.json()} for name, one in answers.items()}))
"""


def example() -> str:
    """The code block of CONTRIBUTING.md that says it is this module's file."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert f"`attention/modules/{NAME}.py`" in text
    blocks: list[str] = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    ours = [block for block in blocks if "@modules.register" in block]
    assert len(ours) == 1
    return ours[0]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the API of a copy of the project with one more file says."""
    copy = tmp_path_factory.mktemp("copy")
    for package in ("attention", "server"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "attention" / "modules" / f"{NAME}.py").write_text(example(), "utf-8")
    photo = copy / "photo.png"
    buffer = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(buffer, "PNG")
    photo.write_bytes(buffer.getvalue())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATTENTION_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(photo), str(copy / "data")],
        cwd=copy,
        env={**environment, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.slow
def test_it_is_in_the_catalogue_with_its_paper_and_its_options(answers: dict[str, Any]) -> None:
    assert answers["catalog"]["status"] == 200
    entries = {entry["name"]: entry for entry in answers["catalog"]["body"]["modules"]}
    assert set(entries) > {"se", "eca"}
    entry = entries[NAME]
    assert entry["title"].startswith("Contrast-aware channel attention")
    assert "https://arxiv.org/abs/1909.11856" in entry["papers"]
    assert entry["gates"] == ["channel"]
    reduction = entry["options"]["properties"]["reduction"]
    assert (reduction["type"], reduction["default"], reduction["minimum"]) == ("integer", 16, 1)
    assert reduction["description"] == "Bottleneck width is C // reduction."


@pytest.mark.slow
def test_it_is_on_the_bill(answers: dict[str, Any]) -> None:
    assert answers["cost"]["status"] == 200
    resnet50, resnet20 = answers["cost"]["body"]["variants"]
    # Two layers with biases a block: 2 C^2 / r + C + C / r, as SE with biases, for ResNet-50's 3, 4, 6, 3 blocks.
    expected = sum(n * (2 * c * c // 16 + c + c // 16) for n, c in ((3, 256), (4, 512), (6, 1024), (3, 2048)))
    assert resnet50["attention"]["parameters"] == resnet50["delta"]["parameters"] == expected
    assert resnet50["modules"] == 16
    assert resnet20["attention"]["parameters"] == 3 * (2 * 64 * 16 + 64 + 16)
    assert resnet20["attention"]["macs"] == 3 * 2 * 64 * 16
    assert resnet20["not_counted"] == []


@pytest.mark.slow
def test_it_is_compared_and_its_gates_are_seen(answers: dict[str, Any]) -> None:
    assert answers["compare"]["status"] == 200, answers["compare"]["body"]
    body = answers["compare"]["body"]
    plain, ours = body["variants"]
    assert f"/{NAME}(reduction=4)" in ours["name"]
    assert ours["trained"] is False
    assert ours["warning"]
    assert ours["parameters"] - plain["parameters"] == ours["attention_parameters"] > 0
    none, seen = body["predictions"]
    assert none["gates"] == []
    assert len(seen["top"]) == 3
    assert [gate["kind"] for gate in seen["gates"]] == ["channel"] * 9
    assert [len(values) for values in seen["values"]] == [16] * 3 + [32] * 3 + [64] * 3
    assert all(0 < value < 1 for values in seen["values"] for value in values)
    assert any(gate["std"] > 0 for gate in seen["gates"])


@pytest.mark.slow
def test_a_misspelt_option_of_it_is_explained(answers: dict[str, Any]) -> None:
    assert answers["wrong"]["status"] == 422
    assert "Did you mean 'reduction'?" in answers["wrong"]["body"]["detail"]


def test_the_example_is_in_the_style_it_preaches(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.py"
    path.write_text(example(), "utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--config", str(ROOT / "pyproject.toml"), "--config", 'lint.isort.known-first-party=["attention"]']
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = subprocess.run([*ruff, *command, *options, str(path)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", [NAME, "scse"])
def test_a_new_module_is_under_contract_whatever_its_name(name: str, tmp_path: Path) -> None:
    """``scse`` is spelled like ``se``, and nothing that is asked for by that name may change."""
    for package in ("attention", "tests"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    text = example().replace(f'"{NAME}"', f'"{name}"')
    (tmp_path / "attention" / "modules" / f"{name}.py").write_text(text, "utf-8")
    asked = ["tests/attention/modules/test_contract.py", "-k", name]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-m", "", *asked],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"test_it_exports_with_a_free_batch_and_equal_logits[{name}] PASSED" in done.stdout
