"""What is shipped is what is meant: light imports stay light, images hold what they need, and files agree."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("attention", "attention_lab", "server", "dashboard")
HEAVY = ("torch", "torchvision", "fastapi", "sqlalchemy", "safetensors")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
DASHBOARD = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "dashboard").rglob("[!_]*.py")
    if path.stem != "app" and not path.read_text("utf-8").startswith('""":material/')
)
"""What the pages are made of; the app and the pages themselves are scripts."""

LOADED = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""
"""Imports what it is told to, and prints all that came along."""

BLOCKED = f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r})); "
"""As if nothing heavy were installed."""


def loaded_by(*modules: str) -> set[str]:
    """Every module that importing some brings along, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *modules], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


REPORTS = sorted(
    ".".join(path.relative_to(ROOT / "attention").with_suffix("").parts)
    for path in (ROOT / "attention" / "reports").rglob("[a-z]*.py")
)
PLAIN = (
    *("spec", "names", "errors", "precision", "reports", "registry", "registry.aliases", "registry.options"),
    *("reports.parts", "reports.writing", *REPORTS),
)
"""The files of the library that are plain data: questions, answers, errors."""


@pytest.mark.parametrize("module", [*(f"attention.{name}" for name in PLAIN), "attention.schemas"])
def test_plain_data_loads_pydantic_and_nothing_heavy(module: str) -> None:
    loaded = loaded_by(module)
    assert not loaded & {*HEAVY, "numpy", "PIL", "streamlit", "starlette"}
    assert not {name for name in loaded if name.startswith("server")}


@pytest.mark.full
def test_the_dashboard_loads_no_torch_and_no_web_framework_of_the_server() -> None:
    loaded = loaded_by(*DASHBOARD)
    assert set(DASHBOARD) <= loaded
    assert not loaded & set(HEAVY)
    ours = {name for name in loaded if name.split(".")[0] in ("attention", "server")}
    assert ours <= {"attention", *(f"attention.{name}" for name in (*PLAIN, "schemas", "client", "photos", "progress"))}


@pytest.mark.parametrize("package", ["server", "dashboard"])
def test_a_top_package_only_says_what_it_is(package: str) -> None:
    body = ast.parse((ROOT / package / "__init__.py").read_text("utf-8")).body
    assert [type(statement) for statement in body] == [ast.Expr]


def test_the_face_of_the_library_loads_what_is_asked_for_and_no_sooner() -> None:
    loaded = loaded_by("attention")
    assert not loaded & {*HEAVY, "numpy", "pydantic"}
    assert {name for name in loaded if name.startswith("attention.")} == set()


@pytest.mark.full
def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools.build_meta import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {build}", str(tmp_path)],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / done.stdout.splitlines()[-1]) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = [path for package in PACKAGES for path in (source / package).rglob("*") if path.is_file()]
    assert held == {path.relative_to(source).as_posix() for path in files}


def test_every_pin_satisfies_what_the_project_asks_for() -> None:
    pins = {
        Requirement(line).name.lower(): str(Requirement(line).specifier).removeprefix("==")
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    }
    asked = [*PROJECT["project"]["dependencies"], *chain(*PROJECT["project"]["optional-dependencies"].values())]
    for requirement in map(Requirement, asked):
        if requirement.name.lower() in pins:
            assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement
    assert pins["torch"] == "2.13.0"  # no build of its own: the CPU and the CUDA one both fit


def stage(name: str) -> list[list[str]]:
    """The COPY instructions of one image in the Dockerfile, as words without the instruction."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    body = re.split(r"^FROM .*$", text, flags=re.M)[1:]
    names = re.findall(r"^FROM \S+ AS (\S+)$", text, re.M)
    lines = dict(zip(names, body, strict=True))[name].splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("COPY ")]


def lay_out(image: str, folder: Path) -> None:
    """Put into a folder what the Dockerfile copies into an image's /app."""
    for *sources, target in stage(image):
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (folder / target).mkdir(exist_ok=True)
                shutil.copy(ROOT / source, folder / target)


@pytest.mark.full
@pytest.mark.parametrize(
    ("image", "blocked", "check"),
    [
        ("api", "", "from server.app import create_app; create_app()"),
        ("dashboard", BLOCKED, f"import {', '.join(DASHBOARD)}"),
    ],
)
def test_an_image_holds_all_that_its_program_imports(image: str, blocked: str, check: str, tmp_path: Path) -> None:
    lay_out(image, tmp_path)
    code = (
        f"{blocked}import sys; sys.path.insert(0, {str(tmp_path)!r}); {check}; print(sys.modules['attention'].__file__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "attention" / "__init__.py")


def test_the_images_do_not_run_as_root_and_say_how_they_are() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    for name in ("api", "dashboard"):
        body = text.split(f"AS {name}\n")[1].split("\nFROM ")[0]
        assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", body, re.M)
        assert "HEALTHCHECK" in body
    assert "torch" not in text.split("AS dashboard\n")[1].replace("no torch", "")


def test_the_builder_is_given_every_file_that_the_dockerfile_copies() -> None:
    given = [line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for *sources, _ in (words for name in ("base", "api", "dashboard") for words in stage(name)):
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in given, source


def test_the_architecture_has_the_layers_of_the_import_contracts() -> None:
    text = " ".join((ROOT / "docs" / "architecture.md").read_text("utf-8").split())
    for contract in PROJECT["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            assert f"{contract['containers'][0]} {' / '.join(contract['layers'])}" in text


def test_every_page_of_the_documentation_is_in_its_contents() -> None:
    contents = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]))
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert contents == pages - {"pages/README.md"}  # of the pictures beside it


def test_links_between_the_documents_lead_somewhere() -> None:
    for document in ("README.md", "README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / document).read_text("utf-8")
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / link).exists(), f"{document}: {link}"
