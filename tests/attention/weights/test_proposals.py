"""Proposals: a checkpoint that does not fit is told as a network that it does fit, and that network loads."""

import re
from pathlib import Path

import pytest
import torch

from attention.build import build, skeleton
from attention.errors import BadCheckpoint
from attention.spec import Variant
from attention.weights.find import Checkpoints, Source
from attention.weights.proposals import propose
from tests.attention.weights.checkpoint_files import logits, trained, write

PROPOSED = re.compile(r"Ask for (?:classes=\d+: )?(\S+?)\.?$")


def proposed_for(tmp_path: Path, stored: str, asked: str) -> Variant:
    """What the refusal of a file of one network, asked for as another, says to ask for."""
    model = trained(stored)
    write(tmp_path / "it.safetensors", model.state_dict())
    sign = "&" if "?" in asked else "?"
    with pytest.raises(BadCheckpoint) as caught:
        build(Variant.parse(f"{asked}{sign}weights=file:it"), Checkpoints(tmp_path))
    match = PROPOSED.search(str(caught.value))
    assert match, str(caught.value)
    return Variant.parse(match[1])


@pytest.mark.full
@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("resnet20/none?classes=3", "resnet20/none"),
        ("resnet20(width=8)/se", "resnet20/se"),
        ("resnet32/none", "resnet20/none"),
        ("resnet20/none", "resnet32/eca"),
        ("resnet20/se(reduction=4,bias=true)?classes=7", "resnet20/none"),
        ("resnet20/se(reduction=4,bias=true)?classes=7", "resnet32/eca"),
        ("resnet20/eca(kernel_size=5)", "resnet20/eca"),
        ("resnet20/cbam(reduction=8,kernel_size=3)", "resnet20/se"),
        ("resnet20/bam@published", "resnet20/none"),
        ("resnet20/gct", "resnet20/none"),
        ("resnet20/coord@inner", "resnet20/coord@standard"),
        ("resnet20/se@standard:2-3", "resnet20/none"),
        ("resnet20/triplet@tail", "resnet20/none"),
        ("resnet18(stem=deep,shortcut=pool,width=0.25)/eca", "resnet18/none"),
        ("mobilenetv2(width=0.25)/se@inner?classes=5", "mobilenetv2/none"),
        ("resnext50(width=0.25)/sk@spatial?classes=5", "resnext50(width=0.25)/none"),
    ],
)
def test_what_a_refusal_proposes_loads_with_the_logits_of_what_was_stored(
    tmp_path: Path, stored: str, asked: str
) -> None:
    proposed = proposed_for(tmp_path, stored, asked)
    assert proposed.weights == "file:it"
    loaded = build(proposed, Checkpoints(tmp_path))
    torch.testing.assert_close(logits(loaded), logits(trained(stored)), rtol=0, atol=0)


@pytest.mark.full
def test_kernels_that_differ_by_width_are_looked_up_among_the_released_ones(tmp_path: Path) -> None:
    proposed = proposed_for(tmp_path, "resnet18/eca(kernel_size=released)?classes=5", "resnet18/eca?classes=5")
    assert proposed.name == "resnet18/eca(kernel_size=released)?classes=5&weights=file:it"


@pytest.mark.full
def test_a_file_of_no_network_here_is_told_as_such_with_the_layers_that_nobody_knows(tmp_path: Path) -> None:
    state = dict(trained("resnet20/none").state_dict())
    for block in range(3):
        state[f"layer1.{block}.riddle.weight"] = torch.ones(16, 16, 2)
    write(tmp_path / "it.safetensors", state)
    sentence = r"No network here fits it\. Besides .* have riddle, .* attention-lab convert FILE --rename OLD=NEW"
    with pytest.raises(BadCheckpoint, match=sentence):
        build(Variant.parse("resnet20/none?weights=file:it"), Checkpoints(tmp_path))


@pytest.mark.full
def test_tensors_of_something_else_fit_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "it.safetensors", {"encoder.weight": torch.ones(4, 4), "encoder.bias": torch.ones(4)})
    assert propose(Source(path, "file:it"), skeleton) is None
