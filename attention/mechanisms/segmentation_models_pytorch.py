"""Attention classes of segmentation-models-pytorch."""

from attention.mechanisms import mechanisms

mechanisms.register("segmentation_models_pytorch")(
    {
        "SCSEModule": "scse",
        "SEModule": "se",
        "SEBlock": "se",
        "MBConvBlock": "se",
        "MFABBlock": "mfab",
        "GAUBlock": "gau",
    }
)
