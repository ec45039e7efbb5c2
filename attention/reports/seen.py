"""The question what a network sees of a photo, and its answer, as plain data."""

from typing import ClassVar

from pydantic import Field

from attention.reports.compare import PhotoInput
from attention.reports.writing.tables import Report
from attention.spec import PhotoId, Plain, Preprocess, Request, Variant

Crop = tuple[float, float, float, float]


class SeenPicture(Plain):
    """The input of one or more networks, before it is normalised."""

    networks: tuple[str, ...] = Field(description="Short names of the networks that see it so.")
    preprocess: Preprocess = Field(description="How the photo became the input.")
    crop: Crop = Field(
        default=(0.0, 0.0, 1.0, 1.0),
        description="The part of the photo that they see: left, top, right and bottom as shares of its width and "
        "height; below 0 and above 1 is what was padded.",
    )
    png_base64: str = Field(description="The input as a PNG of as many pixels, in base64.")


class SeenReport(Report):
    """The answer of seen: one picture for each way in which the networks prepare a photo."""

    image: str = Field(description="Id of the photo.")
    pictures: tuple[SeenPicture, ...] = Field(description="In the order in which networks first ask for them.")


class SeenRequest(PhotoInput, Request[SeenReport]):
    """What is left of a photo when a network sees it: its input, as a picture?"""

    examples: ClassVar = ({"image": "<id from POST /v1/images>", "variants": ["none", "eca"]},)

    image: PhotoId = Field(description="Id of a photo.")
    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("none"),), min_length=1, max_length=12, description="Networks that see it."
    )
