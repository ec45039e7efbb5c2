"""A grid: variants that differ in a few fields, every combination of them, said in a few words."""

import itertools
import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from attention.spec import OptionValue, Plain, Variant

MOST_COMBINATIONS = 1024
"""Networks that a grid may stand for: four fields of 32 values would be a million, from a line of JSON."""


class Grid(Plain):
    """Variants that differ in a few fields, every combination of them: r for SE, k for ECA, stages, places."""

    base: Variant = Field(description="The variant whose fields are varied.")
    vary: dict[
        Annotated[str, Field(pattern=r"^(attention|placement|backbone|(backbone_)?options\.[A-Za-z_]\w*)$")],
        Annotated[tuple[OptionValue, ...], Field(min_length=1, max_length=32)],
    ] = Field(
        min_length=1,
        max_length=4,
        description="Field -> its values: attention, placement, backbone, options.<name> or backbone_options.<name>.",
    )

    @model_validator(mode="after")
    def _has_few_combinations(self) -> Self:
        count = math.prod(map(len, self.vary.values()))
        if count > MOST_COMBINATIONS:
            raise ValueError(f"This makes {count:,} networks; a grid makes up to {MOST_COMBINATIONS}. Vary less.")
        return self

    def variants(self) -> tuple[Variant, ...]:
        """Every combination, the last field varying fastest."""
        variants = []
        for values in itertools.product(*self.vary.values()):
            data = self.base.model_dump()
            for field, value in zip(self.vary, values, strict=True):
                whole, _, option = field.partition(".")
                data[whole] = {**data[whole], option: value} if option else value
            variants.append(Variant.model_validate(data))
        return tuple(variants)
