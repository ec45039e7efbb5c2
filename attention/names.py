"""Short names: the grammar in which a Variant, or the size of an input, is one line of text, read and written.

    resnet50/se(reduction=8)@standard:3-4?classes=10&seed=1&weights=shipped
    backbone/attention(options)@position:stages?what differs from the defaults

This file knows text and dictionaries; what a Variant is, and which of its fields may hold what, is told in `spec`.
"""

import itertools
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import quote, unquote

from pydantic import BeforeValidator, Field

from attention.errors import BadVariantName

Scalar = bool | int | float | str
"""What an option's value may be."""

_NAME = re.compile(
    r"""(?:(?P<backbone>[\w.-]+)(?:\((?P<backbone_options>[^()]*)\))?/)?
        (?P<attention>[\w.-]+)(?:\((?P<options>[^()]*)\))?
        (?:@(?P<placement>[\w:.+*-]+))?
        (?:\?(?P<query>[^\s]*))?""",
    re.VERBOSE,
)
_FOREIGN = re.compile(r"^([\w-]+):([\w.-]+)(?=(/)|\?|$)")  # timm:seresnet50 is timm(model=seresnet50)/none
LONGEST = 10_000
"""Letters of a name: all fifty blocks of ResNet-152, one by one, take three hundred."""

BARE: Mapping[str, Any] = {"backbone": "resnet18", "backbone_options": {"width": 0.25}, "weights": "shipped"}
"""What a module's name alone means: the network of its family that comes along, trained on photos of 96 x 96 pixels."""

BARE_POSITIONS: Mapping[str, str] = {"danet": "tail"}
"""Module -> its position in the network that its name alone means, if not `standard`; DANet's is its paper's."""

_FORM = "backbone/attention(option=value)@position:stages, such as resnet50/se(reduction=8)@standard:3-4"


@lru_cache(maxsize=64)
def split_names(text: str) -> tuple[str, ...]:
    """The short names of a comma-separated list; commas inside parentheses belong to the options."""
    cuts, inside = [len(text)], False
    for at in range(len(text) - 1, -1, -1):  # from the end, where one look at each letter is enough
        if text[at] in "()":
            inside = text[at] == ")"
        elif text[at] == "," and not inside:
            cuts.append(at)
    starts = (-1, *reversed(cuts))
    return tuple(part for start, end in itertools.pairwise(starts) if (part := text[start + 1 : end].strip()))


@lru_cache(maxsize=1024)
def parse_variant(name: str) -> Mapping[str, Any]:
    """The fields that a short name sets; kept, because the same few names are asked for again and again.

    Raises:
        BadVariantName: it does not have the form.
    """
    text = _FOREIGN.sub(lambda of: f"{of[1]}(model={of[2]}){'' if of[3] else '/none'}", name.strip())
    if len(text) > LONGEST:
        raise BadVariantName(f"A name of {len(text):,} letters is longer than any network's; {LONGEST:,} are read.")
    match = _NAME.fullmatch(text)
    if match is None:
        raise BadVariantName(f"{text[:200]!r} is not a variant's name. A name has the form {_FORM}.")
    fields: dict[str, Any] = {"attention": match["attention"]}
    if match["backbone"] is None:
        fields |= BARE
        if position := BARE_POSITIONS.get(str(match["attention"]).casefold()):
            fields["placement"] = {"position": position}
    else:
        fields["backbone"] = match["backbone"]
    for key in ("backbone_options", "options"):
        if match[key]:
            fields[key] = _parse_options(match[key], text)
    if match["placement"]:
        fields["placement"] = parse_placement(match["placement"])
    for item in filter(None, (match["query"] or "").split("&")):
        key, sign, value = item.partition("=")
        if key not in ("classes", "seed", "weights") or not sign or not value:
            raise BadVariantName(
                f"{item[:100]!r} in {text[:200]!r}: after '?' a name may set classes, seed and weights."
            )
        fields[key] = unquote(value)
    return fields


def _parse_options(text: str, name: str) -> dict[str, Scalar]:
    options: dict[str, Scalar] = {}
    for item in text.split(","):
        key, sign, value = (part.strip() for part in item.partition("="))
        if not sign or not key.isidentifier() or not value:
            raise BadVariantName(f"{item.strip()[:100]!r} in {name[:200]!r} is not of the form option=value.")
        if key in options:
            raise BadVariantName(f"Option {key[:100]!r} is given twice in {name[:200]!r}.")
        options[key] = read_value(value)
    return options


def read_value(text: str) -> Scalar:
    """Read the value of an option as it is written in a short name: a number, true or false, and else text."""
    try:
        value = json.loads(text.lower() if text in ("True", "False") else text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, bool | int | float | str) else text


def _write_value(value: Scalar) -> str:
    return value if isinstance(value, str) and read_value(value) == value else json.dumps(value)


def _write_options(options: Mapping[str, Scalar]) -> str:
    return f"({','.join(f'{key}={_write_value(options[key])}' for key in sorted(options))})" if options else ""


def parse_placement(text: str) -> dict[str, Any]:
    """The fields that the part after ``@`` sets: a position, and after a colon stages and single blocks, or paths.

    Raises:
        BadVariantName: what follows the colon is not a choice of stages.
    """
    position, sign, ranges = text.partition(":")
    if not sign:
        return {"position": position}
    if position == "after":
        return {"position": position, "paths": ranges.split("+")}
    stages: list[int] = []
    blocks: list[tuple[int, int]] = []
    for part in ranges.split("+"):
        match = re.fullmatch(r"(\d{1,2})(?:-(\d{1,2})|\.(\d{1,2}))?", part)
        if match is None:
            raise BadVariantName(
                f"{ranges[:100]!r} is not a choice of stages. Write 3, 3-4, 1+3-4, or 3.2 for one block."
            )
        if match[3]:
            blocks.append((int(match[1]), int(match[3])))
            continue
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise BadVariantName(f"Stages {part!r} run backwards. Write {last}-{first}.")
        stages += range(first, last + 1)
    return {"position": position, "stages": stages or None, "blocks": blocks or None}


def write_ranges(stages: tuple[int, ...]) -> list[str]:
    """Stages as ranges: 1, 3 and 4 are ``1`` and ``3-4``."""
    runs: list[list[int]] = []
    for stage in stages:
        if runs and stage == runs[-1][1] + 1:
            runs[-1][1] = stage
        else:
            runs.append([stage, stage])
    return [str(a) if a == b else f"{a}-{b}" for a, b in runs]


def write_variant(
    backbone: str,
    backbone_options: Mapping[str, Scalar],
    attention: str | None,
    options: Mapping[str, Scalar],
    placement: str,
    extras: Mapping[str, object],
) -> str:
    """The canonical short name: options by name, and of the extras those that are not None."""
    text = f"{backbone}{_write_options(backbone_options)}/{attention or 'none'}{_write_options(options)}"
    text += f"@{placement}" if placement else ""
    parameters = [f"{key}={quote(str(value), safe='/:.-_')}" for key, value in extras.items() if value is not None]
    return text + (f"?{'&'.join(parameters)}" if parameters else "")


# ---------------------------------------------------------------- sizes of inputs

_HEIGHT_BY_WIDTH = re.compile(r"\s*(\d{1,5})\s*[x×]\s*(\d{1,5})\s*", re.IGNORECASE)
LARGEST_SIDE = 2048


def read_size(value: Any) -> Any:
    """Read ``224x320`` as height and width, and two equal sides as one number.

    Raises:
        ValueError: it is no size of an input.
    """
    written = _HEIGHT_BY_WIDTH.fullmatch(value) if isinstance(value, str) else None
    if written:
        value = [int(side) for side in written.groups()]
    sides = value if isinstance(value, list | tuple) else (value, value)
    try:
        height, width = (int(side) for side in sides)
        right = all(1 <= float(side) <= LARGEST_SIDE and float(side) == int(side) for side in sides)
    except (TypeError, ValueError, OverflowError):
        right = False
    if not right:
        raise ValueError(
            f"An input's size is 1 to {LARGEST_SIDE} pixels, or height and width, such as [224, 320] or 224x320."
        )
    return sides[0] if height == width else tuple(sides)


Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
Size = Annotated[Side | tuple[Side, Side], BeforeValidator(read_size)]
"""Pixels of an input: the side of a square, or height and width, written [224, 320] or 224x320."""


def height_and_width(size: Size) -> tuple[int, int]:
    """Height and width of an input, pixels."""
    return size if isinstance(size, tuple) else (size, size)


def short_size(size: Size) -> int | str:
    """An input's size as it is typed: 224, or 224x320."""
    return "{}x{}".format(*size) if isinstance(size, tuple) else size


def write_size(size: Size) -> str:
    """An input's height and width in words: ``224 x 320``."""
    return "{} x {}".format(*height_and_width(size))
