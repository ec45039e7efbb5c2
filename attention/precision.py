"""Number formats that networks run in, and how far what they give may be from float32 on the CPU."""

from collections.abc import Mapping
from typing import Literal

from attention.errors import InvalidRequest

DType = Literal["float32", "bfloat16", "float16"]

APART: Mapping[DType, float] = {"float32": 2e-3, "float16": 8e-3, "bfloat16": 6e-2}
"""By how much a probability, or a gate's weight between 0 and 1, may differ from float32 on the CPU.

A rounding is off by at most 2^-24 of a number in float32, 2^-11 in float16 and 2^-8 in bfloat16 (IEEE 754-2019;
Kalamkar et al., A Study of BFLOAT16 for Deep Learning Training, 2019, https://arxiv.org/abs/1905.12322). A GPU
multiplies float32 in TF32, whose roundings are those of float16. On a CPU the shipped networks come to 1e-6, 2e-3 and
2.4e-2, and where all gates are replaced to 4.3e-2. An image's first class may change only where its two largest
probabilities on the CPU are nearer to each other than that. ``python -m benchmarks.agree`` measures it.
"""


def check_precision(dtype: DType, device: str) -> None:
    """Raise InvalidRequest unless networks run in a number format on a device.

    Raises:
        InvalidRequest: they do not.
    """
    if dtype == "float16" and not device.startswith("cuda"):
        raise InvalidRequest("float16 is slow and incomplete on a CPU. Ask for float32 or bfloat16.")
