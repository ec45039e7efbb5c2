"""The network that a checkpoint is of, found from names and shapes alone; what is proposed was tried before.

First the backbone: every one of its tensors must be in the file. What is left over then is attention, told by its
layers; options follow from shapes, and each candidate is held against the file until one fits in every tensor.
"""

import inspect
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import get_args

import torch
from torch import nn

from attention.backbones import backbones
from attention.errors import AttentionError
from attention.gate import Slot, UnitSlot
from attention.models.own_models import renewed
from attention.modules import modules
from attention.registry import options
from attention.spec import Options, OptionValue, Placement, Position, Variant
from attention.weights import key_names
from attention.weights.find import Source, shapes
from attention.weights.key_names import BLOCK, NO_EFFECT, Shape, Translation
from attention.weights.load import bare, classifier, current, plan

Skeleton = Callable[[Variant], nn.Module]
"""Makes a variant's network on the meta device."""

MOST_TRIALS = 40
"""Networks that one checkpoint is held against."""


def advice(variant: Variant, source: Source, skeleton: Skeleton) -> str:
    """The end of a sentence about a checkpoint that does not fit: what to ask for instead."""
    fitting = propose(source, skeleton, variant)
    if fitting is None:
        return " No network here fits it." + _unknown_layers(variant, source, skeleton)
    suggestion = fitting.model_copy(update={"weights": variant.weights})
    if bare(fitting) == bare(variant):
        return f" Ask for classes={fitting.classes}: {suggestion.name}."
    return f" Ask for {suggestion.name}."


def propose(source: Source, skeleton: Skeleton, variant: Variant | None = None) -> Variant | None:
    """The network that a checkpoint fits in every tensor, its attention included; None if there is none here.

    Args:
        source: the checkpoint.
        skeleton: makes a network on the meta device.
        variant: what is tried first, and where attention stands if the names do not tell.
    """
    file_shapes = shapes(source)
    trials = itertools.islice(_candidates(file_shapes, source, skeleton, variant), MOST_TRIALS)
    return next((candidate for candidate in trials if _fits(candidate, source, skeleton)), None)


def _fits(candidate: Variant, source: Source, skeleton: Skeleton) -> bool:
    try:
        return not plan(skeleton(candidate), candidate, source).report.fresh
    except AttentionError:
        return False


def _candidates(
    file_shapes: Mapping[str, Shape], source: Source, skeleton: Skeleton, variant: Variant | None
) -> Iterator[Variant]:
    if source.card is not None:
        yield current(source.card.variant)
    for plain in _plain_networks(file_shapes, skeleton, variant):
        base = _of_backbone(file_shapes, plain, skeleton)
        if base is None:
            continue
        network, translation, rest = base
        if not rest:
            yield network
        for attention in _attentions(rest, file_shapes, variant, translation):
            yield network.model_copy(update=attention)


def _plain_networks(file_shapes: Mapping[str, Shape], skeleton: Skeleton, variant: Variant | None) -> Iterator[Variant]:
    """Backbones in the order in which they are tried: the one asked for, with its other options, and all others."""
    if variant:
        yield bare(variant.plain)
    for name in dict.fromkeys([*([variant.backbone] if variant else []), *backbones]):
        with suppress(AttentionError, TypeError):
            usual = Variant(backbone=name)
            yield usual
            network_shapes = _plain_shapes(usual, skeleton).shapes
            names = set(key_names.translate(file_shapes, network_shapes, None).names.values())
            if {parameter for parameter in network_shapes if not _of_options(parameter)} <= names:
                for choice in _backbone_options(name, file_shapes):
                    yield usual.model_copy(update={"backbone_options": choice})


def _of_options(name: str) -> bool:
    """Whether a backbone's options may give a tensor another name, or take it away: in the stem and in shortcuts."""
    return name.startswith(("conv1.", "bn1.")) or ".downsample." in name or name.endswith(NO_EFFECT)


def _backbone_options(name: str, file_shapes: Mapping[str, Shape]) -> Iterator[Options]:
    """The options of a backbone that names and shapes can tell, in every combination; without any first."""
    form = options.schema(backbones[name]).get("properties", {})
    choices: dict[str, list[OptionValue]] = {
        key: list(form[key]["enum"]) for key in ("stem", "shortcut") if "enum" in form.get(key, {})
    }
    if "inner_width" in form:
        choices["inner_width"] = [1.0, 2.0]
    for values in itertools.product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        chosen = {key: value for key, value in chosen.items() if value != form[key]["default"]}
        yield chosen
        if "width" in form and (width := _width(name, chosen, file_shapes)) is not None:
            yield {**chosen, "width": width}


def _width(name: str, chosen: Options, file_shapes: Mapping[str, Shape]) -> OptionValue | None:
    """The width that a backbone must have for its first convolution to be the file's; None if it is the usual one."""
    first = next((shape[0] for shape in file_shapes.values() if len(shape) == 4 and shape[1] == 3), None)
    usual = _first_width(name, tuple(chosen.items()))
    if first is None:
        return None
    default = inspect.signature(backbones[name]).parameters["width"].default
    return None if first == usual else type(default)(default * first / usual)


@cache
def _first_width(name: str, chosen: tuple[tuple[str, OptionValue], ...]) -> int:
    """Channels of a backbone's first convolution."""
    with torch.device("meta"):
        return next(backbones[name](classes=2, **dict(chosen)).parameters()).shape[0]


@dataclass(frozen=True)
class _PlainShapes:
    """What a plain network consists of: shapes by name, and the path of its classifier."""

    shapes: Mapping[str, Shape]
    classifier: str


@renewed
@lru_cache(maxsize=64)
def _plain_shapes(plain: Variant, skeleton: Skeleton) -> _PlainShapes:
    model = skeleton(plain)
    return _PlainShapes({name: tuple(value.shape) for name, value in model.state_dict().items()}, classifier(model))


def _of_backbone(
    file_shapes: Mapping[str, Shape], plain: Variant, skeleton: Skeleton
) -> tuple[Variant, Translation, dict[str, str]] | None:
    """The plain network with the file's number of classes, and the names that are left over, as a library means them.

    None if a tensor of the network is missing or has another shape.
    """
    try:
        plain_network = _plain_shapes(plain, skeleton)
    except (AttentionError, TypeError):
        return None
    translation = key_names.translate(file_shapes, plain_network.shapes, None)
    file_names = {ours: name for name, ours in translation.names.items()}
    classes = None
    for name, shape in plain_network.shapes.items():
        if name.endswith(NO_EFFECT):
            continue
        if name not in file_names:
            return None
        file_shape = file_shapes[file_names[name]]
        if name.rpartition(".")[0] == plain_network.classifier:
            classes = file_shape[0] if file_shape[0] != shape[0] else None
            file_shape, shape = file_shape[1:], shape[1:]
        if not key_names.fits(file_shape, shape):
            return None
    rest = {
        ours: name
        for name, ours in translation.names.items()
        if ours not in plain_network.shapes and not _counter(name)
    }
    network = plain.model_copy(update={"classes": classes})
    return network, translation, rest


def _counter(name: str) -> bool:
    return name.endswith(NO_EFFECT)


Attention = dict[str, str | Options | Placement]
"""Fields of a variant."""


def _attentions(
    rest: Mapping[str, str], file_shapes: Mapping[str, Shape], variant: Variant | None, translation: Translation
) -> Iterator[Attention]:
    """Attention that may have the tensors left over, the likeliest first.

    Args:
        rest: name as a library means it -> name in the file.
    """
    tensors = {name: file_shapes[theirs] for name, theirs in rest.items()}
    if variant is not None and variant.attention is not None:
        yield {"attention": variant.attention, "options": variant.options, "placement": variant.placement}
    position = variant.placement.position if variant is not None and variant.attention is not None else "standard"
    default: Position = "standard" if position == "published" else position
    for module, place in _mechanisms(list(tensors), default):
        placements = dict.fromkeys(
            (Placement(position=place), _stages(place, tensors), Placement(position="published"))
        )
        for chosen, placement in itertools.product(_option_sets(module, tensors, translation), placements):
            yield {"attention": module, "options": chosen, "placement": placement}


def _mechanisms(names: Sequence[str], default: Position) -> Iterator[tuple[str, Position]]:
    """Modules whose layers stand in a block or after a stage, each with a position; first those that names tell."""
    blocks: dict[str, set[str]] = {}
    for name in names:
        if name.endswith(".bias") or _counter(name):
            continue
        if match := BLOCK.fullmatch(name):
            blocks.setdefault(match["block"], set()).add(f"{match['layer']}.{match['parameter']}")
        elif name.startswith("after"):
            blocks.setdefault(name.partition(".")[0], set()).add(f"stage.{name.partition('.')[2]}")
        elif name.startswith("tail."):
            blocks.setdefault("", set()).add(name)
    groups = {frozenset(group) for group in blocks.values()}
    candidates: dict[tuple[str, Position], bool] = {}
    for group, module in itertools.product(groups, modules):
        for attribute in _attributes(group, module):
            for place, sure in _places(module, attribute, default):
                candidates[module, place] = candidates.get((module, place), False) or sure
    common = {spelling.modules[0] for spelling in key_names.spellings()}
    yield from sorted(candidates, key=lambda key: (not candidates[key], key[0] not in common))


def _attributes(group: Collection[str], module: str) -> Iterator[str]:
    """What a block may call a module: attributes that have exactly its layers."""
    for theirs in (form for names in _parameters(module) for form in key_names.forms(module, names)):
        weight_names = {name for name in theirs if not name.endswith(".bias")}
        first = min(weight_names, default="")
        attributes = {name.removesuffix(f".{first}") for name in group if name.endswith(f".{first}")}
        for attribute in attributes if first else ():
            inside = {name for name in group if name.startswith(f"{attribute}.")}
            if inside == {f"{attribute}.{name}" for name in weight_names}:
                yield attribute


@cache
def _parameters(module: str) -> tuple[tuple[str, ...], ...]:
    """Names of a module's parameters and statistics, counted from it: by itself, and around a convolution."""
    kinds = modules[module]
    slots = [Slot("standard", 1, 1, 64)]
    if hasattr(kinds, "select"):
        slots.append(UnitSlot(1, 1, 64, in_channels=64, kernel_size=3, stride=1, groups=1))
    names = []
    for slot in slots:
        slot.side = 8
        with suppress(AttentionError), torch.device("meta"):
            names.append(tuple(kinds.at(slot).state_dict()))
    return tuple(names)


def _places(module: str, attribute: str, default: Position) -> Iterator[tuple[Position, bool]]:
    """Positions at which a library has this attribute, and whether its name tells so."""
    positions = [spelling.position for spelling in key_names.spellings(module) if spelling.attribute == attribute]
    between = [place for place in get_args(Position) if attribute == f"{place}.0"]
    candidates: list[Position] = between or positions
    yield from ((place, True) for place in candidates)
    if not candidates:
        yield from ((place, False) for place in dict.fromkeys((default, "standard", "inner")))


def _stages(position: str, names: Collection[str]) -> Placement:
    """The position in only those stages that have attention in the file."""
    stages = set()
    for name in names:
        if match := BLOCK.fullmatch(name):
            stage = match["block"].split(".")[-2]
            stages.add(int(stage.removeprefix("layer")) + (not stage.startswith("layer")) if stage[-1].isdigit() else 0)
        elif name.startswith("after"):
            stages.add(int(name.partition(".")[0].removeprefix("after")))
    chosen = sorted(stages - {0})
    return Placement.model_validate({"position": position, "stages": chosen or None})


def _option_sets(module: str, tensors: Mapping[str, Shape], translation: Translation) -> Iterator[Options]:
    """Options of a module that shapes may tell, in every combination, the likeliest first."""
    kind, names = modules[module], modules.names_of(module)
    form = options.schema(kind).get("properties", {})
    fixed = {key: value for name in translation.libraries for key, value in _library_options(name, module).items()}
    choices: dict[str, list[OptionValue]] = {}
    for guessed, values in _guesses(tensors).items():
        option = options.present(kind, names, guessed)
        if option is not None:
            usual = [form[option]["default"]] if guessed == "reduction" else []
            choices[option] = list(dict.fromkeys([*usual, *values]))
    tried = set()
    for chosen in itertools.product(*choices.values()):
        with suppress(AttentionError):  # a value that this module does not take
            checked = options.check(module, kind, dict(zip(choices, chosen, strict=True)) | fixed)
            if (key := tuple(sorted(checked.items()))) not in tried:
                tried.add(key)
                yield checked


def _guesses(tensors: Mapping[str, Shape]) -> dict[str, list[OptionValue]]:
    """Values of each option that the shapes of attention's tensors speak for."""
    flat = [shape for shape in tensors.values() if len(shape) >= 2 and set(shape[2:]) <= {1}]
    ratios = [shape[1] // shape[0] for shape in flat if shape[1] > shape[0]]
    sides = {shape[-1] for shape in tensors.values() if len(shape) >= 3 and shape[-1] > 1} or {1}
    common = max(set(ratios), key=ratios.count, default=None)
    return {
        "bias": [any(name.endswith(".bias") for name in tensors)],
        "reduction": [value for value in (max(ratios, default=None), common) if value is not None],
        "divisor": [1, 8],
        "kernel_size": [*(sides if len(sides) == 1 else ()), "adaptive", "released"],
    }


def _library_options(library: str, module: str) -> Mapping[str, OptionValue]:
    known = key_names.libraries[library].options
    return next((chosen for name, chosen in known.items() if modules.canonical(name) == module), {})


def _unknown_layers(variant: Variant, source: Source, skeleton: Skeleton) -> str:
    """Layers that stand beside a backbone's in a file that no network here fits; empty if there are none."""
    file_shapes = shapes(source)
    for plain in _plain_networks(file_shapes, skeleton, variant):
        base = _of_backbone(file_shapes, plain, skeleton)
        if base is not None:
            layers = [match["layer"] for name in base[2] if (match := BLOCK.fullmatch(name))]
            if layers:
                named = ", ".join(dict.fromkeys(layers))
                return (
                    f" Besides the layers of {plain.backbone!r} its blocks have {named[:300]}, which is no attention "
                    "that is known here by its layers. If it is one under other names, tell them when it is converted: "
                    "attention-lab convert FILE --rename OLD=NEW."
                )
    return ""
