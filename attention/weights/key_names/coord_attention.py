"""Coordinate attention's MobileNetV2: layers of a block stand in one row, and attention among them as ``conv.6``.

Coordinate Attention. Qibin Hou et al. CVPR 2021. https://github.com/houqb/CoordAttention: mbv2_ca.py, coordatt.py.
"""

import re
from collections.abc import Collection, Mapping

from attention.weights.key_names import Library, Spelling, libraries

SPELLINGS = (
    Spelling(
        "coord",
        "conv.6",
        {"conv1": "reduce", "bn1": "bn", "conv2": "expand_rows", "conv3": "expand_columns"},
        position="inner",
    ),
    Spelling("coord", "ca", {"conv1": "reduce", "bn1": "bn", "conv_h": "expand_rows", "conv_w": "expand_columns"}),
)
"""In the released MobileNetV2, and in the module that its authors offer by itself."""

ROW = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "7": "2", "8": "3"}
FIRST_ROW = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}
"""Layers of a block in its one row -> in torchvision's ``conv``; the first block does not expand, nor has attention."""

_LAYER = re.compile(r"features\.(\d+)\.conv\.(\d)\.(\w+)")


def rename(names: Collection[str]) -> Mapping[str, str]:
    """torchvision's names of coordinate attention's MobileNetV2; none if these are not its."""
    if not any(re.match(r"features\.\d+\.conv\.6\.conv1\.", name) for name in names):
        return {}
    blocks = {int(match[1]) for name in names if (match := _LAYER.fullmatch(name))}
    table = {}
    for name in names:
        if match := _LAYER.fullmatch(name):
            row = FIRST_ROW if int(match[1]) == min(blocks) else ROW
            if match[2] in row:
                table[name] = f"features.{match[1]}.conv.{row[match[2]]}.{match[3]}"
        elif match := re.fullmatch(r"conv\.([01])\.(\w+)", name):
            table[name] = f"features.{max(blocks) + 1}.{match[1]}.{match[2]}"
    return table


libraries.register("houqb/CoordAttention")(Library(SPELLINGS, rename))
