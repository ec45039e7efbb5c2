"""Weight decay: which parameters it reaches, for every module on the shelf, and what a step then does."""

import pytest
import torch
from torch import nn

from attention.build import build
from attention.modules import modules
from attention.spec import Recipe, Variant
from attention.training.optimiser import decayed, sgd

DECAYED = {
    "bam": {"channel.0.weight", "channel.3.weight", *(f"spatial.{layer}.weight" for layer in (0, 3, 6, 9))},
    "cbam": {"reduce.weight", "expand.weight", "spatial.conv.weight"},
    "ceca": {"conv.weight"},
    "coord": {"reduce.weight", "expand_rows.weight", "expand_columns.weight"},
    "danet": {"position.query.weight", "position.key.weight", "position.value.weight"},
    "eca": {"conv.weight"},
    "eca_ns": {"conv.weight"},
    "ese": {"fc.weight"},
    "fca": {"reduce.weight", "expand.weight"},
    "gc": {"attend.weight", "reduce.weight", "expand.weight"},
    "gct": set(),
    "ge": {"convolutions.0.weight"},
    "identity": set(),
    "random": set(),
    "se": {"reduce.weight", "expand.weight"},
    "se_var1": set(),
    "se_var2": {"weigh.weight"},
    "se_var3": {"mix.weight"},
    "simam": set(),
    "sk": {"branches.0.0.weight", "branches.1.0.weight", "reduce.weight", "expand.weight"},
    "srm": set(),
    "static": set(),
    "triplet": {f"over_{axis}.conv.weight" for axis in ("height", "width", "channels")},
}
"""What decay reaches: convolutions and linear layers, no bias, no normalisation, and of GCT, SRM and the static gate
nothing; SRM's code does the same, GCT's leaves out beta only. GC's normalisation has parameters of three axes, GCT's
and the static gate's of four."""


@pytest.mark.parametrize("name", list(modules))
def test_decay_reaches_the_parameters_that_it_should_and_no_others(name: str) -> None:
    module = modules[name](64)
    parameters = dict(module.named_parameters())
    assert set(module.undecayed) <= parameters.keys(), "it declares a parameter that it does not have"
    assert decayed(module) == DECAYED.get(name, decayed(module))
    assert not any(key.endswith("bias") for key in decayed(module))


def test_no_part_of_a_normalisation_is_decayed_in_a_whole_network() -> None:
    model = build(Variant.parse("resnet20(width=8)/gc"))
    reached = decayed(model)
    for path, module in model.named_modules():
        kind = type(module).__name__
        for name, _ in module.named_parameters(recurse=False):
            assert (f"{path}.{name}" in reached) == (kind in ("Conv2d", "Linear") and name == "weight"), (
                f"{path}.{name}"
            )


def test_a_step_without_gradient_shrinks_what_is_decayed_and_nothing_else() -> None:
    """SGD's decay adds decay * weight to the gradient, and Nesterov's first step is (1 + momentum) times that."""
    model = nn.Sequential(modules["gct"](8), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), modules["eca"](8))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    recipe = Recipe(lr=0.1, weight_decay=0.5, momentum=0.9)
    sgd(model, recipe).step()
    for name, value in model.named_parameters():
        factor = 1 - 0.1 * 0.5 * (1 + 0.9) if name in ("1.weight", "3.conv.weight") else 1
        torch.testing.assert_close(value.detach(), factor * before[name])
