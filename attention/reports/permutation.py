"""Permutation's question and answer, as plain data: does a module depend on the order of the channels?"""

from typing import ClassVar, Literal

from pydantic import Field

from attention.reports.writing.tables import Report
from attention.spec import GateKind, Plain, Request, Seed, Variant

Order = Literal["blind to it", "carried by the weights", "in its structure"]


class PermutedModule(Plain):
    """One module, and what became of its gates when the channels that arrive were permuted."""

    module: str = Field(description="Name of the module.")
    variant: str | None = Field(description="Short name of the network it sits in; null for a lone one.")
    path: str | None = Field(description="Where it sits in that network.")
    stage: int | None = Field(description="Stage of that place, counted from 1.")
    block: int | None = Field(description="Block of that place, counted from 1.")
    channels: int = Field(description="Channels of the map that arrives.")
    kinds: tuple[GateKind, ...] = Field(description="What its gates run over.")
    spread: float = Field(description="Standard deviation of all entries of its gates: what changes are to be seen by.")
    weights_stay: float | None = Field(
        description="Channels permuted, weights not: mean |gate put back in order - gate|, in units of the gate."
    )
    weights_follow: float | None = Field(
        description="Channels permuted, and with them every axis of the weights that runs over channels."
    )
    order: Order | None = Field(
        description="'blind to it': nothing changes even if the weights stay. 'carried by the weights': nothing "
        "changes if they follow. 'in its structure': it changes even so, as for a filter across neighbours."
    )
    sentence: str = Field(description="The same in words, or why it could not be tried.")


class PermutationReport(Report):
    """The answer of permutation: a row for each module."""

    rows: tuple[PermutedModule, ...] = Field(description="Lone modules first, then network by network.")
    conditions: str = Field(description="What was permuted, and how it was computed.")


class PermutationRequest(Request[PermutationReport]):
    """Does a module's gate depend on the order in which channels stand?"""

    examples: ClassVar = ({"modules": ["eca", "se", "se_var1"], "channels": 64},)

    modules: tuple[str, ...] = Field(
        default=("eca", "se", "se_var1"), max_length=64, description="Modules to try by themselves, on noise."
    )
    variants: tuple[Variant, ...] = Field(
        default=(), max_length=4, description="Networks whose modules are tried where they sit, on the photo."
    )
    image: str | None = Field(
        default=None, max_length=200, description="Id of a photo for the networks; null is noise in place of one."
    )
    channels: int = Field(default=64, ge=16, le=512, description="Channels of the maps that lone modules are tried on.")
    seed: Seed = Field(default=0, description="Seed of the permutation, of lone weights and of noise.")
