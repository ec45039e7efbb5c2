"""OpenMMLab's names: ``backbone.`` before the network, ``head.fc`` for the classifier, ``se_layer`` in blocks.

MMPretrain. OpenMMLab. 2020. https://github.com/open-mmlab/mmpretrain: mmpretrain/models/backbones/seresnet.py,
models/utils/se_layer.py. MMDetection's ``context_block`` is GCNet's.
"""

from attention.weights.key_names import Library, Spelling, libraries, patterns

SPELLINGS = (Spelling("se", "se_layer", {"conv1.conv": "reduce", "conv2.conv": "expand"}),)

rename = patterns((r"backbone\.", ""), (r"head\.fc\.", "fc."))

libraries.register("open-mmlab/mmpretrain")(Library(SPELLINGS, rename))
