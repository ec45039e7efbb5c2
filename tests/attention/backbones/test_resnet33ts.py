"""resnet33ts and its three relatives: timm's counts, names and shapes, and blocks as timm's source computes them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from attention.build import build, input_size, resolve, skeleton
from attention.counting.cost import count
from attention.errors import BadCheckpoint
from attention.gate import gates, slots
from attention.modules.se import SqueezeExcitation
from attention.spec import Placement, Variant
from attention.weights.find import Checkpoints, Source
from attention.weights.proposals import propose
from tests.attention.modules.numpy_layers import Array, conv, maps, norm, numbers, randomised, sigmoid
from tests.attention.weights.checkpoint_files import State, logits, report_of, trained, write

SE, GC, ECA = "se(bias=true,divisor=8)@inner", "gc(reduction=8)@inner", "eca@inner"

# sum(p.numel()) of timm 1.0.31's models; the millions are those of timm's model_benchmark_amp_nchw_rtx3090.csv.
ANCHORS = [
    ("none", "resnet33ts", 19_676_256, 19.68),
    (ECA, "eca_resnet33ts", 19_676_302, 19.68),
    (SE, "seresnet33ts", 19_779_200, 19.78),
    (GC, "gcresnet33ts", 19_880_698, 19.88),
]


@pytest.mark.full
@pytest.mark.parametrize(("attention", "model", "parameters", "millions"), ANCHORS)
def test_counts_are_timms(attention: str, model: str, parameters: int, millions: float) -> None:
    bill = count(Variant.parse(f"resnet33ts/{attention}"))
    assert bill.total.parameters == parameters and round(parameters / 1e6, 2) == millions
    assert bill.not_counted == ()


def test_multiply_accumulates_and_activations_are_those_of_its_convolutions() -> None:
    macs, activations = 1000 * 1280, 1000
    for name, shape in timms_shapes("none").items():
        if name.endswith("conv.weight"):
            side = {"stem.conv1": 128, "stem.conv2": 128, "stem.conv3": 64, "final_conv": 8}.get(
                name[: -len(".conv.weight")]
            )
            if side is None:
                stage, block, layer = name.split(".")[1:4]
                before_stride = layer == "conv1_1x1" and block == "0" and stage != "0"
                side = 64 >> int(stage) << before_stride
            macs += side * side * int(np.prod(shape))
            activations += side * side * shape[0]
    # timm's results/model_benchmark_amp_nchw_rtx3090.csv: 11.66 M activations. Its 4.76 G count normalisations too.
    assert round(activations / 1e6, 2) == 11.66
    assert count(Variant.parse("resnet33ts/none")).total.macs == macs == 4_732_585_984


def test_it_is_meant_for_256_pixels_and_ends_in_maps_of_8() -> None:
    assert input_size("resnet33ts") == 256
    model, sides = skeleton(Variant(backbone="resnet33ts")), {}
    for path, slot in slots(model).items():
        slot.register_forward_hook(lambda _, args, out, path=path: sides.update({path: tuple(out.shape[1:])}))
    model(torch.empty(1, 3, 256, 256, device="meta"))
    assert [sides[f"stages.after{stage}"] for stage in (1, 2, 3, 4)] == [
        (256, 64, 64),
        (512, 32, 32),
        (1536, 16, 16),
        (1536, 8, 8),
    ]
    assert sides["tail"] == (1280, 8, 8)


def convolution(at: str, out: int, into: int, kernel: int) -> dict[str, tuple[int, ...]]:
    statistics = {f"{at}.bn.{name}": (out,) for name in ("weight", "bias", "running_mean", "running_var")}
    return {f"{at}.conv.weight": (out, into, kernel, kernel), f"{at}.bn.num_batches_tracked": (), **statistics}


def timms_shapes(attention: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes in the state dicts of timm's four networks, restated from its byobnet.py."""
    shapes: dict[str, tuple[int, ...]] = {"head.fc.weight": (1000, 1280), "head.fc.bias": (1000,)}
    for number, (out, into) in enumerate(((24, 3), (32, 24), (64, 32)), start=1):
        shapes |= convolution(f"stem.conv{number}", out, into, 3)
    into = 64
    for stage, (depth, out) in enumerate(((2, 256), (3, 512), (3, 1536), (2, 1536))):
        for block in range(depth):
            at, inner = f"stages.{stage}.{block}", out // 4
            if block == 0:
                shapes |= convolution(f"{at}.shortcut", out, into, 1)
            shapes |= convolution(f"{at}.conv1_1x1", inner, into, 1)
            shapes |= convolution(f"{at}.conv2_kxk", inner, inner, 3)
            shapes |= convolution(f"{at}.conv3_1x1", out, inner, 1)
            shapes |= timms_attention(f"{at}.attn", attention, inner)
            into = out
    return shapes | convolution("final_conv", 1280, 1536, 1)


def timms_attention(at: str, attention: str, inner: int) -> dict[str, tuple[int, ...]]:
    """timm's attention for the widths of 64, 128 and 384 channels inside the blocks."""
    layers: dict[str, tuple[int, ...]] = {}
    if attention == ECA:
        layers = {"conv.weight": (1, 1, {64: 3, 128: 5, 384: 5}[inner])}
    if attention == SE:
        hidden = {64: 8, 128: 8, 384: 24}[inner]
        layers = {"fc1.weight": (hidden, inner, 1, 1), "fc1.bias": (hidden,)}
        layers |= {"fc2.weight": (inner, hidden, 1, 1), "fc2.bias": (inner,)}
    if attention == GC:
        hidden = {64: 8, 128: 16, 384: 48}[inner]
        layers = {"conv_attn.weight": (1, inner, 1, 1), "conv_attn.bias": (1,)}
        layers |= {"mlp_add.fc1.weight": (hidden, inner, 1, 1), "mlp_add.fc1.bias": (hidden,)}
        layers |= {"mlp_add.norm.weight": (hidden,), "mlp_add.norm.bias": (hidden,)}
        layers |= {"mlp_add.fc2.weight": (inner, hidden, 1, 1), "mlp_add.fc2.bias": (inner,)}
    return {f"{at}.{name}": shape for name, shape in layers.items()}


def test_the_plain_networks_names_and_shapes_are_timms() -> None:
    state = skeleton(Variant(backbone="resnet33ts")).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == timms_shapes("none")


def timms_state(attention: str, seed: int = 0) -> State:
    """Tensors with the names and shapes of one of timm's networks, every number its own."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(shape, generator=generator) if shape else torch.tensor(7)
        for name, shape in timms_shapes(attention).items()
    }


OURS = {
    "conv": "conv",
    "fc1": "reduce",
    "fc2": "expand",
    "conv_attn": "attend",
    "mlp_add.fc1": "reduce",
    "mlp_add.norm": "norm",
    "mlp_add.fc2": "expand",
}
"""A layer of timm's attention -> its name here."""


@pytest.mark.full
@pytest.mark.parametrize("attention", ["none", ECA, SE, GC])
def test_what_timm_would_save_fills_every_place_with_its_own_tensor(tmp_path: Path, attention: str) -> None:
    saved = timms_state(attention)
    write(tmp_path / "timm.safetensors", saved)
    variant = Variant.parse(f"resnet33ts/{attention}?weights=file:timm")
    ours = build(variant, Checkpoints(tmp_path)).state_dict()
    assert len(ours) == len(saved)
    for name, value in saved.items():
        there = name
        for theirs, layer in OURS.items():
            there = there.replace(f".attn.{theirs}.", f".inner.0.{layer}.")
        assert torch.equal(ours[there].flatten(), value.flatten()), name
    report = report_of(variant.name, Checkpoints(tmp_path))
    assert report.loaded == len(saved) and report.missing == () and report.fresh == ()


@pytest.mark.full
@pytest.mark.parametrize("attention", [SE, GC, ECA, "none"])
def test_what_a_file_of_timms_holds_is_told_by_its_names_and_shapes(attention: str, tmp_path: Path) -> None:
    source = Source(write(tmp_path / "timm.safetensors", timms_state(attention)), "file:timm")
    proposed = propose(source, skeleton)
    assert proposed is not None
    told, expected = (skeleton(one).state_dict() for one in (proposed, Variant.parse(f"resnet33ts/{attention}")))
    assert {name: value.shape for name, value in told.items()} == {n: value.shape for n, value in expected.items()}
    assert proposed.attention == Variant.parse(f"resnet33ts/{attention}").attention


@pytest.mark.full
def test_timms_attention_in_a_file_for_the_plain_network_is_refused_with_the_right_name(tmp_path: Path) -> None:
    write(tmp_path / "timm.safetensors", timms_state(SE))
    for name in ("none", "se(bias=true)@inner", "se(bias=true,divisor=8)"):
        with pytest.raises(BadCheckpoint, match=r"Ask for resnet33ts/se\(bias=true,divisor=8\)@inner"):
            build(Variant.parse(f"resnet33ts/{name}?weights=file:timm"), Checkpoints(tmp_path))


@pytest.mark.full
def test_weights_of_the_plain_network_take_fresh_attention_and_a_file_of_ours_loads_back(tmp_path: Path) -> None:
    small = "resnet33ts(width=0.125)/{}?classes=5"
    plain = trained(small.format("none"))
    write(tmp_path / "plain.safetensors", plain.state_dict())
    fresh = report_of(small.format("eca@inner") + "&weights=file:plain", Checkpoints(tmp_path))
    assert len(fresh.fresh) == 10 and fresh.fresh[0].slot == "stages.0.0.inner"
    unchanged = build(Variant.parse(small.format("gct@pre") + "&weights=file:plain"), Checkpoints(tmp_path))
    torch.testing.assert_close(logits(unchanged), logits(plain))
    filled = trained(small.format("se@inner"))
    write(tmp_path / "filled.safetensors", filled.state_dict())
    loaded = build(Variant.parse(small.format("se@inner") + "&weights=file:filled"), Checkpoints(tmp_path))
    assert torch.equal(logits(loaded), logits(filled))


@pytest.mark.parametrize("name", ["se", "eca", "gc"])
def test_published_is_timms_place_here_and_the_papers_elsewhere(name: str) -> None:
    assert resolve(Variant.parse(f"resnet33ts/{name}@published")).placement == Placement(position="inner")
    assert resolve(Variant.parse(f"resnet50/{name}@published")).placement == Placement()
    there = [path.rpartition(".0.")[0] for path in gates(skeleton(Variant.parse(f"resnet33ts/{name}@published")))]
    blocks = [f"stages.{stage}.{block}.inner" for stage, depth in enumerate((2, 3, 3, 2)) for block in range(depth)]
    assert list(dict.fromkeys(there)) == blocks


@pytest.mark.parametrize(
    ("channels", "divisor", "hidden"),
    [(64, 8, 8), (96, 8, 8), (128, 8, 8), (192, 8, 16), (384, 8, 24), (320, 8, 24), (8, 8, 8), (64, 1, 4), (8, 1, 1)],
)
def test_a_divisor_rounds_the_width_of_ses_bottleneck_half_up_and_never_to_nothing(
    channels: int, divisor: int, hidden: int
) -> None:
    assert SqueezeExcitation(channels, divisor=divisor).reduce.out_channels == hidden


def silu(x: Array) -> Array:
    return x * sigmoid(x)


@pytest.mark.parametrize(("stage", "block", "channels"), [(2, 0, 8), (2, 1, 16)])
def test_a_block_with_attention_inside_is_timms_formula(stage: int, block: int, channels: int) -> None:
    model = build(Variant.parse("resnet33ts(width=0.03125)/eca(kernel_size=3)@inner?classes=3"))
    unit = randomised(model.get_submodule(f"stages.{stage - 1}.{block}"))
    p, x = numbers(unit), maps(channels, height=6, width=6)
    stride = 2 if block == 0 else 1

    def layer(z: Array, at: str, stride: int = 1) -> Array:
        weight = p[f"{at}.conv.weight"]
        whole = np.einsum("oc,bchw->bohw", weight, z) if weight.ndim == 2 else conv(z, weight)
        return norm(whole[:, :, ::stride, ::stride], p, f"{at}.bn")

    z = silu(layer(silu(layer(x.numpy(), "conv1_1x1")), "conv2_kxk", stride))
    pooled, kernel = np.pad(z.mean((2, 3)), ((0, 0), (1, 1))), p["inner.0.conv.weight"][0, 0]
    scores = sum(kernel[i] * pooled[:, i : i + z.shape[1]] for i in range(3))
    branch = layer(z * sigmoid(scores)[:, :, None, None], "conv3_1x1")
    shortcut = layer(x.numpy(), "shortcut", stride) if block == 0 else x.numpy()
    with torch.no_grad():
        np.testing.assert_allclose(unit(x).numpy(), silu(branch + shortcut), rtol=1e-8, atol=1e-8)
