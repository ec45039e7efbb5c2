"""Grad-CAM's question and answer, as plain data: where in photos networks found what speaks for a class."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from attention.reports.compare import ClassScore, PhotoInput
from attention.reports.parts.subjects import Ran
from attention.reports.writing.tables import Report
from attention.spec import PhotoId, Plain, Request, Variant

MOST_MAPS = 48
"""Heat maps of one answer: each takes a forward and a backward pass of its photo."""


class CamNetwork(Ran):
    """A network as it was run, and the feature map that was looked at."""

    layer: str = Field(description="Path of the module whose output is the feature map.")
    stage: int | None = Field(
        description="The stage that it is the output of, or comes after, counted from 1; null where none is known."
    )
    channels: int = Field(description="Channels of the feature map.")
    height: int = Field(description="Rows of the feature map, and of the heat maps.")
    width: int = Field(description="Columns of the feature map, and of the heat maps.")
    classes: int = Field(description="How many classes it tells apart.")


class CamPhoto(Plain):
    """A photo that was looked at."""

    image: str = Field(description="Image id.")
    width: int = Field(description="Pixels, upright.")
    height: int = Field(description="Pixels, upright.")


class CamMap(Plain):
    """What spoke for a class, over one photo as one network saw it."""

    image: str = Field(description="Image id.")
    network: str = Field(description="Short name of the network.")
    target: ClassScore = Field(description="The class that the map is about, with its probability.")
    first: ClassScore = Field(description="The network's most probable class.")
    crop: tuple[float, float, float, float] = Field(
        description="The part of the photo that the network saw and the map covers: left, top, right and bottom as "
        "shares of the upright photo's width and height; below 0 and above 1 is what was padded."
    )
    maximum: float = Field(
        description="Largest entry of the map before it was divided by it, in units of logit times activation; 0 where "
        "nothing speaks for the class."
    )
    grid: tuple[tuple[float, ...], ...] = Field(
        description="Rows of the heat map from the top, each from the left, 0..1: the positive part, by its maximum."
    )


class CamReport(Report):
    """The answer of cam: a heat map for each photo and network."""

    main: ClassVar = "maps"

    networks: tuple[CamNetwork, ...] = Field(description="The networks in the order asked for.")
    photos: tuple[CamPhoto, ...] = Field(description="The photos in the order asked for.")
    maps: tuple[CamMap, ...] = Field(description="Every photo (slow index) with every network (fast index).")
    caveats: tuple[str, ...] = Field(description="What to know before reading the maps.")
    method: str = Field(description="How they were computed, with the source.")


class CamRequest(PhotoInput, Request[CamReport]):
    """Where in these photos did each network find what speaks for its class? Grad-CAM, side by side."""

    examples: ClassVar = (
        {"images": ["<id from POST /v1/images>"], "variants": ["none", "se", "eca"], "target": "dog"},
    )

    images: tuple[PhotoId, ...] = Field(min_length=1, max_length=16, description="Ids of photos.")
    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("none"), Variant.parse("se"), Variant.parse("eca")),
        min_length=1,
        max_length=12,
        description="Networks to compare, as objects or short names.",
    )
    target: int | Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="The class whose evidence is shown: its name, or its number among the logits, from 0; null is the "
        "most probable class, of each network and photo anew.",
    )
    stage: int | None = Field(
        default=None,
        ge=1,
        le=99,
        description="The stage on whose output to look, counted from 1; null is the backbone's last "
        "feature map, before it is pooled.",
    )

    @model_validator(mode="after")
    def _is_quick(self) -> Self:
        if (maps := len(self.images) * len(self.variants)) > MOST_MAPS:
            raise ValueError(f"{maps} heat maps are asked for; at most {MOST_MAPS} are made at a time.")
        return self
