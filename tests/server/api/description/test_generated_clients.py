"""Clients generated from the description of the API: each makes a typed call, and no two schemas share a name."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from attention.data.files import samples
from benchmarks.load.overload import running
from server.app import create_app
from server.settings import Settings

WITHIN_S = 300

IN_PYTHON = """
import sys

from attention_client import Client
from attention_client.api.analyses import compare
from attention_client.models import CompareRequest, Comparison, VariantFields

address, image = sys.argv[1:]
fields = VariantFields(backbone="resnet20", attention="se")
question = CompareRequest(images=[image], variants=["none", fields], top_k=2)
report = compare.sync(client=Client(base_url=address, raise_on_unexpected_status=True), body=question)
assert isinstance(report, Comparison), report
for prediction in report.predictions:
    print(prediction.variant, prediction.top[0].probability)
"""

IN_TYPESCRIPT = """
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];
const [address, image] = process.argv.slice(2) as [string, string];
const fields: Schemas["VariantFields"] = { backbone: "resnet20", attention: "se" };
const question: Schemas["CompareRequest"] = { images: [image], variants: ["none", fields], top_k: 2 };
const { data, error } = await createClient<paths>({ baseUrl: address }).POST("/v1/compare", { body: question });
if (error !== undefined) throw new Error(error.detail);
const report: Schemas["Comparison"] = data;
for (const prediction of report.predictions) console.log(prediction.variant, prediction.top[0]?.probability);
"""

WRONG = IN_TYPESCRIPT.replace("top_k: 2", 'top_k: "two"')

OPTIONAL = "--default-non-nullable=false"
"""What has a default may be left out of a question."""

TSC = ("--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext", "--types", "node")


def described(folder: Path) -> dict[str, Any]:
    whole: dict[str, Any] = create_app(Settings(data=folder, device="cpu")).openapi()
    return whole


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WITHIN_S)


def expect(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines that a command printed.

    Raises:
        AssertionError: it failed.
    """
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("data"), device="cpu", threads=1, jobs=0) as service:
        yield f"http://127.0.0.1:{service.port}"


def expected(address: str) -> list[str]:
    """What each client prints, from the answer to a question as plain JSON."""
    asked = {"images": [samples()[0].id], "variants": ["none", "resnet20/se"], "top_k": 2}
    report = httpx2.post(f"{address}/v1/compare", json=asked, timeout=60).raise_for_status().json()
    return [f"{network['variant']} {network['top'][0]['probability']}" for network in report["predictions"]]


def objects(value: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object inside JSON, with its path."""
    if isinstance(value, dict):
        yield where, value
        for key, inside in value.items():
            yield from objects(inside, f"{where}/{key}")
    elif isinstance(value, list):
        for number, inside in enumerate(value):
            yield from objects(inside, f"{where}/{number}")


@pytest.mark.full
def test_every_schema_has_one_name_which_is_its_title_and_an_identifier(tmp_path: Path) -> None:
    whole = described(tmp_path)
    schemas = whole["components"]["schemas"]
    assert {name: schema["title"] for name, schema in schemas.items()} == {name: name for name in schemas}
    assert all(re.fullmatch("[A-Z][A-Za-z0-9]*", name) for name in schemas)
    assert len({name.lower() for name in schemas}) == len(schemas)  # files of generated clients are called so
    named = {schema["$ref"].rpartition("/")[2] for _, schema in objects(whole) if "$ref" in schema}
    assert named <= schemas.keys()
    assert described(tmp_path) == whole  # the second app of a process says the same


@pytest.mark.full
def test_an_object_inside_a_union_has_a_name(tmp_path: Path) -> None:
    for where, schema in objects(described(tmp_path)):
        for kind in ("anyOf", "oneOf"):
            options = schema.get(kind, [])
            if isinstance(options, list):
                assert not any("properties" in option for option in options), where


@pytest.mark.full
def test_the_unions_of_jobs_and_of_reports_have_names(tmp_path: Path) -> None:
    schemas = described(tmp_path)["components"]["schemas"]
    told_apart = schemas["AnyJob"]["discriminator"]
    for analysis, reference in told_apart["mapping"].items():
        job = schemas[reference.rpartition("/")[2]]
        assert job["properties"][told_apart["propertyName"]]["const"] == analysis
    assert {"$ref": "#/components/schemas/Comparison"} in schemas["AnyReport"]["anyOf"]


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("openapi_python_client") is None,
    reason="openapi-python-client is not installed: pip install 'attention-lab[dev]'",
)
def test_a_generated_python_client_makes_a_typed_call(tmp_path: Path, address: str) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(described(tmp_path)))
    generate = ("-m", "openapi_python_client", "generate", "--path", "openapi.json", "--output-path", "client")
    lines = expect(run(sys.executable, *generate, folder=tmp_path))
    left_out = {line for line in lines if line.startswith("WARNING parsing")}
    assert all("/v1/images" in line for line in left_out)  # it has no notion of image/*; all else is there
    client = tmp_path / "client"
    (client / "ask.py").write_text(IN_PYTHON)
    assert expect(run(sys.executable, "ask.py", address, samples()[0].id, folder=client)) == expected(address)


@pytest.mark.slow
def test_a_generated_typescript_client_is_strict_and_makes_a_typed_call(tmp_path: Path, address: str) -> None:
    if shutil.which("npm") is None:
        pytest.skip("There is no Node here, which TypeScript needs: install Node 20 or later.")
    (tmp_path / "package.json").write_text('{"type": "module", "private": true}')
    packages = ("typescript@5", "openapi-typescript@7", "openapi-fetch@0.14", "@types/node@20")
    installed = run("npm", "install", "--no-audit", "--no-fund", *packages, folder=tmp_path)
    if installed.returncode:
        pytest.skip(f"npm cannot install TypeScript here: {installed.stderr.strip()[:200]}")
    (tmp_path / "openapi.json").write_text(json.dumps(described(tmp_path)))
    expect(run("npx", "openapi-typescript", "openapi.json", "--output", "schema.d.ts", OPTIONAL, folder=tmp_path))
    (tmp_path / "wrong.ts").write_text(WRONG)
    refused = run("npx", "tsc", *TSC, "--noEmit", "wrong.ts", folder=tmp_path)
    assert "Type 'string' is not assignable to type 'number'" in refused.stdout
    (tmp_path / "ask.ts").write_text(IN_TYPESCRIPT)
    expect(run("npx", "tsc", *TSC, "ask.ts", folder=tmp_path))
    assert expect(run("node", "ask.js", address, samples()[0].id, folder=tmp_path)) == expected(address)
