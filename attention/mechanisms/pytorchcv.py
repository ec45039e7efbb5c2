"""Attention classes of pytorchcv."""

from attention.mechanisms import mechanisms

mechanisms.register("pytorchcv")(
    {
        "SEBlock": "se",
        "ChannelGate": "cbam",
        "SpatialGate": "cbam",
        "CbamBlock": "cbam",
        "BamBlock": "bam",
        "SKConvBlock": "sk",
        "SABlock": "split_attention",
        "AirBlock": "air",
        "AirBottleneck": "air",
        "DiceBlock": "dice",
        "DiceBaseBlock": "dice",
    }
)
