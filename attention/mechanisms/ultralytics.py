"""Attention classes of ultralytics."""

from attention.mechanisms import mechanisms

mechanisms.register("ultralytics")({"CBAM": "cbam", "ChannelAttention": "cbam", "SpatialAttention": "cbam"})
