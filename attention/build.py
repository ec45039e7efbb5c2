"""A Variant becomes a model."""

import inspect
from functools import lru_cache
from typing import get_type_hints
from threading import Lock

import torch
from torch import nn

from attention import weights
from attention.backbones import Backbone, backbones
from attention.errors import BadPlacement, UnknownName
from attention.gate import Slot, slots
from attention.modules import modules
from attention.options import check
from attention.spec import Preprocess, Variant

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
    card = weights.card(said)
    classes = variant.classes or (len(card.labels) if card else default_classes(variant.backbone))
    return said.model_copy(update={"classes": classes})


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
    for slot in chosen_slots(model, variant):
        slot.append(modules[variant.attention].at(slot, **variant.options))


def chosen_slots(model: nn.Module, variant: Variant) -> list[Slot]:
    """The slots that a variant's placement names, in the order of the network.

    Raises:
        BadPlacement: there are none, or a stage is missing.
    """
    every = list(slots(model).values())
    position, stages = variant.placement.position, variant.placement.stages
    there = [slot for slot in every if slot.position == position]
    if not there:
        positions = ", ".join(dict.fromkeys(slot.position for slot in every))
        raise BadPlacement(f"{variant.backbone!r} has no place {position!r}. It has: {positions}.")
    for stage in stages or ():
        if all(slot.stage != stage for slot in there):
            known = ", ".join(str(number) for number in sorted({slot.stage for slot in there}))
            raise BadPlacement(f"{variant.backbone!r} has no {position!r} in stage {stage}. It has stages {known}.")
    chosen = [slot for slot in there if stages is None or slot.stage in stages]
    for slot in chosen:
        slot.backbone = variant.backbone
    return chosen


def default_classes(backbone: str) -> int:
    """How many classes a backbone has unless a variant says otherwise."""
    return int(inspect.signature(backbones[backbone]).parameters["classes"].default)
