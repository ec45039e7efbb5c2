"""Attention classes of torchvision."""

from attention.mechanisms import mechanisms

mechanisms.register("torchvision")({"SqueezeExcitation": "se", "LRASPPHead": "lraspp"})
