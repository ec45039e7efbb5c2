"""Export: what is written answers as the network does, and what does not is not kept."""

import json
import os
import stat
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attention.analyses.export import SUFFIXES
from attention.attach import attach
from attention.build import build
from attention.commands import main
from attention.errors import InvalidRequest
from attention.modules import modules
from attention.network import describe
from attention.reports.export import ExportCard, Format
from attention.running.export import FORMATS, About, export
from attention.running.hub_layout import configuration, save_pretrained
from attention.spec import Preprocess, Variant
from attention.weights.find import Checkpoints
from tests.attention.weights.checkpoint_files import logits, randomised, trained

NEEDS = ("onnx", "onnxscript", "onnxruntime")
needs_onnx = pytest.mark.skipif(
    any(find_spec(name) is None for name in NEEDS), reason="needs ONNX: pip install 'attention-lab[onnx]'"
)


class Small(nn.Module):
    """A convolution, a gate and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.gate = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        return self.fc(x.relu().mean((2, 3)))


class Attending(nn.Module):
    """A convolution, an attention module and a classifier."""

    def __init__(self, attention: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.attention = modules[attention](16)
        self.fc = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.attention(self.conv(x)).relu().mean((2, 3)))


class OfOneSize(Small):
    """A classifier that looks at every place for itself, so that images have one size only."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4 * 16 * 16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).flatten(1))


class Drifting(Small):
    """A network that a graph does not follow: every call adds what the calls before have counted."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x) + float(self.calls)


@pytest.mark.full
def test_a_program_of_torch_takes_any_batch_and_size_and_answers_alike(tmp_path: Path) -> None:
    model = Small().train()
    model.gate.eval()
    card = export(model, tmp_path / "net.pt2", 16)
    assert card.free_batch and card.free_size and card.largest_difference < 1e-5
    assert [(check.images, check.size) for check in card.checks] == [(2, 16), (3, 16), (2, 48)]
    assert model.training and not model.gate.training
    program = torch.export.load(tmp_path / "net.pt2").module()
    images = torch.randn(5, 3, 40, 24)
    with torch.no_grad():
        torch.testing.assert_close(program(images), model(images))
    assert ExportCard.model_validate_json((tmp_path / "net.json").read_bytes()) == card


def test_every_format_has_an_ending_of_files() -> None:
    assert set(SUFFIXES) == set(FORMATS.values()) == set(get_args(Format))
    assert len(set(SUFFIXES.values())) == len(SUFFIXES)


@pytest.mark.full
def test_a_network_of_one_size_says_so(tmp_path: Path) -> None:
    card = export(OfOneSize(), tmp_path / "net.pt2", 16)
    assert card.free_batch and not card.free_size and len(card.checks) == 2


@pytest.mark.full
def test_an_input_that_is_not_square_stays_so(tmp_path: Path) -> None:
    card = save_pretrained(Small(), tmp_path / "net", (16, 24), About())
    assert [check.size for check in card.checks] == [(16, 24), (16, 24), (48, 56)]
    said = json.loads((tmp_path / "net" / "config.json").read_bytes())
    assert said["pretrained_cfg"]["input_size"] == [3, 16, 24] and said["pretrained_cfg"]["crop_pct"] == 1
    tall = card.model_copy(update={"preprocess": Preprocess(size=320, width=224, resize=256)})
    assert configuration(tall)["pretrained_cfg"]["crop_pct"] == 0.875  # of the shorter side
    words = ["export", "vgg11_small(width=0.25)/none", "-o", str(tmp_path / "vgg.safetensors"), "--size", "32x48"]
    assert main([*words, "--data", str(tmp_path / "data")]) == 0
    assert ExportCard.model_validate_json((tmp_path / "vgg.json").read_bytes()).size == (32, 48)


@pytest.mark.full
def test_all_files_of_a_hub_folder_and_every_export_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save_pretrained(Small(), tmp_path / "net", 16, About())
        export(Small(), tmp_path / "net.pt2", 16)
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 5 and {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}


@pytest.mark.full
def test_what_answers_something_else_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"answers otherwise than torch|cannot be exported as one graph"):
        export(Drifting(), tmp_path / "net.pt2", 16)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
def test_what_depends_on_values_cannot_be_one_graph(tmp_path: Path) -> None:
    class Undecided(Small):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.sum() > 0 else super().forward(-x)

    with pytest.raises(InvalidRequest, match="cannot be exported as one graph"):
        export(Undecided(), tmp_path / "net.pt2", 16)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
@needs_onnx
def test_onnx_answers_alike_in_its_own_runtime(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model = Small()
    card = export(model, tmp_path / "net.onnx", 16)
    assert card.free_batch and card.free_size and card.opset and card.runtime.startswith("onnxruntime")
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    images = torch.randn(5, 3, 40, 24)
    (answer,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        assert np.allclose(answer, model(images).numpy(), atol=1e-5)


@needs_onnx
@pytest.mark.full
@pytest.mark.parametrize("attention", ["se", "eca", "cbam", "gc", "coord", "simam"])
def test_attention_is_onnx_with_a_free_batch(tmp_path: Path, attention: str) -> None:
    assert export(randomised(Attending(attention)), tmp_path / "net.onnx", 16).free_batch


@pytest.mark.full
def test_a_network_with_attention_attached_is_exported_with_it(tmp_path: Path) -> None:
    model = Small()
    handle = attach(model, "conv", "se", start="published", reduction=2)
    with torch.no_grad():
        for parameter in model.get_submodule("attached").parameters():
            parameter.normal_()
    card = export(model, str(tmp_path / "net.pt2"), 16)
    images = torch.randn(5, 3, 16, 16)
    with torch.no_grad():
        attached = model(images)
        torch.testing.assert_close(torch.export.load(tmp_path / "net.pt2").module()(images), attached)
        handle.remove()
        assert not torch.allclose(model(images), attached)
    assert card.free_batch


@needs_onnx
@pytest.mark.slow
def test_a_whole_network_with_attention_is_onnx_with_a_free_batch(tmp_path: Path) -> None:
    assert export(trained("resnet20/se"), tmp_path / "net.onnx", 32).free_batch


@pytest.mark.full
def test_safetensors_hold_the_weights_and_the_hubs_layout_reads_back(tmp_path: Path) -> None:
    model, labels = trained("resnet20/se?classes=10"), tuple("abcdefghij")
    how = Preprocess(size=32, resize=36, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), filter="bilinear", mode="squash")
    about = About(Variant.parse("resnet20/se?classes=10"), how, labels)
    card = save_pretrained(model, tmp_path / "me" / "net", 32, about, "apache-2.0")
    assert card.format == "safetensors" and card.largest_difference == 0
    assert sorted(path.name for path in (tmp_path / "me" / "net").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]

    def fetch(repository: str, file: str, revision: str | None) -> Path | None:
        return tmp_path / repository / file

    variant, checkpoints = Variant.parse("resnet20/se?classes=10&weights=hub:me/net"), Checkpoints(fetch=fetch)
    assert torch.equal(logits(build(variant, checkpoints)), logits(model))
    assert describe(variant, checkpoints).preprocess == how
    assert describe(variant, checkpoints).labels == labels
    said = json.loads((tmp_path / "me" / "net" / "config.json").read_bytes())
    assert said["num_classes"] == 10 and said["pretrained_cfg"]["interpolation"] == "bilinear"
    assert "license: apache-2.0" in (tmp_path / "me" / "net" / "README.md").read_text()


@pytest.mark.parametrize("name", ["net", "me/", "a/b/c"])
def test_a_repository_that_cannot_be_one_is_told_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["export", "resnet20/eca?weights=shipped", "-o", str(tmp_path / "net"), "--hub", name]) == 2
    assert f"{name!r} is no repository of the hub. Write owner/name." in capsys.readouterr().err
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    ("example", "channels"),
    [((1, 12, 16), 1), (torch.zeros(1, 3, 12, 16), 3), ((12, 16), 3)],
    ids=["CHW", "batch", "HW"],
)
def test_an_example_says_channels_height_and_width(tmp_path: Path, example: Any, channels: int) -> None:
    card = export(nn.Conv2d(channels, 2, 3), tmp_path / "net.safetensors", example)
    assert (card.size, card.outputs, card.largest_difference) == ((12, 16), ((1, 2, 10, 14),), 0)


@pytest.mark.parametrize("example", [(torch.zeros(1, 3, 8, 8), torch.zeros(1)), torch.zeros(8, 8)], ids=["two", "map"])
def test_what_says_no_size_of_an_image_gets_a_sentence(tmp_path: Path, example: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"give a side, \(H, W\), \(C, H, W\) or a batch"):
        export(Small(), tmp_path / "net.pt2", example)


def test_a_module_under_two_names_is_exported(tmp_path: Path) -> None:
    """Weights that two names share are two tensors in a file of safetensors."""
    module = nn.Conv2d(3, 3, 1)
    assert export(nn.Sequential(module, module), tmp_path / "net.safetensors", 8).largest_difference == 0


@pytest.mark.parametrize("name", ["net.pth", "net.tflite"])
def test_an_unknown_ending_gets_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"Take \.onnx, \.pt2, \.safetensors"):
        export(Small(), tmp_path / name, 16)


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(b"mine")
    with pytest.raises(InvalidRequest, match="is there already"):
        export(Small(), tmp_path / "net.pt2", 16)
    assert (tmp_path / "net.pt2").read_bytes() == b"mine"


@pytest.mark.full
def test_the_command_exports_a_shipped_network_and_says_how_it_was_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = "resnet20/eca?weights=shipped"
    assert main(["export", network, "-o", str(tmp_path / "eca.safetensors"), "--data", str(tmp_path / "data")]) == 0
    assert "outputs differ by at most 0.0e+00 from torch" in capsys.readouterr().out
    card = ExportCard.model_validate_json((tmp_path / "eca.json").read_bytes())
    assert card.labels[3] == "cat" and card.variant and card.variant.attention == "eca"
    assert main(["export", network, "-o", str(tmp_path / "x.pt2"), "--hub", "me/net"]) == 2
