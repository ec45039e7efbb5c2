"""What a service can be asked about: modules, backbones, networks, analyses, as plain data."""

from typing import Any

from pydantic import Field

from attention.names import Size
from attention.registry.aliases import Names
from attention.reports.modules import Traits
from attention.reports.parts.checkpoints import Card
from attention.reports.parts.network import OutputKind
from attention.spec import GateKind, Placement, Plain, Position


class ModuleEntry(Plain):
    """An attention module on the shelf."""

    name: str = Field(description="What a variant calls it.")
    names: Names = Field(description="Aliases and former names of it and of its options; all are understood.")
    title: str = Field(description="First line of its documentation.")
    doc: str = Field(description="The whole documentation, with the paper.")
    papers: tuple[str, ...] = Field(description="Links in the documentation.")
    formula: str = Field(default="", description="The formula in the documentation, a line an equation.")
    code: str = Field(default="", description="The lines of its file that compute it.")
    bibtex: str = Field(default="", description="Its paper for a bibliography; empty for a control without one.")
    options: dict[str, Any] = Field(description="JSON Schema of its options, with defaults and descriptions.")
    gates: tuple[GateKind, ...] = Field(description="Kinds of gate it has, in order.")
    published: dict[str, Placement] = Field(
        description="Backbone -> where the placement 'published' puts it there: as its paper does, 'standard' where "
        "the paper does not say. Backbones without such a place are left out."
    )
    traits: Traits = Field(description="What it is like, found out by trying a fresh one.")


class BackboneEntry(Plain):
    """A backbone on the shelf."""

    name: str = Field(description="What a variant calls it.")
    names: Names = Field(description="Aliases and former names of it and of its options; all are understood.")
    title: str = Field(description="First line of its documentation.")
    doc: str = Field(description="The whole documentation, with the paper.")
    papers: tuple[str, ...] = Field(description="Links in the documentation.")
    options: dict[str, Any] = Field(description="JSON Schema of its options, with defaults and descriptions.")
    positions: dict[Position, tuple[int, ...]] = Field(description="Positions it has, each with its stages.")
    input_size: Size = Field(description="Side of the input it is meant for, or height and width, pixels.")
    classes: int = Field(description="Classes it has unless a variant says otherwise.")


class OwnModelEntry(Plain):
    """A model of an installed package or of the operator's file."""

    name: str = Field(description="What a variant calls it, such as own(name=mine).")
    title: str = Field(description="First line of its builder's documentation.")
    problem: str | None = Field(default=None, description="Why it cannot be asked about; null if it can.")
    outputs: OutputKind = Field(default="classes", description="What it gives for each image.")
    classes: int = Field(default=0, description="Classes that it tells apart.")
    input_size: Size = Field(default=1, description="Height and width of its input, pixels.")
    parameters: int = Field(default=0, description="Trainable parameters.")
    gates: int = Field(default=0, description="Gates that a pass met.")


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


class PublishedNetwork(Plain):
    """A network of ImageNet's thousand classes that can be fetched from the hub."""

    name: str = Field(description="Short name of the variant with its weights.")
    repository: str = Field(description="Where it lies on the hub.")
    attention: str | None = Field(description="Its attention module here; None if it has none, or only its own.")
    licence: str = Field(description="Licence of the weights, as the hub spells it.")
    megabytes: float = Field(description="About how large the file is, millions of bytes.")
    recipe: str = Field(description="How it was trained, as far as that is published.")
    top1: float = Field(description="Published accuracy on ImageNet's validation images, per cent; one run.")
    test_size: int = Field(description="Height and width of the images that it was measured at, pixels.")
    groups: tuple[str, ...] = Field(description="Groups of networks of one recipe that it belongs to.")


class PublishedChoice(Plain):
    """Published networks that are fetched together: a group of one recipe, or a single one."""

    name: str = Field(description="What POST /v1/weights/fetch calls it, such as quartet.")
    networks: tuple[str, ...] = Field(description="Short names of the variants with their weights.")
    megabytes: float = Field(description="About how large their files are together, millions of bytes.")
    here: bool = Field(description="Whether all of them were fetched, so that they need no network any more.")
    obstacle: str | None = Field(description="Why nothing can be fetched now, as far as that is known.")


class PublishedChoices(Plain):
    """Published networks to choose from, and which of them are here."""

    weights: tuple[PublishedChoice, ...] = Field(description="Groups first, then single networks.")


class Catalog(Plain):
    """All that can be asked for."""

    version: str = Field(description="Version of the service.")
    modules: tuple[ModuleEntry, ...]
    backbones: tuple[BackboneEntry, ...]
    own_models: tuple[OwnModelEntry, ...] = Field(
        default=(), description="Models of installed packages and of the operator's file, as backbones."
    )
    placements: dict[str, str] = Field(description="Each position with where it is.")
    ablations: dict[str, str] = Field(description="Each kind of ablation with the question it answers.")
    shipped: tuple[Shipped, ...]
    published: tuple[PublishedNetwork, ...] = Field(
        default=(), description="ImageNet networks that attention-lab fetch brings."
    )
    analyses: tuple[AnalysisEntry, ...]
