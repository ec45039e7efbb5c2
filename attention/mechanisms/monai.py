"""Attention classes of MONAI."""

from attention.mechanisms import mechanisms

mechanisms.register("monai")(
    {"ChannelSELayer": "se", "ResidualSELayer": "se", "MBConvBlock": "se", "AttentionBlock": "attention_gate"}
)
