"""Classes of many images, kept small: a number each, as bytes."""

import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field

from attention.spec import Plain

CODES: dict[Literal[1, 2, 4], str] = {1: "B", 2: "H", 4: "I"}
"""Bytes of a number -> its type code in `array`."""


class PackedClasses(Plain):
    """The class number of each of many images, unsigned, lowest byte first."""

    width: Literal[1, 2, 4] = Field(description="Bytes of a number.")
    base64: str = Field(description="All numbers, one after the other, in base64.")

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Self:
        """Pack class numbers, 0 to 2^32 - 1, into as few bytes as the largest needs."""
        largest = max(numbers, default=0)
        width: Literal[1, 2, 4] = 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4
        packed = array(CODES[width], numbers)
        if sys.byteorder == "big":
            packed.byteswap()
        return cls(width=width, base64=b64encode(packed.tobytes()).decode())

    def numbers(self) -> list[int]:
        """Unpack the class numbers, one an image."""
        packed = array(CODES[self.width], b64decode(self.base64))
        if sys.byteorder == "big":
            packed.byteswap()
        return packed.tolist()
