"""Names: a checkpoint spelled as another project spells it gives the network that it was."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from attention.build import build, skeleton
from attention.errors import BadCheckpoint
from attention.network import describe
from attention.reports.parts.checkpoints import LoadReport
from attention.spec import Variant
from attention.weights.find import Checkpoints
from attention.weights.key_names import fits, translate
from tests.attention.weights.checkpoint_files import State, logits, trained, write


def spelled(*pairs: tuple[str, str]) -> Callable[[str], str]:
    """Ours -> theirs, by replacing the first that is found."""

    def spell(name: str) -> str:
        for ours, theirs in pairs:
            if ours in name:
                return name.replace(ours, theirs)
        return name

    return spell


def as_linear(state: State, *layers: str) -> State:
    """1x1 convolutions stored as fully connected layers."""
    return {
        name: value.flatten(1) if name.endswith(tuple(f"{layer}.weight" for layer in layers)) else value
        for name, value in state.items()
    }


TIMM_SE = spelled(("standard.0.reduce", "se.fc1"), ("standard.0.expand", "se.fc2"))
PORTED_SE = spelled(("standard.0.reduce", "se.fc.0"), ("standard.0.expand", "se.fc.2"))
TIMM_CONV = spelled(("standard.0.conv", "se.conv"))
RELEASED_ECA = spelled(("standard.0.conv", "eca.conv"))
TIMM_ESE = spelled(("standard.0.fc", "se.fc"))
TIMM_GC = spelled(
    ("standard.0.attend", "se.conv_attn"),
    ("standard.0.reduce", "se.mlp_add.fc1"),
    ("standard.0.norm", "se.mlp_add.norm"),
    ("standard.0.expand", "se.mlp_add.fc2"),
)
RELEASED_GC = spelled(
    ("standard.0.attend", "context_block.conv_mask"),
    ("standard.0.reduce", "context_block.channel_add_conv.0"),
    ("standard.0.norm", "context_block.channel_add_conv.1"),
    ("standard.0.expand", "context_block.channel_add_conv.3"),
)
RELEASED_CBAM = spelled(
    ("standard.0.reduce", "cbam.ChannelGate.mlp.1"),
    ("standard.0.expand", "cbam.ChannelGate.mlp.3"),
    ("standard.0.spatial.conv", "cbam.SpatialGate.spatial.conv"),
    ("standard.0.spatial.bn", "cbam.SpatialGate.spatial.bn"),
)
OPENMMLAB_SE = spelled(("standard.0.reduce", "se_layer.conv1.conv"), ("standard.0.expand", "se_layer.conv2.conv"))
RELEASED_TRIPLET = spelled(
    *(
        (f"standard.0.{ours}.{layer}", f"triplet_attention.{theirs}.conv.{layer}")
        for ours, theirs in (("over_height", "cw"), ("over_width", "hc"), ("over_channels", "hw"))
        for layer in ("conv", "bn")
    )
)


@pytest.mark.parametrize(
    ("name", "spell", "linear", "renamed"),
    [
        ("none", str, (), 0),
        ("none", "module.{}".format, (), 0),
        ("se(bias=true)", TIMM_SE, (), 9 * 4),
        ("se(bias=true)", lambda name: f"module.{TIMM_SE(name)}", (), 0),
        ("se", lambda name: f"_orig_mod.{TIMM_SE(name)}", (), 0),
        ("se", PORTED_SE, ("reduce", "expand"), 9 * 2),
        ("eca", TIMM_CONV, (), 9),
        ("eca(kernel_size=5)", RELEASED_ECA, (), 9),
        ("ceca", TIMM_CONV, (), 9),
        ("ese", TIMM_ESE, (), 9 * 2),
        ("gc", TIMM_GC, (), 9 * 8),
        ("gc", RELEASED_GC, (), 9 * 8),
        ("cbam", RELEASED_CBAM, ("reduce", "expand"), 9 * 10),
        ("se(bias=true)", OPENMMLAB_SE, (), 9 * 4),
        ("triplet", RELEASED_TRIPLET, (), 9 * 18),
        ("se@inner", str, (), 0),
        ("bam@stage", str, (), 0),
    ],
)
def test_each_spelling_gives_the_network_that_it_was(
    tmp_path: Path, name: str, spell: Callable[[str], str], linear: tuple[str, ...], renamed: int
) -> None:
    model = trained(f"resnet20/{name}")
    write(tmp_path / "theirs.safetensors", as_linear(dict(model.state_dict()), *linear), spell)
    variant, checkpoints = Variant.parse(f"resnet20/{name}?weights=file:theirs&seed=5"), Checkpoints(tmp_path)
    torch.testing.assert_close(logits(build(variant, checkpoints)), logits(model), rtol=0, atol=0)
    report = describe(variant, checkpoints).load
    assert report is not None and report.loaded == len(model.state_dict())
    assert report.missing == report.unexpected == report.fresh == ()
    wrapped = spell("x") != "x"
    assert sum(one.count for one in report.renamed) == (len(model.state_dict()) if wrapped else renamed)


def test_what_was_renamed_is_told_once_for_all_blocks(tmp_path: Path) -> None:
    write(tmp_path / "se.safetensors", trained("resnet20/se").state_dict(), TIMM_SE)
    report = describe(Variant.parse("resnet20/se?weights=file:se"), Checkpoints(tmp_path)).load
    assert report is not None
    assert [(one.found, one.ours, one.count) for one in report.renamed] == [
        ("layer*.*.se.fc1.weight", "layer*.*.standard.*.reduce.weight", 9),
        ("layer*.*.se.fc2.weight", "layer*.*.standard.*.expand.weight", 9),
    ]


# Names and shapes of timm's seresnet50 and of its resnet50 with ECA, restated.
def timm_resnet50(attention: str) -> dict[str, tuple[int, ...]]:
    def norm(path: str, channels: int) -> dict[str, tuple[int, ...]]:
        names = ("weight", "bias", "running_mean", "running_var")
        return {f"{path}.{name}": (channels,) for name in names} | {f"{path}.num_batches_tracked": ()}

    found: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    before = 64
    for stage, depth in enumerate((3, 4, 6, 3), start=1):
        inner, out = 32 * 2**stage, 128 * 2**stage
        for block in range(depth):
            at = f"layer{stage}.{block}"
            found |= {f"{at}.conv1.weight": (inner, before, 1, 1), **norm(f"{at}.bn1", inner)}
            found |= {f"{at}.conv2.weight": (inner, inner, 3, 3), **norm(f"{at}.bn2", inner)}
            found |= {f"{at}.conv3.weight": (out, inner, 1, 1), **norm(f"{at}.bn3", out)}
            if attention == "se":
                found |= {f"{at}.se.fc1.weight": (out // 16, out, 1, 1), f"{at}.se.fc1.bias": (out // 16,)}
                found |= {f"{at}.se.fc2.weight": (out, out // 16, 1, 1), f"{at}.se.fc2.bias": (out,)}
            if attention == "eca":
                found |= {f"{at}.se.conv.weight": (1, 1, 7 if stage == 4 else 5)}
            if block == 0:
                found |= {f"{at}.downsample.0.weight": (out, before, 1, 1), **norm(f"{at}.downsample.1", out)}
            before = out
    return found | {"fc.weight": (1000, 2048), "fc.bias": (1000,)}


@pytest.mark.parametrize(("attention", "name"), [("", "none"), ("se", "se(bias=true)"), ("eca", "eca")])
def test_every_tensor_of_timms_resnet50s_has_its_place(attention: str, name: str) -> None:
    theirs = timm_resnet50(attention)
    own = {key: tuple(value.shape) for key, value in skeleton(Variant.parse(f"resnet50/{name}")).state_dict().items()}
    ours = translate(theirs, own, attention or None).names
    assert {ours[key]: shape for key, shape in theirs.items()} == own


def test_timms_mobilenet_is_torchvisions(tmp_path: Path) -> None:
    model = trained("mobilenetv2(width=0.25)/none?classes=7")
    first = {"0.0": "conv_dw", "0.1": "bn1", "1": "conv_pw", "2": "bn2"}
    others = {"0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2", "2": "conv_pwl", "3": "bn3"}
    blocks = [(stage, block) for stage, depth in enumerate((1, 2, 3, 4, 3, 3, 1)) for block in range(depth)]
    ends = {"features.0.0": "conv_stem", "features.0.1": "bn1", "features.18.0": "conv_head", "features.18.1": "bn2"}

    def spell(name: str) -> str:
        layer, _, parameter = name.rpartition(".")
        if match := re.fullmatch(r"features\.(\d+)\.conv\.(.+)", layer):
            stage, block = blocks[int(match[1]) - 1]
            return f"blocks.{stage}.{block}.{(first if stage == 0 else others)[match[2]]}.{parameter}"
        return f"{ends.get(layer, 'classifier')}.{parameter}"

    write(tmp_path / "timm.safetensors", model.state_dict(), spell)
    variant = Variant.parse("mobilenetv2(width=0.25)/none?classes=7&weights=file:timm")
    torch.testing.assert_close(logits(build(variant, Checkpoints(tmp_path))), logits(model), rtol=0, atol=0)


@pytest.mark.parametrize("place", ["post", "identity", "pre", "inner"])
def test_attention_trained_in_one_place_is_not_put_into_another(tmp_path: Path, place: str) -> None:
    write(tmp_path / "se.safetensors", trained("resnet20/se").state_dict(), TIMM_SE)
    with pytest.raises(
        BadCheckpoint, match=r"no place for: layer1\.0\.se\.fc1\.weight.*Ask for resnet20/se\?weights=file:se"
    ):
        build(Variant.parse(f"resnet20/se@{place}?weights=file:se"), Checkpoints(tmp_path))


def test_a_fully_connected_layer_fits_a_1x1_convolution_and_nothing_else_fits_by_chance() -> None:
    assert fits((16, 256), (16, 256, 1, 1)) and fits((8, 1, 1), (8,)) and fits((), ()) and fits((3, 4), (3, 4))
    assert not fits((256, 16), (16, 256, 1, 1)) and not fits((16, 256, 3, 3), (16, 256)) and not fits((8,), (1, 8))


def test_every_row_of_a_linear_layer_lands_in_its_own_channel(tmp_path: Path) -> None:
    model = trained("resnet20/se")
    state: dict[str, Tensor] = dict(model.state_dict())
    write(tmp_path / "se.safetensors", as_linear(state, "reduce", "expand"), PORTED_SE)
    loaded = build(Variant.parse("resnet20/se?weights=file:se"), Checkpoints(tmp_path)).state_dict()
    for name in state:
        assert torch.equal(loaded[name], state[name]), name


def loaded_as(tmp_path: Path, name: str, spell: Callable[[str], str], size: int = 32) -> LoadReport:
    """Logits of a network are the same after its tensors went through a file with other names; what was said of it."""
    model = trained(name)
    write(tmp_path / "theirs.safetensors", model.state_dict(), spell)
    sign = "&" if "?" in name else "?"
    variant, checkpoints = Variant.parse(f"{name}{sign}weights=file:theirs"), Checkpoints(tmp_path)
    torch.testing.assert_close(logits(build(variant, checkpoints), size), logits(model, size), rtol=0, atol=0)
    report = describe(variant, checkpoints).load
    assert report is not None and report.fresh == report.missing == report.unexpected == ()
    return report


@pytest.mark.full
def test_the_released_bam_between_stages_says_that_its_code_multiplies(tmp_path: Path) -> None:
    channel = {"0": "gate_c_fc_0", "1": "gate_c_bn_1", "3": "gate_c_fc_final"}
    spatial = {
        "0": "conv_reduce0",
        "1": "bn_reduce0",
        "3": "conv_di_0",
        "4": "bn_di_0",
        "6": "conv_di_1",
        "7": "bn_di_1",
    }

    def spell(name: str) -> str:
        match = re.fullmatch(r"after(\d)\.0\.(channel|spatial)\.(\d)\.(\w+)", name)
        if match is None:
            return f"module.{name}"
        if match[2] == "channel":
            return f"module.bam{match[1]}.channel_att.gate_c.{channel[match[3]]}.{match[4]}"
        return f"module.bam{match[1]}.spatial_att.gate_s.gate_s_{spatial.get(match[3], 'conv_final')}.{match[4]}"

    report = loaded_as(tmp_path, "resnet18(width=0.25)/bam(combine=product)@published", spell)
    assert "multiplies its two parts where the paper adds them" in report.notes[0]


@pytest.mark.full
def test_the_oldest_se_networks_load_and_say_that_their_stem_pools_differently(tmp_path: Path) -> None:
    def spell(name: str) -> str:
        name = name.replace("standard.0.reduce", "se_module.fc1").replace("standard.0.expand", "se_module.fc2")
        name = f"layer0.{name}" if name.startswith(("conv1.", "bn1.")) else name
        return name.replace("fc.", "last_linear.") if name.startswith("fc.") else name

    report = loaded_as(tmp_path, "resnet50(version=v1,width=0.25)/se(bias=true)", spell)
    assert "the stem's maximum runs over maps without a border" in report.notes[0]


@pytest.mark.full
def test_openmmlabs_networks_stand_behind_one_word_and_their_head_behind_another(tmp_path: Path) -> None:
    loaded_as(
        tmp_path,
        "resnet18(width=0.25)/se(bias=true)?classes=7",
        lambda name: f"head.{name}" if name.startswith("fc.") else f"backbone.{OPENMMLAB_SE(name)}",
    )


@pytest.mark.full
def test_the_released_eca_mobilenet_has_attention_as_its_last_layer(tmp_path: Path) -> None:
    def spell(name: str) -> str:
        match = re.fullmatch(r"features\.(\d+)\.standard\.0\.conv\.weight", name)
        return (
            f"module.features.{match[1]}.conv.{3 if match[1] == '1' else 4}.conv.weight" if match else f"module.{name}"
        )

    loaded_as(tmp_path, "mobilenetv2/eca(kernel_size=released)?classes=7", spell)


@pytest.mark.full
def test_the_released_coordinate_attention_has_all_layers_of_a_block_in_one_row(tmp_path: Path) -> None:
    first = {"0.0": "0", "0.1": "1", "1": "3", "2": "4"}
    others = {"0.0": "0", "0.1": "1", "1.0": "3", "1.1": "4", "2": "7", "3": "8"}
    attention = {"reduce": "conv1", "bn": "bn1", "expand_rows": "conv2", "expand_columns": "conv3"}

    def spell(name: str) -> str:
        if match := re.fullmatch(r"features\.(\d+)\.inner\.0\.(\w+)\.(\w+)", name):
            return f"features.{match[1]}.conv.6.{attention[match[2]]}.{match[3]}"
        if match := re.fullmatch(r"features\.(\d+)\.conv\.(.+)\.(\w+)", name):
            return f"features.{match[1]}.conv.{(first if match[1] == '1' else others)[match[2]]}.{match[3]}"
        return name.replace("features.18.", "conv.")

    loaded_as(tmp_path, "mobilenetv2(width=0.25)/coord@published?classes=7", spell)


@pytest.mark.full
def test_timms_sknet_has_the_blocks_own_convolution_as_its_first_path(tmp_path: Path) -> None:
    layers = {
        "spatial.0.branches.0.0.": "conv2.paths.1.conv.",
        "spatial.0.branches.0.1.": "conv2.paths.1.bn.",
        "spatial.0.reduce.": "conv2.attn.fc_reduce.",
        "spatial.0.bn.": "conv2.attn.bn.",
        "spatial.0.expand.": "conv2.attn.fc_select.",
        "conv2.": "conv2.paths.0.conv.",
        "bn2.": "conv2.paths.0.bn.",
        "conv1.": "conv1.conv.",
        "bn1.": "conv1.bn.",
        "conv3.": "conv3.conv.",
        "bn3.": "conv3.bn.",
    }

    def spell(name: str) -> str:
        match = re.fullmatch(r"(layer\d\.\d+\.)(.+)", name)
        theirs = next((layer for layer in layers if match and match[2].startswith(layer)), None)
        return f"{match[1]}{layers[theirs]}{match[2].removeprefix(theirs)}" if match and theirs else name

    loaded_as(tmp_path, "resnext50(width=0.25)/sk@spatial?classes=7", spell)


@pytest.mark.parametrize("attribute", ["eca_layer", "my.att", "CHANNEL"])
def test_an_attribute_that_no_library_has_is_taken_by_its_layers_and_said(tmp_path: Path, attribute: str) -> None:
    report = loaded_as(
        tmp_path, "resnet20/eca(kernel_size=5)", lambda name: name.replace("standard.0.conv", f"{attribute}.conv")
    )
    assert f"{attribute} in its blocks is taken for eca because its layers are" in " ".join(report.notes)


@pytest.mark.full
def test_two_attributes_that_both_could_be_it_are_not_guessed_between(tmp_path: Path) -> None:
    model = trained("resnet20/eca")
    state = {name.replace("standard.0.conv", "left.conv"): value for name, value in model.state_dict().items()}
    state |= {name.replace("left.", "right."): value.clone() for name, value in state.items() if "left." in name}
    write(tmp_path / "theirs.safetensors", state)
    with pytest.raises(BadCheckpoint, match=r"no place for: layer1\.0\.left\.conv\.weight"):
        build(Variant.parse("resnet20/eca?weights=file:theirs"), Checkpoints(tmp_path))


@pytest.mark.parametrize("word", ["net.", "student.cnn.", "model.module.", "fc.", "layer1."])
def test_whatever_stands_before_all_names_is_a_wrapper(tmp_path: Path, word: str) -> None:
    loaded_as(tmp_path, "resnet20/se", lambda name: word + name)
