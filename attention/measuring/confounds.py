"""What two networks differ in beside their attention: the reasons for which a difference may not be put down to it."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from attention.errors import listing
from attention.names import short_size
from attention.reports.parts.checkpoints import Card
from attention.reports.parts.network import Network
from attention.spec import Variant


def confounds(base: Variant, arm: Variant) -> tuple[str, ...]:
    """Say what two arms differ in beside attention, in sentences that name the matched control; none if nothing.

    A plain network of another width is a control of capacity, not a confounded arm.
    """
    if arm.attention is None or arm.plain == base.plain:
        return ()
    control = f"The matched control is {arm.plain.name}."
    if arm.backbone != base.backbone:
        return (f"It has another backbone than {base.name}. {control}",)
    changed = sorted(
        option
        for option in {*arm.backbone_options, *base.backbone_options}
        if arm.backbone_options.get(option) != base.backbone_options.get(option)
    )
    if changed:
        return (f"Its backbone differs from the baseline's in {', '.join(changed)}. {control}",)
    return (f"It has another number of classes than {base.name}. {control}",)


def different_places(arms: Iterable[Variant]) -> str | None:
    """Say that the modules of arms sit at different places; None if they do not."""
    places = {str(arm.placement) for arm in arms if arm.attention}
    if len(places) < 2:
        return None
    return f"The modules sit at different places ({', '.join(sorted(places))}): a ranking mixes module and place."


@lru_cache(maxsize=256)
def differences_in_training(networks: tuple[Network, ...]) -> tuple[str, ...]:
    """Say what trained networks that are looked at side by side differ in beside their attention.

    Backbone and resolution are known of every network, the rest of those that have a card.
    """
    warnings = [
        f"The networks differ in {what} ({_listed(values)}), so a difference between them need not come from attention."
        for what, values in _facts(networks).items()
        if len(set(values.values())) > 1
    ]
    unknown = dict.fromkeys(network.name for network in networks if network.card is None)
    if unknown and len({network.name for network in networks}) > 1:
        warnings.append(f"How {', '.join(unknown)} was trained is not known; a difference may come from training.")
    return tuple(warnings)


def _facts(networks: Sequence[Network]) -> dict[str, dict[str, str]]:
    """Facts of training that may differ: what is compared -> network -> its value as text."""
    cards: Mapping[str, Card] = {network.name: network.card for network in networks if network.card is not None}
    records = [(network, network.card or network) for network in networks]
    recipes = {name: card.recipe.model_dump() for name, card in cards.items()}
    changed = [
        field for field in next(iter(recipes.values()), {}) if len({str(of[field]) for of in recipes.values()}) > 1
    ]
    return {
        "backbone": {network.name: _backbone(record.variant) for network, record in records},
        "data": {name: card.data for name, card in cards.items()},
        "training images": {name: f"{card.train_images:,}" for name, card in cards.items()},
        "resolution": {network.name: f"{short_size(record.preprocess.input_size)} px" for network, record in records},
        "recipe": {name: ", ".join(f"{field} {of[field]}" for field in changed) for name, of in recipes.items()},
    }


def _backbone(variant: Variant) -> str:
    options: Mapping[str, Any] = variant.backbone_options
    return variant.backbone + (
        f"({', '.join(f'{key}={value}' for key, value in sorted(options.items()))})" if options else ""
    )


def _listed(values: Mapping[str, str]) -> str:
    names: dict[str, list[str]] = {}
    for name, value in values.items():
        names.setdefault(value, []).append(name)
    return "; ".join(f"{listing(of)}: {value}" for value, of in names.items())
