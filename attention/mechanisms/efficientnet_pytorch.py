"""Attention classes of efficientnet_pytorch, whose blocks compute their own squeeze-and-excitation."""

from attention.mechanisms import mechanisms

mechanisms.register("efficientnet_pytorch")({"MBConvBlock": "se"})
