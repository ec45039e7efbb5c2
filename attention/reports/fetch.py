"""Fetch's question and answer, as plain data: published networks that are brought from the hub, once."""

from typing import ClassVar

from pydantic import Field

from attention.reports.writing.tables import Report
from attention.spec import Plain, Request


class FetchedNetwork(Plain):
    """A published network that is here now."""

    name: str = Field(description="Short name of the variant with its weights.")
    repository: str = Field(description="Where it lies on the hub.")
    licence: str = Field(description="Licence of the weights, as the hub spells it.")
    revision: str | None = Field(description="The hub's commit.")
    bytes: int = Field(description="Size of the file.")
    fetched_bytes: int = Field(description="How many of them came now; 0 if it was here already.")
    seconds: float = Field(description="How long that took, seconds.")
    tensors: int = Field(description="Tensors of the network that the file has, which is all of them.")


class FetchReport(Report):
    """Networks that are here now, checked by their checksums, each of which fits in every tensor."""

    networks: tuple[FetchedNetwork, ...] = Field(description="In the order of the group, the plain one first.")
    complete: bool = Field(default=True, description="Whether all that were asked for are here.")


class FetchRequest(Request[FetchReport]):
    """Bring published networks of ImageNet from the hub; what is here already is not fetched again."""

    examples: ClassVar = ({"name": "quartet"},)

    analysis: ClassVar = "weights/fetch"
    slow: ClassVar = True

    name: str = Field(
        min_length=1,
        max_length=200,
        description="A group of networks such as quartet, or one such as seresnet50.a1_in1k; the catalogue lists them.",
    )
