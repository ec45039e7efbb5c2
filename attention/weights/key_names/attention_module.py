"""The names of CBAM's and BAM's own code, where BAM stands between stages as ``bam1`` to ``bam3``.

CBAM, ECCV 2018, and BAM, BMVC 2018. Sanghyun Woo, Jongchan Park et al. https://github.com/Jongchan/attention-module:
MODELS/cbam.py, bam.py, model_resnet.py. Its BAM multiplies the two parts (``combine=product``); the paper adds them.
"""

from attention.weights.key_names import Library, Spelling, libraries, patterns

SPELLINGS = (
    Spelling(
        "cbam",
        "cbam",
        {
            "ChannelGate.mlp.1": "reduce",
            "ChannelGate.mlp.3": "expand",
            "SpatialGate.spatial.conv": "spatial.conv",
            "SpatialGate.spatial.bn": "spatial.bn",
        },
    ),
)

CHANNEL = {"gate_c_fc_0": "0", "gate_c_bn_1": "1", "gate_c_fc_final": "3"}
SPATIAL = {
    "gate_s_conv_reduce0": "0",
    "gate_s_bn_reduce0": "1",
    "gate_s_conv_di_0": "3",
    "gate_s_bn_di_0": "4",
    "gate_s_conv_di_1": "6",
    "gate_s_bn_di_1": "7",
    "gate_s_conv_final": "9",
}
"""Layers of BAM's two parts, in their code -> in ours."""

rename = patterns(
    *(
        (rf"bam(\d)\.channel_att\.gate_c\.{theirs}\.", rf"after\1.0.channel.{ours}.")
        for theirs, ours in CHANNEL.items()
    ),
    *(
        (rf"bam(\d)\.spatial_att\.gate_s\.{theirs}\.", rf"after\1.0.spatial.{ours}.")
        for theirs, ours in SPATIAL.items()
    ),
)

NOTE = (
    "The released BAM multiplies its two parts where the paper adds them, which no shape tells: bam(combine=product) "
    "computes what was trained."
)

libraries.register("Jongchan/attention-module")(Library(SPELLINGS, rename, {"bam": {"combine": "product"}}, NOTE))
