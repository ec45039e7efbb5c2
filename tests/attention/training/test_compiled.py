"""Compiled steps: they train what eager steps train, keep names, average and resume, or say why they cannot."""

import shutil
from collections import OrderedDict
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import nn

from attention.data.dataset import DataSet
from attention.errors import InvalidRequest
from attention.spec import Recipe, Variant
from attention.training.train import train
from tests.attention.training.test_train import RECIPE, TINY, Killed, data, kill_in_epoch

__all__ = ["data"]  # a fixture, too


def one_layer(variant: Variant) -> nn.Module:
    """A network of one convolution: each kernel that is compiled takes a second or more."""
    torch.manual_seed(variant.seed)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 8, 3),
            bn=nn.BatchNorm2d(8),
            relu=nn.ReLU(),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            fc=nn.Linear(8, variant.classes or 3),
        )
    )


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="torch.compile needs a C++ compiler")
def test_compiled_steps_train_the_same_network_as_eager_ones(data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attention.training.train.build", one_layer)
    recipe = Recipe(epochs=2, batch_size=60, lr=0.02, crop_padding=1)
    eager, compiled = (train(TINY, recipe, data, compiled=choice) for choice in (False, True))
    for ours, theirs in zip(compiled.curve, eager.curve, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-4)
    for name, value in compiled.model.state_dict().items():
        torch.testing.assert_close(value, eager.model.state_dict()[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_traced_steps_keep_names_average_and_resume(
    data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With torch's back end that traces and differentiates like the real one but writes no C++, a whole network."""
    monkeypatch.setattr("torch.compile", partial(torch.compile, backend="aot_eager", fullgraph=True))
    recipe = RECIPE.model_copy(update={"ema": 0.5, "lr": 0.01})
    eager = train(TINY, recipe, data)
    state = tmp_path / "state"
    counters = import_module("torch._dynamo.utils").counters
    counters.clear()
    with pytest.raises(Killed):
        train(TINY, recipe, data, compiled=True, resume=state, on_epoch=kill_in_epoch(1))
    resumed = train(TINY, recipe, data, compiled=True, resume=state)
    assert counters["stats"]["unique_graphs"] == 2, "one program for each of the two processes"
    names = resumed.model.state_dict().keys()
    assert names == eager.model.state_dict().keys() and "conv1.weight" in names, "no name has _orig_mod before it"
    for ours, theirs in zip(resumed.curve, eager.curve, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-3)
    for name, value in resumed.model.state_dict().items():
        torch.testing.assert_close(value, eager.model.state_dict()[name], rtol=1e-2, atol=1e-3)


@pytest.mark.full
def test_where_nothing_can_be_compiled_a_sentence_says_so(data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attention.training.train.build", one_layer)
    config = import_module("torch._inductor.config")
    with config.patch({"cpp.cxx": (None, "no-such-compiler"), "force_disable_caches": True}):
        with pytest.raises(InvalidRequest, match=r"cannot be compiled here .*compiler.*Train without compiling"):
            train(TINY, RECIPE, data, compiled=True)
