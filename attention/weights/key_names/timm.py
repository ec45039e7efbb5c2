"""timm's names: attention is ``se`` in its ResNets and ``attn`` in its byobnets; MobileNetV2's blocks go by stage.

PyTorch Image Models. Ross Wightman. 2019. https://github.com/huggingface/pytorch-image-models: timm/models/resnet.py,
byobnet.py, sknet.py, efficientnet.py, timm/layers/squeeze_excite.py, eca.py, global_context.py, selective_kernel.py.
"""

import re
from collections.abc import Collection, Mapping

from attention.weights.key_names import Library, Rename, Spelling, libraries, patterns

CONTEXT = {"conv_attn": "attend", "mlp_add.fc1": "reduce", "mlp_add.norm": "norm", "mlp_add.fc2": "expand"}

SELECTIVE_KERNEL = {
    "paths.1.conv": "branches.0.0",
    "paths.1.bn": "branches.0.1",
    "attn.fc_reduce": "reduce",
    "attn.bn": "bn",
    "attn.fc_select": "expand",
}
"""The first path is the block's own 3x3 here."""

SPELLINGS = (
    Spelling("se", "se", {"fc1": "reduce", "fc2": "expand"}),
    Spelling("eca", "se", {"conv": "conv"}, also=("ceca",)),
    Spelling("ese", "se", {"fc": "fc"}),
    Spelling("gc", "se", CONTEXT),
    Spelling("sk", "conv2", SELECTIVE_KERNEL, position="spatial"),
    Spelling("se", "attn", {"fc1": "reduce", "fc2": "expand"}, position="inner"),
    Spelling("eca", "attn", {"conv": "conv"}, also=("ceca",), position="inner"),
    Spelling("gc", "attn", CONTEXT, position="inner"),
)

EXPANDING = {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "2", "bn3": "3"}
DEPTHWISE_FIRST = {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "1", "bn2": "2"}
"""Layers of MobileNetV2's blocks, in timm -> in torchvision's ``conv``; the first block of all does not expand."""

_MOBILENET_BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.(\w+)\.\w+")

_selective: Rename = patterns(
    (r"(layer\d+\.\d+\.)conv2\.paths\.0\.conv\.", r"\1conv2."),
    (r"(layer\d+\.\d+\.)conv2\.paths\.0\.bn\.", r"\1bn2."),
    (r"(layer\d+\.\d+\.)conv([13])\.conv\.", r"\1conv\2."),
    (r"(layer\d+\.\d+\.)conv([13])\.bn\.", r"\1bn\2."),
)
"""Its SKNets have a normalisation and its convolution in one layer."""


def rename(names: Collection[str]) -> Mapping[str, str]:
    """torchvision's names of a MobileNetV2 or an SKNet of timm's."""
    return _mobilenet(names) if "conv_stem.weight" in names else _selective(names)


def _mobilenet(names: Collection[str]) -> Mapping[str, str]:
    """Names of a MobileNetV2's tensors as torchvision has them, which numbers all blocks in one row, by timm's name."""
    layers = {"conv_stem": "features.0.0", "bn1": "features.0.1", "classifier": "classifier.1"}
    blocks: dict[tuple[int, int], set[str]] = {}
    for name in names:
        if match := _MOBILENET_BLOCK.fullmatch(name):
            blocks.setdefault((int(match[1]), int(match[2])), set()).add(match[3])
    for number, (stage, block) in enumerate(sorted(blocks), start=1):
        row = EXPANDING if "conv_pwl" in blocks[stage, block] else DEPTHWISE_FIRST
        for their_layer, our_layer in row.items():
            layers[f"blocks.{stage}.{block}.{their_layer}"] = f"features.{number}.conv.{our_layer}"
    layers |= {"conv_head": f"features.{len(blocks) + 1}.0", "bn2": f"features.{len(blocks) + 1}.1"}
    parts = {name: name.rpartition(".") for name in names}
    return {name: f"{layers[part[0]]}.{part[2]}" for name, part in parts.items() if part[0] in layers}


libraries.register("timm")(Library(SPELLINGS, rename))
