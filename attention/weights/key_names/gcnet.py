"""GCNet's own names: ``context_block`` in blocks.

GCNet. Yue Cao et al. 2019. https://github.com/xvjiarui/GCNet: mmdet/ops/gcb/context_block.py.
"""

from attention.weights.key_names import Library, Spelling, libraries

LAYERS = {
    "conv_mask": "attend",
    "channel_add_conv.0": "reduce",
    "channel_add_conv.1": "norm",
    "channel_add_conv.3": "expand",
}

libraries.register("xvjiarui/GCNet")(Library((Spelling("gc", "context_block", LAYERS),)))
