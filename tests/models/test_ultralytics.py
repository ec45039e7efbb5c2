"""YOLO of ultralytics and networks of pretrainedmodels: their gates, modules attached to them, and their bill."""

import importlib
from typing import Any

import pytest
import torch
from torch import nn

from attention.attach import attach
from attention.counting.model_cost import count
from attention.watch import watch
from tests.models.zoo import library, made, ramp

pytestmark = [pytest.mark.models, pytest.mark.slow]


def yolo(name: str) -> nn.Module:
    """A detector made from one of the configurations that ultralytics ships."""
    library("ultralytics")
    tasks: Any = importlib.import_module("ultralytics.nn.tasks")
    return made(lambda: tasks.DetectionModel(f"{name}.yaml", verbose=False))


def first(output: Any) -> torch.Tensor:
    """The boxes of a detector's output."""
    return output if isinstance(output, torch.Tensor) else first(output[0])


@pytest.mark.parametrize("name", ["yolov5n", "yolov8n", "yolov10n", "yolo11n", "yolo12n", "yolo26n"])
def test_no_shipped_yolo_has_gates(name: str) -> None:
    assert not watch(yolo(name), (3, 320, 320)).gates


def test_attached_behind_stages_of_a_yolo_it_changes_no_bit() -> None:
    model, x = yolo("yolov8n"), ramp(320)
    with torch.no_grad():
        bare = first(model(x))
        attached = attach(model, ["model.4", "model.6", "model.9"], "eca", kernel_size=3, example=x)
        assert sum(parameter.numel() for parameter in model.parameters()) == 3_157_212
        assert torch.equal(first(model(x)), bare)
    attached.remove()
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_157_200


def test_ultralytics_own_cbam_is_found_where_it_was_attached() -> None:
    model = yolo("yolov8n")
    cbam = importlib.import_module("ultralytics.nn.modules.conv").CBAM
    attach(model, "model.9", cbam, start="published", example=ramp(320))
    gates = watch(model, (3, 320, 320)).gates
    assert [(gate.kind, gate.shape, gate.mechanism) for gate in gates] == [
        ("channel", (1, 256, 1, 1), "cbam"),
        ("spatial", (1, 1, 10, 10), "cbam"),
    ]


def test_the_bill_of_a_yolo_is_that_of_torchs_counter() -> None:
    bill = count(yolo("yolov8n"), 640)
    assert (bill.total.parameters, bill.total.macs) == (3_157_200, 4_371_993_600)


def test_every_module_of_pretrainedmodels_is_found_and_named() -> None:
    models = library("pretrainedmodels")
    model = made(lambda: models.se_resnet50(num_classes=1000, pretrained=None))
    modules = [path for path, module in model.named_modules() if type(module).__name__ == "SEModule"]
    gates = watch(model, 224).gates
    assert [gate.path for gate in gates] == modules and len(modules) == 16
    assert {(gate.kind, gate.activation, gate.mechanism) for gate in gates} == {("channel", "sigmoid", "se")}
