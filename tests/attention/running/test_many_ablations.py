"""Many ablations in one shared pass: the same numbers as one pass each, in every family of backbones."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from attention.backbones import Backbone, backbones
from attention.backbones.resnet import Block
from attention.build import build
from attention.errors import InvalidRequest
from attention.gate import ablate, capture, gates
from attention.running.fused import fused_copy
from attention.running.many_ablations import forward_each
from attention.spec import Ablation, Pictures, Variant

SMALL = {
    "resnet20": "resnet20(width=4)",
    "mobilenetv2": "mobilenetv2(width=0.25)",
    "vgg11_small": "vgg11_small(width=0.125)",
    "resnet33ts": "resnet33ts(width=0.125)",
    "resnext50": "resnext50(width=0.125)",
    "resnet50": "resnet50(width=0.125)",
    "fpn_resnet18": "fpn_resnet18(width=0.125)",
}
"""One of each way to be built."""


def naive(
    model: nn.Module, images: Tensor, ablations: Sequence[Ablation], references: Sequence[Mapping[str, Tensor]] = ()
) -> Tensor:
    found = [model(images)]
    for number, ablation in enumerate(ablations):
        with ablate(model, ablation, references[number] if references else None):
            found.append(model(images))
    return torch.stack(found)


def network(name: str) -> Backbone:
    """A network whose gates matter: its signal is normalised, and its gates differ from channel to channel."""
    model = build(Variant.parse(name)).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    for gate in gates(model).values():
        gate.register_forward_hook(lambda _, __, weights: weights + 0.3 * torch.sin(7.0 * weights))
    return model.eval().double()  # so that equality is not a matter of rounding


def one_by_one(model: nn.Module) -> list[Ablation]:
    return [Ablation(kind="constant", value=0.9, gates=(path,)) for path in gates(model)]


@pytest.mark.parametrize("backbone", SMALL)
@pytest.mark.parametrize("rest", ["eca", "cbam", "se@pre", "se@tail"])
@torch.inference_mode()
def test_leaving_out_each_gate_gives_what_one_pass_each_gives(backbone: str, rest: str) -> None:
    if backbone == "vgg11_small" and rest == "se@pre":
        pytest.skip("the first convolution's input has three channels, fewer than the bottleneck")
    model = network(f"{SMALL[backbone]}/{rest}")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    every = [*one_by_one(model), Ablation(kind="scalar"), Ablation(kind="shuffle", seed=3)]
    together, apart = forward_each(model, images, every), naive(model, images, every)
    assert together.shape == (1 + len(every), 2, apart.shape[-1])
    torch.testing.assert_close(together, apart, rtol=1e-9, atol=1e-9)
    changed = (apart[1:-2] - apart[0]).abs().amax((1, 2))  # a scalar or shuffle of a gate that is flat changes nothing
    assert changed.min() > 1e-4


@torch.inference_mode()
def test_sets_of_gates_in_any_order_and_none_at_all_are_put_where_they_belong() -> None:
    model = network("resnet20(width=4)/se")
    images = torch.randn(3, 3, 32, 32).double()
    paths = list(gates(model))
    ablations = [
        Ablation(kind="constant", value=0.9, gates=("layer3",)),
        Ablation(kind="neutral", gates=("layer1", paths[-1])),
        Ablation(kind="scalar", gates=(paths[4],)),
        Ablation(kind="constant", value=0.1),
        Ablation(kind="scalar", gates=tuple(reversed(paths[:5]))),
    ]
    torch.testing.assert_close(forward_each(model, images, ablations), naive(model, images, ablations))
    assert torch.equal(forward_each(model, images, []), model(images)[None])


@torch.inference_mode()
def test_a_reference_may_be_one_for_all_images_or_one_for_each() -> None:
    model = network("resnet20(width=4)/eca")
    images, others = torch.randn(3, 3, 32, 32).double(), torch.randn(3, 3, 32, 32).double()
    with capture(model) as seen:
        model(others)
    ablations = [Ablation(kind=kind, reference=Pictures(images=("x",))) for kind in ("other_image", "mean")]
    means = {path: gate.mean(0, keepdim=True) for path, gate in seen.items()}
    references = [dict(seen), means]
    together = forward_each(model, images, ablations, references)
    torch.testing.assert_close(together, naive(model, images, ablations, references))
    for number in range(3):
        own = [{path: gate[number : number + 1] for path, gate in seen.items()}, means]
        alone = forward_each(model, images[number : number + 1], ablations, own)
        torch.testing.assert_close(together[:, number], alone[:, 0], rtol=1e-9, atol=1e-9)


@torch.inference_mode()
def test_blocks_before_a_gate_run_for_the_untouched_rows_alone() -> None:
    model = network("resnet20(width=4)/eca")
    rows: dict[str, int] = {}
    for stage in (1, 2, 3):
        for number in range(3):
            path = f"layer{stage}.{number}"
            convolution = model.get_submodule(f"{path}.conv1")
            convolution.register_forward_hook(lambda _, args, __, path=path: rows.update({path: len(args[0])}))
    forward_each(model, torch.randn(1, 3, 32, 32).double(), one_by_one(model))
    assert list(rows.values()) == list(range(1, 10))  # block i sees the rows of the i gates before it


def test_no_hook_stays_behind_also_when_a_gate_is_not_there() -> None:
    model = network("resnet20(width=4)/eca")
    before = {name: len(part._forward_hooks) + len(part._forward_pre_hooks) for name, part in model.named_modules()}
    with torch.inference_mode():
        forward_each(model, torch.randn(1, 3, 32, 32).double(), one_by_one(model))
    with pytest.raises(InvalidRequest, match="no gate at 'layer9'"):
        forward_each(
            model, torch.randn(1, 3, 32, 32).double(), [*one_by_one(model), Ablation(kind="scalar", gates=("layer9",))]
        )
    after = {name: len(part._forward_hooks) + len(part._forward_pre_hooks) for name, part in model.named_modules()}
    assert after == before


class Together(TorchDispatchMode):
    """Notes the shapes of input and weight of each convolution that is given all its rows at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shapes: list[tuple[torch.Size, torch.Size]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.mkldnn_convolution.default:
            self.shapes.append((args[0].shape, args[1].shape))
        return func(*args, **(kwargs or {}))


@torch.inference_mode()
def test_several_rows_go_through_a_1x1_convolution_together_and_give_the_same() -> None:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pytest.skip("this torch is built without oneDNN")
    model = network("resnext50(width=0.125)/eca").float()  # has 1x1, 3x3, grouped and strided convolutions
    images, ablations = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)), one_by_one(model)
    with Together() as noted:
        found = forward_each(model, images, ablations)
    rows = {rows for (rows, *_), _ in noted.shapes}
    assert 1 not in rows and {2, 3, len(ablations) - 1} <= rows
    assert {tuple(weight[2:]) for _, weight in noted.shapes} == {(1, 1)}
    torch.testing.assert_close(found, naive(model, images, ablations), rtol=1e-4, atol=1e-5)


@pytest.mark.full
def test_every_backbone_says_whether_its_blocks_run_one_after_another() -> None:
    """A feature pyramid's maps live side by side, so its rows cannot join half-way."""
    chained = {name: make(classes=2).chained for name, make in backbones.items() if name in SMALL}
    assert chained == {name: name != "fpn_resnet18" for name in SMALL}
    assert not Backbone.chained


@pytest.mark.full
@torch.inference_mode()
def test_a_serving_copy_gives_the_same_and_is_one_again_afterwards() -> None:
    model = network("resnet50(width=0.125)/se")
    served = fused_copy(model)
    images = torch.randn(2, 3, 64, 64).double()
    torch.testing.assert_close(
        forward_each(served, images, one_by_one(served)), naive(model, images, one_by_one(model)), rtol=1e-7, atol=1e-7
    )
    assert all(block.gate_first for block in served.modules() if isinstance(block, Block))
