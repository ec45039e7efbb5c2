"""Conversion: any training script's checkpoint becomes safetensors, and what cannot be read gets a sentence."""

import argparse
import hashlib
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attention.build import build
from attention.commands import main
from attention.errors import AttentionError, BadCheckpoint, InvalidRequest
from attention.reports.parts.checkpoints import Conversion
from attention.spec import Variant
from attention.weights.convert import convert
from attention.weights.find import Checkpoints
from tests.attention.weights.checkpoint_files import Bomb, logits, trained, write

NAME = "resnet20/se(reduction=4)"


def state(prefix: str = "", seed: int = 0) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value.clone() for name, value in trained(NAME, seed).state_dict().items()}


def loads(folder: Path, stem: str, seed: int = 0) -> None:
    """The converted file gives the logits of the network that was saved."""
    loaded = build(Variant.parse(f"{NAME}?weights=file:{stem}"), Checkpoints(folder))
    assert torch.equal(logits(loaded), logits(trained(NAME, seed)))


def wrapped(kind: str) -> Any:
    """A checkpoint as training scripts save it."""
    options = argparse.Namespace(lr=0.1, arch="resnet20")
    return {
        "bare": state(),
        "reference script": {"epoch": 9, "arch": "x", "state_dict": state("module."), "best_prec1": 77.4},
        "options and numpy's numbers": {"model": state(), "args": options, "best": np.float64(0.7), "n": np.int64(3)},
        "lightning": {"state_dict": state("net."), "hyper_parameters": {"lr": 0.1}, "pytorch-lightning_version": "2"},
        "optimizer beside": {
            "model_state_dict": state("_orig_mod."),
            "optimizer_state_dict": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 1}]},
        },
        "deeper": {"checkpoint": {"trainer": {"weights": state("student.cnn.")}}},
        "parameters": {name: nn.Parameter(value, requires_grad=False) for name, value in state().items()},
        "channels last": {
            name: value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value
            for name, value in state().items()
        },
    }[kind]


@pytest.mark.full
@pytest.mark.parametrize(
    "kind",
    [
        "bare",
        "reference script",
        "options and numpy's numbers",
        "lightning",
        "optimizer beside",
        "deeper",
        "parameters",
        "channels last",
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_training_scripts_save_becomes_a_file_that_loads(tmp_path: Path, kind: str, zipped: bool) -> None:
    torch.save(wrapped(kind), tmp_path / "last.pth.tar", _use_new_zipfile_serialization=zipped)
    path, card = convert(tmp_path / "last.pth.tar")
    assert path == tmp_path / "last.safetensors"
    assert card.tensors == len(state()) and card.converted_from == "last.pth.tar"
    assert card.sha256 == hashlib.sha256((tmp_path / "last.pth.tar").read_bytes()).hexdigest()
    loads(tmp_path, "last")


def test_shared_and_sliced_tensors_get_memory_of_their_own(tmp_path: Path) -> None:
    tensors = state()
    storage = torch.cat([tensors["fc.bias"], tensors["fc.bias"]])
    torch.save({**tensors, "fc.bias": storage[:10]}, tmp_path / "shared.pt")
    path, _ = convert(tmp_path / "shared.pt")
    loads(tmp_path, "shared")
    assert path.stat().st_size < 4 * sum(value.numel() for value in tensors.values()) + 40_000


@pytest.mark.full
def test_of_two_sets_of_weights_the_trained_ones_are_taken_and_the_others_named(tmp_path: Path) -> None:
    torch.save({"model_ema": state(seed=1), "state_dict": state(), "epoch": 3}, tmp_path / "run.ckpt")
    _, card = convert(tmp_path / "run.ckpt")
    assert (card.key, card.others) == ("state_dict", ("model_ema",))
    loads(tmp_path, "run")
    _, card = convert(tmp_path / "run.ckpt", tmp_path / "averaged", key="model_ema")
    assert card.key == "model_ema"
    loads(tmp_path, "averaged", seed=1)
    with pytest.raises(BadCheckpoint, match=r"has no weights under 'ema'. There are: 'model_ema', 'state_dict'"):
        convert(tmp_path / "run.ckpt", tmp_path / "no", key="ema")


@pytest.mark.full
def test_names_are_replaced_as_told_and_never_by_another_tensor(tmp_path: Path) -> None:
    odd = {name.replace("standard.0.", "riddle."): value for name, value in state().items()}
    torch.save(odd, tmp_path / "odd.pt")
    _, card = convert(tmp_path / "odd.pt", rename=[("riddle.", "standard.0.")])
    assert card.renamed == (("riddle.", "standard.0."),)
    loads(tmp_path, "odd")
    with pytest.raises(InvalidRequest, match="Two tensors would be called"):
        convert(tmp_path / "odd.pt", tmp_path / "twice", rename=[("layer1.0", "layer1.1")])


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "net.pt")
    (tmp_path / "net.safetensors").write_bytes(b"mine")
    with pytest.raises(InvalidRequest, match=r"net\.safetensors is there already"):
        convert(tmp_path / "net.pt")
    assert (tmp_path / "net.safetensors").read_bytes() == b"mine"


def not_finite() -> dict[str, Tensor]:
    return {**state(), "fc.bias": torch.full((10,), torch.nan)}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (Bomb(), "holds more than tensors and plain values"),
        ({"state_dict": state(), "callback": Bomb()}, "holds more than tensors and plain values"),
        (nn.Linear(2, 2), "holds more than tensors and plain values (torch.nn.modules.linear.Linear)"),
        ({"epoch": 3}, "holds no weights"),
        ([torch.ones(3)], "holds no weights"),
        (torch.ones(3), "holds no weights"),
        ({"a": torch.ones(3, dtype=torch.int32)}, "holds no tensors of floats"),
        (not_finite(), "Not every number of fc.bias is finite"),
    ],
)
def test_what_holds_no_usable_weights_is_refused_and_nothing_is_written(
    tmp_path: Path, content: Any, sentence: str
) -> None:
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(AttentionError) as caught:
        convert(tmp_path / "net.pt")
    assert sentence in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"] and not Bomb.went_off


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"0" * 90, b"PK\x03\x04" + b"x" * 80, b"\x80\x02}q\x00X" + b"\xff" * 30],
)
def test_what_is_no_checkpoint_gets_a_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "net.pt").write_bytes(data)
    with pytest.raises(BadCheckpoint, match=r"net\.pt is no checkpoint of torch's or safetensors', or it is damaged"):
        convert(tmp_path / "net.pt")


def test_a_checkpoint_that_was_cut_short_gets_a_sentence(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "whole.pt")
    data = (tmp_path / "whole.pt").read_bytes()
    for share in (0.1, 0.9, 0.999):
        (tmp_path / "net.pt").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(BadCheckpoint, match="damaged or cut short"):
            convert(tmp_path / "net.pt")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_program_of_torchscript_says_how_its_weights_are_saved(tmp_path: Path) -> None:
    torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save(str(tmp_path / "net.pt"))  # type: ignore[no-untyped-call]
    with pytest.raises(BadCheckpoint, match="is a TorchScript program"):
        convert(tmp_path / "net.pt")


@pytest.mark.full
def test_the_command_that_a_refusal_prints_leads_to_a_network_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": state("module."), "epoch": 1}, tmp_path / "my net.pth.tar")
    with pytest.raises(BadCheckpoint) as caught:
        build(Variant.parse(NAME).model_copy(update={"weights": "file:my net.pth.tar"}), Checkpoints(tmp_path))
    command = str(caught.value).partition("`attention-lab ")[2].partition("`")[0]
    assert main([*shlex.split(command), "--out", "mine"]) == 0
    printed = capsys.readouterr().out
    assert f"Ask for {NAME}?weights=file:mine." in printed
    loads(tmp_path, "mine")
    card = Conversion.model_validate_json((tmp_path / "mine.json").read_bytes())
    assert card.variant == Variant.parse(NAME) and card.prefix == "module."


@pytest.mark.full
def test_a_converted_file_in_a_data_folder_brings_its_class_names(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "net.pt")
    (tmp_path / "classes.txt").write_text("".join(f"class {number}\n" for number in range(10)))
    words = ["--data", str(tmp_path / "data"), "--labels", str(tmp_path / "classes.txt")]
    assert main(["convert", str(tmp_path / "net.pt"), *words]) == 0
    checkpoints = Checkpoints(tmp_path / "data" / "checkpoints")
    assert checkpoints.find("file:net").labels[:2] == ("class 0", "class 1")
    card = checkpoints.card("net")
    assert card is not None and card.variant == Variant.parse(NAME)
    loads(tmp_path / "data" / "checkpoints", "net")
    for out in ("flowers.safetensors", "v1.2"):  # with or without the ending
        assert main(["convert", str(tmp_path / "net.pt"), *words, "-o", out]) == 0
    made = {path.name for path in (tmp_path / "data" / "checkpoints").glob("*.safetensors")}
    assert made == {"net.safetensors", "flowers.safetensors", "v1.2.safetensors"}


def test_safetensors_of_other_code_are_converted_beside_themselves(tmp_path: Path) -> None:
    write(tmp_path / "net.safetensors", state("model."))
    path, card = convert(tmp_path / "net.safetensors")
    assert path.name == "net-converted.safetensors" and card.prefix == "model."
    loads(tmp_path, "net-converted")
