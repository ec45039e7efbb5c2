"""The library's lab and the service are two ways to one answer: every analysis of the shelf gives the same by both."""

import asyncio
import csv
import io
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attention.analyses import analyses, question, request_type
from attention.data.files import samples
from attention.lab import Lab
from attention.spec import Request
from server.engine.local import LocalEngine
from server.settings import Settings

PHOTOS = tuple(sample.id for sample in samples()[:2])
PETS = {"data": "pets", "limit": 4}
TIMED = ("latency", "plan")
"""Analyses whose report is about how long something takes, so that no two are equal."""

ARMS = ("resnet20(width=4)/none", "resnet20(width=4)/eca")
RECIPE = {"epochs": 1, "batch_size": 4, "lr": 0.05, "crop_padding": 0}

ASKED: dict[str, Any] = {
    "image": PHOTOS[0],
    "images": PHOTOS,
    "pictures": PHOTOS,
    "photos": PHOTOS,
    "own": PETS,
    "variant": "eca",
    "variants": ("none", "eca"),
    "gate": "layer1.0.standard.0.gate",
    "recipe": RECIPE,
    "differences": {"eca": (0.1, 0.4, 0.2, 0.3, 0.1, 0.2)},
    "backbone": "resnet20",
    "groups": ("eca_controls",),
    "seeds": 1,
    "size": 8,
    "rounds": 0,
    "kinds": ("mean", "other_image", "scalar"),
    "channels": 2,
    "data": "pets",
}
"""Values of fields by name, for a small question of any analysis."""

OTHERS: dict[str, dict[str, Any]] = {
    "latency": {"variants": ARMS, "baseline": ARMS[0], "rounds": 20},
    "study": {"variants": ARMS},
    "export": {"format": "safetensors"},
    "scale": {"variant": "resnet20(width=4)/sk@spatial:3"},
    "sweep": {"images": PETS},
    "interaction": {"channels": 64},
    "excitation": {"channels": 8},
    "effects": {"kinds": ("mean", "scalar")},
    "influence": {"channels": 8},
    "permutation": {"channels": 64, "variants": ("eca",)},
    "maps": {"channels": (0, 1)},
    "out_of_distribution": {"own": {"data": "pets", "limit": 20}},
    "plan": {"study": {"data": "pets", "size": 8, "variants": ARMS, "recipe": RECIPE, "seeds": 3}},
}
"""Where the value of a field depends on the analysis."""


def asked_of(name: str) -> Request[Any]:
    """A small question of an analysis."""
    fields = request_type(analyses[name]).model_fields
    return question(name, **{field: ASKED[field] for field in fields if field in ASKED} | OTHERS.get(name, {}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for split, count in (("train", 4), ("test", 10)):
        for number, label in enumerate(("cat", "dog")):
            for index in range(count):
                rng = np.random.default_rng(100 * number + index + (50 if split == "test" else 0))
                path = root / "datasets" / "pets" / split / label / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
    return root


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(Settings(data=folder, device="cpu", threads=1))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def lab(folder: Path) -> Lab:
    return Lab(folder, device="cpu")


def alike(one: Any, other: Any, where: str) -> None:
    """Two pieces of JSON are the same, but for seconds and the last digits of float32."""
    if isinstance(other, dict):
        assert one.keys() == other.keys(), where
        for key in other.keys() - {"seconds", "conditions"}:
            alike(one[key], other[key], f"{where}.{key}")
    elif isinstance(other, list):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            alike(*pair, f"{where}[{number}]")
    elif isinstance(other, float):
        assert math.isclose(one, other, rel_tol=2e-3, abs_tol=2e-4), (where, one, other)
    else:
        assert one == other, where


@pytest.mark.full
@pytest.mark.parametrize("name", [name for name in analyses if name != "weights/fetch"])  # that needs a network
def test_the_library_answers_what_the_service_answers(name: str, lab: Lab, engine: LocalEngine) -> None:
    request = asked_of(name)
    report = lab.ask(request)
    served = request.report.model_validate_json(asyncio.run(engine.answer(request)))
    assert type(report) is type(served) is request.report
    if name not in TIMED:
        alike(report.model_dump(mode="json"), served.model_dump(mode="json"), name)
    shows_itself(report)


def shows_itself(report: Any) -> None:
    """Every table of a report can be written in every form, and the report fits on a screen."""
    for table in report.tables():
        rows = list(csv.reader(io.StringIO(report.csv(table.name))))
        assert len(rows) == 1 + len(table.rows) and {len(row) for row in rows} == {len(table.columns)}
        assert len(set(table.names)) == len(table.names) and table.caption
        lines = report.markdown(table.name).splitlines()
        wide = {re.sub(r"\\\|", "", line).count("|") for line in lines[: 2 + len(table.shown.rows)]}
        assert wide == {len(table.shown.head) + 1}
        latex = re.sub(r"\\[{}]", "", report.latex(table.name))
        assert latex.count("{") == latex.count("}") and "nan" not in latex
        assert list(report.frame(table.name).columns) == list(table.names)
        if table.bars is not None:
            drawn = {table.bars.label, table.bars.value, table.bars.low, table.bars.high, table.bars.colour} - {""}
            assert drawn <= set(table.names)
    lines = repr(report).splitlines()
    assert len(lines) <= 20 and max(map(len, lines)) <= 100
    assert "<table>" in report._repr_html_()
