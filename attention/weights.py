"""Where a variant's trained weights come from: checkpoints as safetensors, each with a card of its making."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from attention.errors import BadCheckpoint
from attention.reports import Card
from attention.spec import Variant

SHIPPED = Path(__file__).parent / "shipped"


@cache
def shipped() -> Mapping[Variant, Card]:
    """The checkpoints that come with the project: variant without weights -> card."""
    cards = [Card.model_validate_json(path.read_text()) for path in sorted(SHIPPED.glob("*.json"))]
    return {bare(card.variant): card for card in cards}


def card(variant: Variant) -> Card | None:
    """The card of a resolved variant's weights; None if it is untrained.

    Raises:
        BadCheckpoint: the variant asks for weights that are not there.
    """
    if variant.weights is None:
        return None
    if variant.weights != "shipped":
        raise BadCheckpoint(f"There are no weights called {variant.weights!r}. Say 'shipped', or leave weights out.")
    found = shipped().get(bare(variant))
    if found is None:
        names = ", ".join(f"{one.name}?weights=shipped" for one in shipped()) or "none yet"
        raise BadCheckpoint(
            f"No trained weights for {bare(variant).name} come with the service. Shipped are: {names}. "
            f"Leave weights out to get it untrained: {bare(variant).name}."
        )
    if variant.classes not in (None, len(found.labels)):
        raise BadCheckpoint(
            f"The shipped {bare(variant).name} has {len(found.labels)} classes, not {variant.classes}. "
            "Leave classes out."
        )
    return found


def load(model: nn.Module, variant: Variant) -> None:
    """Put a resolved variant's trained weights into its model.

    Raises:
        BadCheckpoint: the file is missing or damaged, or its names and shapes are not the model's.
    """
    found = card(variant)
    if found is None:
        return
    path = SHIPPED / f"{checkpoint_name(found.variant)}.safetensors"
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadCheckpoint(f"The checkpoint {path.name} cannot be read: {error}.") from error
    own = model.state_dict()
    faults = [f"{name} is missing" for name in own if name not in state]
    faults += [f"{name} is unexpected" for name in state if name not in own]
    faults += [
        f"{name} is {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if faults:
        raise BadCheckpoint(f"The checkpoint {path.name} does not fit {variant.name}: {'; '.join(faults[:5])}.")
    model.load_state_dict(state)


def bare(variant: Variant) -> Variant:
    """What identifies a checkpoint: the network alone, without weights, seed and number of classes."""
    return variant.model_copy(update={"weights": None, "seed": 0, "classes": None})


def checkpoint_name(variant: Variant) -> str:
    """The file name of a checkpoint without its ending: the short name with dashes."""
    return "".join(letter if letter.isalnum() or letter in "=." else "-" for letter in bare(variant).name).strip("-")
