"""A model of one's own by its name, with places for attention behind any layer of it.

It was added by `attention.Lab.add`, comes from an installed package, or stands in the operator's file (see
`attention.models.own_models`). Parameters lie under ``body`` with the model's names.
"""

from typing import Annotated

import torch
from pydantic import Field

from attention.backbones import Facts, ForeignNetwork, backbones
from attention.errors import BadOption
from attention.models import own_models
from attention.models.one_pass import full_copy, meta_copy

Classes = Annotated[int, Field(ge=1)]


class OwnNetwork(ForeignNetwork):
    """A copy of a user's model."""

    def __init__(self, name: str) -> None:
        model = own_models.get(name)
        measured = model.measured
        without_numbers = torch.empty(0).is_meta and measured.without_numbers
        super().__init__(meta_copy(model.module) if without_numbers else full_copy(model.module))
        self.outputs = measured.outputs
        self.input_size = measured.input_size


@backbones.register("own", listed=False)
def own(*, classes: Classes = 1, name: str = "") -> OwnNetwork:
    """A model of one's own, with places behind any layer of it."""
    if classes != facts(name=name).classes:
        raise BadOption(f"The model {name!r} has {facts(name=name).classes} outputs, not {classes}. Leave classes out.")
    return OwnNetwork(name)


def facts(*, name: str = "") -> Facts:
    """What is known of a model of one's own."""
    if not name:
        there = ", ".join(f"own(name={own_name})" for own_name in own_models.names()) or "none"
        raise BadOption(f"Say which model: own(name=...). There are: {there}.")
    measured = own_models.get(name).measured
    return Facts(measured.classes, measured.input_size, measured.outputs, measured.without_numbers)


own.facts = facts  # type: ignore[attr-defined]
