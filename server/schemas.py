"""What only HTTP has: stored images, the catalogue, and the one shape of an error."""

from typing import Any

from pydantic import Field

from attention.reports import Card
from attention.spec import GateKind, Plain, Position


class Image(Plain):
    """A photo that requests may name by id."""

    id: str = Field(description="SHA-256 of the file's bytes, in hex.")
    name: str = Field(description="File name as uploaded, without folders.")
    format: str = Field(description="What the bytes are: JPEG, PNG, WEBP, ...")
    width: int = Field(description="Width in pixels, upright.")
    height: int = Field(description="Height in pixels, upright.")
    bytes: int = Field(description="Size of the file in bytes.")
    sample: bool = Field(default=False, description="Whether it belongs to the sample gallery.")
    title: str | None = Field(default=None, description="What a sample photo shows.")
    credit: str | None = Field(default=None, description="Author, licence and source of a sample photo.")


class Images(Plain):
    """Stored photos."""

    images: tuple[Image, ...] = Field(description="Samples first, then uploads, newest first.")


class ModuleEntry(Plain):
    """An attention module on the shelf."""

    name: str = Field(description="What a variant calls it.")
    title: str = Field(description="First line of its documentation.")
    doc: str = Field(description="The whole documentation, with the paper.")
    papers: tuple[str, ...] = Field(description="Links in the documentation.")
    options: dict[str, Any] = Field(description="JSON Schema of its options, with defaults and descriptions.")
    gates: tuple[GateKind, ...] = Field(description="Kinds of gate it has, in order.")


class BackboneEntry(Plain):
    """A backbone on the shelf."""

    name: str = Field(description="What a variant calls it.")
    title: str = Field(description="First line of its documentation.")
    doc: str = Field(description="The whole documentation, with the paper.")
    papers: tuple[str, ...] = Field(description="Links in the documentation.")
    options: dict[str, Any] = Field(description="JSON Schema of its options, with defaults and descriptions.")
    positions: dict[Position, tuple[int, ...]] = Field(description="Positions it has, each with its stages.")
    input_size: int = Field(description="Height and width it is meant for, pixels.")
    classes: int = Field(description="Classes it has unless a variant says otherwise.")


class AnalysisEntry(Plain):
    """A question the service can answer."""

    name: str = Field(description="POST /v1/<name> asks it.")
    title: str = Field(description="The question.")
    slow: bool = Field(description="Whether it runs as a job.")
    request: dict[str, Any] = Field(description="JSON Schema of the request.")


class Shipped(Plain):
    """A checkpoint that comes with the service."""

    name: str = Field(description="Short name of the variant with its weights.")
    card: Card = Field(description="Where it comes from.")


class Catalog(Plain):
    """All that can be asked for."""

    version: str = Field(description="Version of the service.")
    modules: tuple[ModuleEntry, ...]
    backbones: tuple[BackboneEntry, ...]
    placements: dict[str, str] = Field(description="Each position with where it is.")
    ablations: dict[str, str] = Field(description="Each kind of ablation with the question it answers.")
    shipped: tuple[Shipped, ...]
    analyses: tuple[AnalysisEntry, ...]


class Health(Plain):
    """Whether the service lives, or is ready for requests."""

    status: str = Field(description="'ok', or what is missing.")
    version: str
    device: str = Field(description="Where networks run.")


class Problem(Plain):
    """The one shape of an error (RFC 9457, application/problem+json)."""

    type: str = Field(description="Which error, as a path: /problems/unknown-name.")
    title: str = Field(description="Its name in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="A sentence that says what is wrong and what to do.")
    instance: str = Field(description="The path that was asked.")
    errors: tuple[dict[str, Any], ...] = Field(default=(), description="Where in the request each fault is, if known.")
