"""The names of the oldest SE-ResNets for PyTorch: a stem called ``layer0``, ``se_module``, ``last_linear``.

Rémi Cadène. 2017. https://github.com/Cadene/pretrained-models.pytorch: pretrainedmodels/models/senet.py; timm has
them as legacy_seresnet50 and its kin (timm/models/senet.py). Converted from the Caffe models of the SE paper.
"""

from attention.weights.key_names import Library, Spelling, libraries, patterns

SPELLINGS = (Spelling("se", "se_module", {"fc1": "reduce", "fc2": "expand"}),)

rename = patterns((r"layer0\.(conv1|bn1)\.", r"\1."), (r"last_linear\.", "fc."))

NOTE = (
    "In networks of these names the stem's maximum runs over maps without a border, here over maps with one, so that "
    "logits differ a little; they put a bottleneck's stride in its first 1x1: version=v1."
)

libraries.register("Cadene/pretrained-models.pytorch")(Library(SPELLINGS, rename, note=NOTE))
