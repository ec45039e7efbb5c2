"""Triplet attention's own names: three gates ``cw``, ``hc`` and ``hw`` under ``triplet_attention`` in blocks.

Rotate to Attend. Diganta Misra et al. WACV 2021. https://github.com/landskape-ai/triplet-attention:
MODELS/triplet_attention.py, resnet.py.
"""

from attention.weights.key_names import Library, Spelling, libraries

GATES = {"cw": "over_height", "hc": "over_width", "hw": "over_channels"}
LAYERS = {f"{theirs}.conv.{layer}": f"{ours}.{layer}" for theirs, ours in GATES.items() for layer in ("conv", "bn")}

libraries.register("landskape-ai/triplet-attention")(Library((Spelling("triplet", "triplet_attention", LAYERS),)))
