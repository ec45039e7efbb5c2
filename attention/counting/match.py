"""The widened control: the plain network, made as wide as it takes to be as large as one with attention.

A module adds parameters and work, and a network that is merely wider has more of them too. So beside "with" and
"without" an ablation wants the plain network with the same parameters, or the same multiply-accumulates.
"""

from functools import lru_cache
from typing import Literal

from attention.backbones import backbones
from attention.build import resolve
from attention.counting.cost import count
from attention.errors import InvalidRequest
from attention.registry.options import schema
from attention.spec import OptionValue, Variant

FINENESS = 1000
"""Widths are tried in steps of a thousandth of the backbone's own, finer than one channel of the widest stage."""


@lru_cache(maxsize=256)
def widened(variant: Variant, by: Literal["parameters", "macs"] = "parameters") -> Variant:
    """The plain twin of a variant whose width brings its parameters, or its multiply-accumulates, closest to the
    variant's; the twin itself where one more step of width overshoots by more than the module adds.

    Raises:
        InvalidRequest: the backbone has no option ``width``.
        AttentionError: the variant cannot be built.
    """
    variant = resolve(variant)

    def size(steps: int) -> int:
        return int(getattr(count(_wider(variant.plain, steps)).total, by))

    target = int(getattr(count(variant).total, by))
    plain = size(0)
    if target <= plain:
        return variant.plain
    # Both grow about as the square of the width. In whole steps they grow in jumps, never shrinking.
    low, high = 0, max(round(FINENESS * ((target / plain) ** 0.5 - 1)), 1)
    while size(high) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < target else (low, middle)
    below = 0 if size(low) == plain else low
    return _wider(variant.plain, below if target - size(low) <= size(high) - target else high)


def _wider(plain: Variant, steps: int) -> Variant:
    """A plain network that is so many steps wider than it says."""
    field = schema(backbones[plain.backbone]).get("properties", {}).get("width")
    if field is None:
        raise InvalidRequest(f"{plain.backbone!r} has no option 'width', so there is no wider one to compare with.")
    if steps == 0:
        return plain
    base_width = plain.backbone_options.get("width", field["default"])
    kinds = {kind.get("type") for kind in field.get("anyOf", [field])}
    width: OptionValue = round(base_width * (1 + steps / FINENESS), 6) if "number" in kinds else base_width + steps
    return resolve(plain.model_copy(update={"backbone_options": {**plain.backbone_options, "width": width}}))
