"""ECA-Net's own names: ``eca`` in ResNets, one more layer at the end of ``conv`` in the blocks of its MobileNetV2.

ECA-Net. Qilong Wang et al. CVPR 2020. https://github.com/BangguWu/ECANet: models/eca_resnet.py, eca_mobilenetv2.py.
"""

from attention.weights.key_names import Library, Spelling, libraries

SPELLINGS = (
    Spelling("eca", "eca", {"conv": "conv"}),
    Spelling("eca", "conv.4", {"conv": "conv"}),
    Spelling("eca", "conv.3", {"conv": "conv"}),
)
"""The first block of MobileNetV2 does not expand, so that there the layer is one earlier."""

libraries.register("BangguWu/ECANet")(Library(SPELLINGS))
