"""A Variant becomes a model."""

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import get_type_hints

import torch
from torch import nn

from attention.backbones import Backbone, Facts, ForeignNetwork, backbones
from attention.errors import BadCheckpoint, BadPlacement, InvalidRequest, UnknownName, first_line
from attention.gate import Slot, UnitSlot, slots
from attention.models.one_pass import ShapesOnly, meta_copy
from attention.models.own_models import renewed
from attention.models.seeding import SEEDING
from attention.modules import modules
from attention.names import BARE, Size, write_size
from attention.registry.aliases import canonical, combined, find, hint, renamings
from attention.registry.options import check
from attention.reports.gates import WatchedGate
from attention.reports.parts.network import OutputKind
from attention.spec import Placement, Variant
from attention.tracing.attached import AttachedModules, RunAttached, key
from attention.tracing.outputs import map_shape, outlines
from attention.tracing.own_gates import install, met
from attention.tracing.paths import submodules
from attention.weights import load as weights
from attention.weights import proposals
from attention.weights.find import NOWHERE, Checkpoints

LIBRARIES = ("timm", "torchvision")
INSTALL_TIMM = "pip install 'attention-lab[timm]'"  # which brings both


@renewed
@lru_cache(maxsize=4096)
def resolve(variant: Variant) -> Variant:
    """The same variant said in full and without repeating defaults: its classes are a number, its options differ.

    Raises:
        UnknownName: no such backbone or module.
        BadOption: an option that is not there, or a value it does not take.
        BadCheckpoint: weights that the variant cannot have.
    """
    for sentence in renamings(variant, backbones.names, modules.names):
        warnings.warn(sentence, FutureWarning, stacklevel=2)
    variant = canonical(variant, backbones.names, modules.names)
    if variant.backbone not in backbones:
        raise UnknownName("backbone", variant.backbone, (), _backbone_hint(variant.backbone))
    backbone_options = check(variant.backbone, backbones[variant.backbone], variant.backbone_options)
    options = {}
    if variant.attention is not None:
        if variant.attention not in modules:
            raise UnknownName("attention module", variant.attention, (), _module_hint(variant))
        options = check(variant.attention, modules[variant.attention], variant.options)
    resolved = variant.model_copy(update={"backbone_options": backbone_options, "options": options})
    if resolved.placement.position == "published" and variant.attention is not None:
        resolved = resolved.model_copy(update={"placement": published_placement(variant)})
    card = weights.check(resolved)
    classes = variant.classes or (len(card.labels) if card else _default_classes(resolved))
    return resolved.model_copy(update={"classes": classes})


def _backbone_hint(name: str) -> str:
    """What a name that is no backbone may mean: a module, backbone and module in one word, a network of timm's."""
    if (module := find(name, modules.names)) is not None:
        return f" It is a module: write resnet50/{module.name}."
    if name in LIBRARIES:
        return f" It needs {name}: {INSTALL_TIMM}."
    return _written_apart(name) or _tag_hint(name) or f"{hint(name, backbones.names)} {_timm_hint(name, '/eca@stage')}"


def _module_hint(variant: Variant) -> str:
    """What a name that is no module may mean: a backbone, backbone and module in one word, a network of timm's."""
    name = str(variant.attention)
    backbone = getattr(find(name, backbones.names), "name", name)
    if backbone in backbones or backbone in LIBRARIES:
        needs = "" if backbone in backbones else f" It needs {name}: {INSTALL_TIMM}."
        return f" It is a backbone: write {Variant(backbone=backbone, backbone_options=variant.options).name}.{needs}"
    written = _tag_hint(name) or _written_apart(name)
    bare = (variant.backbone, variant.weights) == (BARE["backbone"], BARE["weights"])
    return written or hint(name, modules.names) + (f" {_timm_hint(name, '/none')}" if bare else "")


def _written_apart(name: str) -> str:
    """Backbone and module of a name such as ``seresnet50`` or ``eca_resnet50``, as they are asked for here."""
    pairs = combined(name, backbones.names, modules.names)
    variants = (Variant(backbone=backbone, attention=module) for backbone, module in pairs)
    named = [variant.model_copy(update={"placement": published_placement(variant)}).name for variant in variants]
    return f" Backbone and module are written apart: {' or '.join(named)}." if named else ""


def _tag_hint(name: str) -> str:
    """What a name with the tag of its weights, such as ``resnet50.a1_in1k``, is here; empty if it has no tag."""
    body, dot, _ = name.partition(".")
    if not dot:
        return ""
    backbone = find(body, backbones.names)
    advice = f" The network is {backbone.name}/none." if backbone else _written_apart(body)
    return f"{advice} What follows the dot names weights: add ?weights=hub:timm/{name}." if advice else ""


def _timm_hint(name: str, rest: str) -> str:
    """How a network of timm's is asked for, and what to install where that is missing."""
    body = re.sub(r"[^\w-].*", "", name) or "resnet50d"
    spelling = f"Any network of timm's is written timm(model={body}){rest}"
    return f"{spelling}." if "timm" in backbones else f"{spelling}, which needs timm: {INSTALL_TIMM}."


@lru_cache(maxsize=4096)
def renamed(variant: Variant) -> tuple[str, ...]:
    """A sentence for each former name in which a variant was asked for."""
    return renamings(variant, backbones.names, modules.names)


def published_placement(variant: Variant) -> Placement:
    """Where the paper of a variant's module puts it in this backbone; ``standard`` where the paper does not say.

    Stages or blocks that the variant names stay chosen.
    """
    table = modules[variant.attention].published if variant.attention else {}
    fitting = max((name for name in table if variant.backbone.startswith(name)), key=len, default=None)
    place = table[fitting] if fitting is not None else Placement()
    placement = variant.placement
    return place if placement.everywhere else placement.model_copy(update={"position": place.position})


def build(variant: Variant, checkpoints: Checkpoints = NOWHERE) -> Backbone:
    """The network of a variant in eval mode, on the CPU, with its weights.

    The backbone is made before any slot is filled, under the variant's seed, so all variants of a seed start
    from the same backbone; what fills the slots starts from the same seed again.

    Args:
        checkpoints: where weights other than the shipped ones are looked for.

    Raises:
        UnknownName, BadOption, BadPlacement: the variant names something that is not there.
        BadCheckpoint, NotFound: its weights do not fit, or are not there.
    """
    variant = resolve(variant)
    model = _with_gates(_assembled(variant), variant)
    with advised(variant, checkpoints):
        weights.load(model, variant, checkpoints)
    return model


def _assembled(variant: Variant) -> Backbone:
    """The network of a resolved variant in eval mode, without its weights."""
    with SEEDING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(variant.seed)
        model: Backbone = backbones[variant.backbone](classes=variant.classes, **variant.backbone_options)
        torch.default_generator.manual_seed(variant.seed)
        fill(model, variant)
    return model.eval()


def _with_gates(model: Backbone, variant: Variant) -> Backbone:
    """A network whose own gates can be seen, if it was not written here."""
    if isinstance(model, ForeignNetwork):
        install(model, _met(variant.model_copy(update={"weights": None, "seed": 0})))
    return model


@renewed
@lru_cache(maxsize=256)
def _met(variant: Variant) -> tuple[WatchedGate, ...]:
    """The gates that a pass of a variant meets.

    Raises:
        InvalidRequest: it does not take an image of its input size.
    """
    model = _bare_skeleton(variant)
    assert isinstance(model, ForeignNetwork)
    try:
        return met(model)
    except Exception as error:
        raise InvalidRequest(
            f"{variant.name} does not take an image of {write_size(model.height_and_width)} pixels: "
            f"{first_line(error)}."
        ) from error


@contextmanager
def advised(variant: Variant, checkpoints: Checkpoints) -> Iterator[None]:
    """Say of a checkpoint that does not fit which network it does fit.

    Raises:
        BadCheckpoint: it does not fit, and what to ask for.
    """
    try:
        yield
    except weights.Mismatch as error:
        source = weights.source(variant, checkpoints)
        assert source is not None
        raise BadCheckpoint(f"{error}{proposals.advice(variant, source, skeleton)}") from error


def skeleton(variant: Variant) -> Backbone:
    """The network of a variant on the meta device: its structure and shapes, no numbers.

    A network whose own numbers decide its way, such as a detector, stays on the CPU with its numbers.
    """
    variant = resolve(variant).model_copy(update={"weights": None})
    return _with_gates(_bare_skeleton(variant), variant)


def _bare_skeleton(variant: Variant) -> Backbone:
    facts = _facts(variant)
    if facts and not facts.without_numbers:
        return _assembled(variant)
    try:
        with ShapesOnly():
            return _assembled(variant)
    except NotImplementedError:  # torch's, where a network's own code reads a number while it is made
        return meta_copy(_assembled(variant))


def input_size(backbone: str) -> Size:
    """Height and width, in pixels, of the images that a backbone is meant for: its class says it, nothing is built."""
    return _made_by(backbones[backbone]).input_size


def usual_size(variant: Variant) -> Size:
    """Height and width of the images that a network is meant for, pixels."""
    facts = _facts(variant)
    return facts.input_size if facts else input_size(variant.backbone)


def outputs(variant: Variant) -> OutputKind:
    """What a resolved variant gives for each image."""
    facts = _facts(variant)
    return facts.outputs if facts else "classes"


def _facts(variant: Variant) -> Facts | None:
    """What is known of a network before it is built, where its function on the shelf says it."""
    facts: Callable[..., Facts] | None = getattr(backbones[variant.backbone], "facts", None)
    return facts(**variant.backbone_options) if facts else None


@cache
def _made_by(backbone: Callable[..., Backbone]) -> type[Backbone]:
    made: type[Backbone] = get_type_hints(backbone)["return"]
    return made


def fill(model: nn.Module, variant: Variant) -> None:
    """Put the variant's attention into the slots its placement names.

    Raises:
        BadPlacement: the backbone has no such position, or no such stage, or the module means nothing there.
    """
    if variant.attention is None:
        return
    module_class, chosen = modules[variant.attention], _after(model, variant) or chosen_slots(model, variant)
    if any(isinstance(slot, UnitSlot) for slot in chosen.values()) and not hasattr(module_class, "select"):
        positions = {slot.position for slot in slots(model).values()}
        instead = "inner" if "inner" in positions else "standard"
        units = ", ".join(name for name, module in modules.items() if hasattr(module, "select"))
        raise BadPlacement(
            f"{variant.attention!r} gates one map, but 'spatial' is a choice between a convolution and others. "
            f"Put it at {instead!r}, which is right after that convolution, or take a module that chooses: {units}."
        )
    sides = map_sides(variant.plain) if module_class.needs_side else {}
    for path, slot in chosen.items():
        slot.backbone, slot.side = variant.backbone, slot.side or sides.get(path, 0)
        slot.append(module_class.at(slot, **variant.options))


def _after(model: nn.Module, variant: Variant) -> dict[str, Slot]:
    """New slots behind the submodules that a variant's placement names; none if it names positions.

    Raises:
        BadPlacement: a path names nothing, or something that gives no map.
    """
    patterns = variant.placement.paths
    if patterns is None:
        return {}
    attached_slots: dict[str, Slot] = {}
    try:
        hosts = submodules(model, patterns)
        for number, (path, (channels, side)) in enumerate(_maps(variant.plain, patterns).items(), start=1):
            slot = Slot("after", number, 1, channels)
            slot.side = side
            hosts[path].register_forward_hook(RunAttached(slot))
            attached_slots[key(path)] = slot
    except InvalidRequest as error:
        raise BadPlacement(str(error)) from error
    model.add_module("attached", AttachedModules(attached_slots))
    return {f"attached.{name}": slot for name, slot in attached_slots.items()}


@renewed
@lru_cache(maxsize=256)
def _maps(plain: Variant, patterns: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Channels and side of the maps that submodules of a plain network give at its own input size, by path."""
    model = skeleton(plain)
    paths = submodules(model, patterns)
    layer_outputs = outlines(model, ((blank(model),), {}))
    return {path: map_shape(path, layer_outputs, None) for path in paths}


def blank(model: Backbone) -> torch.Tensor:
    """One black image (1, 3, H, W) of a network's input size, where its parameters are."""
    first = next(model.parameters(), torch.empty(0))
    return torch.zeros(1, 3, *model.height_and_width, device=first.device, dtype=first.dtype)


def chosen_slots(model: nn.Module, variant: Variant) -> dict[str, Slot]:
    """The slots that a variant's placement names, by path, in the order of the network.

    Raises:
        BadPlacement: there are none, or a stage or block is missing.
    """
    placement = variant.placement
    all_slots = slots(model)
    at_position = {path: slot for path, slot in all_slots.items() if slot.position == placement.position}
    if not at_position:
        positions = ", ".join(dict.fromkeys(slot.position for slot in all_slots.values()))
        raise BadPlacement(f"{variant.backbone!r} has no place {placement.position!r}. It has: {positions}.")
    where = f"{variant.backbone!r} has no {placement.position!r} in"
    blocks: dict[int, list[int]] = {}
    for slot in at_position.values():
        blocks.setdefault(slot.stage, []).append(slot.block)
    for stage in placement.stages or ():
        if stage not in blocks:
            raise BadPlacement(f"{where} stage {stage}. It has stages {', '.join(map(str, blocks))}.")
    for stage, block in placement.blocks or ():
        if block not in blocks.get(stage, ()):
            raise BadPlacement(f"{where} block {stage}.{block}. It has {_blocks(blocks)}.")
    return {path: slot for path, slot in at_position.items() if placement.covers(slot.stage, slot.block)}


def _blocks(by_stage: dict[int, list[int]]) -> str:
    return ", ".join(f"{stage}.{block}" for stage, blocks in by_stage.items() for block in blocks)


@renewed
@lru_cache(maxsize=256)
def map_sides(plain: Variant) -> dict[str, int]:
    """Side of the map that arrives at each slot of a plain network at its own input size, by path of the slot."""
    model = skeleton(plain)
    sides: dict[str, int] = {}

    def note(path: str) -> Callable[..., None]:
        def hook(slot: nn.Module, args: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
            sides[path] = args[0].shape[-1]

        return hook

    for path, slot in slots(model).items():
        slot.register_forward_hook(note(path))
    with torch.no_grad():
        model(blank(model))
    return sides


def _default_classes(variant: Variant) -> int:
    """How many classes a network has unless a variant says otherwise."""
    facts = _facts(variant)
    return facts.classes if facts else int(inspect.signature(backbones[variant.backbone]).parameters["classes"].default)
