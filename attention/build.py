"""A Variant becomes a model."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import get_type_hints

import torch
from torch import nn

from attention import weights
from attention.backbones import Backbone, backbones
from attention.errors import BadPlacement, UnknownName
from attention.gate import Slot, slots
from attention.modules import modules
from attention.options import check
from attention.spec import Placement, Preprocess, Variant

_seeding = Lock()
"""Held while a network is made: torch has one generator for all threads, and another seed must not come in between."""


@lru_cache(maxsize=4096)
def resolve(variant: Variant) -> Variant:
    """The same variant said in full and without repeating defaults: its classes are a number, its options differ.

    Raises:
        UnknownName: no such backbone or module.
        BadOption: an option that is not there, or a value it does not take.
        BadCheckpoint: weights that the variant cannot have.
    """
    if variant.backbone not in backbones and variant.backbone in modules:
        raise UnknownName("backbone", variant.backbone, (), f" It is a module: write resnet50/{variant.backbone}.")
    backbone_options = check(variant.backbone, backbones[variant.backbone], variant.backbone_options)
    options = {}
    if variant.attention is not None:
        if variant.attention not in modules and variant.attention in backbones:
            hint = f" It is a backbone: write {variant.attention}/none."
            raise UnknownName("attention module", variant.attention, (), hint)
        options = check(variant.attention, modules[variant.attention], variant.options)
    said = variant.model_copy(update={"backbone_options": backbone_options, "options": options})
    if said.placement.position == "published" and variant.attention is not None:
        said = said.model_copy(update={"placement": published_placement(variant)})
    card = weights.card(said)
    classes = variant.classes or (len(card.labels) if card else default_classes(variant.backbone))
    return said.model_copy(update={"classes": classes})


def published_placement(variant: Variant) -> Placement:
    """Where the paper of a variant's module puts it in this backbone; ``standard`` where the paper does not say.

    Stages or blocks that the variant names stay chosen.
    """
    table = modules[variant.attention].published if variant.attention else {}
    fitting = max((name for name in table if variant.backbone.startswith(name)), key=len, default=None)
    place = table[fitting] if fitting is not None else Placement()
    said = variant.placement
    return place if said.everywhere else said.model_copy(update={"position": place.position})


def preprocess_of(variant: Variant) -> Preprocess:
    """How a photo becomes this variant's input: as its checkpoint was trained, or the usual for the backbone's size."""
    card = weights.card(resolve(variant))
    if card is not None:
        return card.preprocess
    size = input_size(variant.backbone)
    return Preprocess(size=size, resize=size if size <= 64 else round(size / 0.875))


def build(variant: Variant) -> Backbone:
    """The network of a variant in eval mode, on the CPU, with its weights.

    The backbone is made before any slot is filled, under the variant's seed, so all variants of a seed start
    from the same backbone; what fills the slots starts from the same seed again.

    Raises:
        UnknownName, BadOption, BadPlacement: the variant names something that is not there.
        BadCheckpoint: its weights do not fit.
    """
    variant = resolve(variant)
    with _seeding, torch.random.fork_rng(devices=[]):
        torch.manual_seed(variant.seed)
        model: Backbone = backbones[variant.backbone](classes=variant.classes, **variant.backbone_options)
        torch.manual_seed(variant.seed)
        fill(model, variant)
    if variant.weights is not None:
        weights.load(model, variant)
    return model.eval()


def skeleton(variant: Variant) -> Backbone:
    """The network of a variant on the meta device: its structure and shapes, no numbers."""
    with torch.device("meta"):
        return build(variant.model_copy(update={"weights": None, "classes": resolve(variant).classes}))


def input_size(backbone: str) -> int:
    """Height and width, in pixels, of the images that a backbone is meant for: its class says it, nothing is built."""
    made: type[Backbone] = get_type_hints(backbones[backbone])["return"]
    return made.input_size


def fill(model: nn.Module, variant: Variant) -> None:
    """Put the variant's attention into the slots its placement names.

    Raises:
        BadPlacement: the backbone has no such position, or no such stage.
    """
    if variant.attention is None:
        return
    made = modules[variant.attention]
    sides = map_sides(variant.plain) if made.needs_side else {}
    for path, slot in chosen_slots(model, variant).items():
        slot.backbone, slot.side = variant.backbone, sides.get(path, 0)
        slot.append(made.at(slot, **variant.options))


def chosen_slots(model: nn.Module, variant: Variant) -> dict[str, Slot]:
    """The slots that a variant's placement names, by path, in the order of the network.

    Raises:
        BadPlacement: there are none, or a stage or block is missing.
    """
    placement = variant.placement
    every = slots(model)
    there = {path: slot for path, slot in every.items() if slot.position == placement.position}
    if not there:
        positions = ", ".join(dict.fromkeys(slot.position for slot in every.values()))
        raise BadPlacement(f"{variant.backbone!r} has no place {placement.position!r}. It has: {positions}.")
    where = f"{variant.backbone!r} has no {placement.position!r} in"
    known: dict[int, list[int]] = {}
    for slot in there.values():
        known.setdefault(slot.stage, []).append(slot.block)
    for stage in placement.stages or ():
        if stage not in known:
            raise BadPlacement(f"{where} stage {stage}. It has stages {', '.join(map(str, known))}.")
    for stage, block in placement.blocks or ():
        if block not in known.get(stage, ()):
            raise BadPlacement(f"{where} block {stage}.{block}. It has {_blocks(known)}.")
    return {path: slot for path, slot in there.items() if placement.covers(slot.stage, slot.block)}


def _blocks(known: dict[int, list[int]]) -> str:
    return ", ".join(f"{stage}.{block}" for stage, blocks in known.items() for block in blocks)


@lru_cache(maxsize=256)
def map_sides(plain: Variant) -> dict[str, int]:
    """Path of each slot of a plain network -> side of the map that arrives there, at the backbone's own input size."""
    model = skeleton(plain)
    sides: dict[str, int] = {}

    def note(path: str) -> Callable[..., None]:
        def hook(slot: nn.Module, args: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
            sides[path] = args[0].shape[-1]

        return hook

    for path, slot in slots(model).items():
        slot.register_forward_hook(note(path))
    with torch.no_grad():
        model(torch.empty(1, 3, model.input_size, model.input_size, device="meta"))
    return sides


def default_classes(backbone: str) -> int:
    """How many classes a backbone has unless a variant says otherwise."""
    return int(inspect.signature(backbones[backbone]).parameters["classes"].default)
