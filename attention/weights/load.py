"""Where a variant's trained weights come from: shipped, a stored file, a published checkpoint. Safetensors only.

A checkpoint may be of the whole variant, or of its backbone alone: then the attention is fresh, and the report says
what that does to the activations. Everything else that does not match is refused with a sentence.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from attention.backbones import backbones
from attention.errors import BadCheckpoint, listing
from attention.gate import Slot, slots
from attention.modules import modules
from attention.names import Size, height_and_width
from attention.registry.aliases import canonical
from attention.reports.parts.checkpoints import Card, FreshModule, LoadReport
from attention.spec import Variant
from attention.weights import key_names
from attention.weights.find import NOWHERE, Checkpoints, Source, check_name, shapes

SHIPPED = Path(__file__).parent / "shipped"

NAMED = 5
"""How many tensors a sentence names."""


@cache
def shipped() -> Mapping[Variant, Card]:
    """The checkpoints that come with the project: variant without weights -> card, both in the names of today."""
    return {variant: _read_card(path) for variant, path in _shipped_files().items()}


@cache
def _shipped_files() -> Mapping[Variant, Path]:
    """Files of the weights that come with the project, by variant without weights."""
    return {bare(_read_card(path).variant): path for path in sorted(SHIPPED.glob("*.safetensors"))}


def _read_card(weights: Path) -> Card:
    """The card beside a file of weights, in the names of today."""
    card = Card.model_validate_json(weights.with_suffix(".json").read_text())
    return card.model_copy(update={"variant": current(card.variant)})


def current(variant: Variant) -> Variant:
    """A variant in the names of today: a card may be older than they are."""
    return canonical(variant, backbones.names, modules.names)


def check(variant: Variant) -> Card | None:
    """The card of shipped weights; None for others, of which only the name is looked at and no file.

    Raises:
        BadCheckpoint: the variant asks for weights that cannot be.
    """
    if variant.weights is None:
        return None
    if variant.weights != "shipped":
        check_name(variant.weights)
        return None
    card = shipped().get(bare(variant))
    if card is None:
        names = ", ".join(f"{network.name}?weights=shipped" for network in shipped()) or "none yet"
        similar = [network.name for network in shipped() if _differ_in_options(network, variant)]
        successor = "".join(
            f" One with the same attention, but other options, comes along: {name}?weights=shipped."
            for name in similar[:1]
        )
        raise BadCheckpoint(
            f"No trained weights for {bare(variant).name} come with the service. Shipped are: {names}."
            f"{successor} Leave weights out to get it untrained: {bare(variant).name}."
        )
    if variant.classes not in (None, len(card.labels)):
        raise BadCheckpoint(
            f"The shipped {bare(variant).name} has {len(card.labels)} classes, not {variant.classes}. "
            "Leave classes out."
        )
    return card


def _differ_in_options(network: Variant, other: Variant) -> bool:
    """Whether two variants have the same backbone and attention, whatever their options and place."""
    return (network.backbone, network.attention) == (other.backbone, other.attention)


def source(variant: Variant, checkpoints: Checkpoints = NOWHERE) -> Source | None:
    """The file of a resolved variant's weights; None if it is untrained.

    Raises:
        BadCheckpoint, NotFound: the variant asks for weights that are not there.
    """
    if variant.weights is None:
        return None
    card = check(variant)
    if card is None:
        return checkpoints.find(variant.weights)
    return Source(_shipped_files()[bare(variant)], "shipped", card, preprocess=card.preprocess, labels=card.labels)


def stamp(variant: Variant, checkpoints: Checkpoints = NOWHERE) -> str:
    """A text that changes when a resolved variant's checkpoint or its card does, as those in a folder may.

    Raises:
        BadCheckpoint, NotFound: the variant asks for weights that are not there.
    """
    if variant.weights in (None, "shipped"):
        return ""
    checkpoint = source(variant, checkpoints)
    stamps = []
    for path in (checkpoint.path, checkpoint.path.with_suffix(".json")) if checkpoint else ():
        with suppress(FileNotFoundError):  # if the weights are gone again, reading them says so
            about = path.stat()
            stamps.append(f"{about.st_mtime_ns} {about.st_size} {about.st_ino}")
    return ", ".join(stamps)


class Mismatch(BadCheckpoint):
    """A checkpoint whose names or shapes are not the network's; what would fit is for the caller to find."""


@dataclass(frozen=True)
class Plan:
    """How a checkpoint's tensors are loaded: name here -> name in the file, and the report, not yet measured."""

    names: Mapping[str, str]
    report: LoadReport


def plan(model: nn.Module, variant: Variant, checkpoint: Source) -> Plan:
    """Match a checkpoint's names and shapes with a network's, which may be on the meta device. No tensor is read.

    Raises:
        Mismatch: they do not match.
        BadCheckpoint: the file is none.
    """
    file_shapes, parameters = shapes(checkpoint), model.state_dict()
    translation = key_names.translate(file_shapes, parameters, variant.attention)
    translated = translation.names
    file_names = {ours: name for name, ours in translated.items()}
    if len(file_names) < len(translated):
        raise Mismatch(f"The checkpoint {checkpoint.path.name} has several tensors for one place of {variant.name}.")
    missing = [name for name in parameters if name not in file_names and not name.endswith(key_names.NO_EFFECT)]
    unexpected = [name for name in file_names if name not in parameters]
    fresh, partly = _without_weights(model, missing, trained_whole(checkpoint, variant))
    _refuse_unexpected(variant, checkpoint, unexpected)
    _refuse_missing(variant, checkpoint, model, missing, partly)
    _refuse_shapes(
        model, variant, checkpoint, {name: file_shapes[file_names[name]] for name in parameters if name in file_names}
    )
    names = {name: file_names[name] for name in parameters if name in file_names}
    report = LoadReport(
        weights=checkpoint.weights,
        file=checkpoint.path.name,
        revision=checkpoint.revision,
        architecture=checkpoint.architecture,
        loaded=len(names),
        renamed=key_names.summary({name: ours for ours, name in names.items()}),
        missing=tuple(name for name in parameters if name not in file_names),
        unexpected=tuple(file_names[name] for name in unexpected),
        fresh=tuple(FreshModule(slot=path, kept=None, identity=False) for path in fresh),
        notes=_notes(variant, checkpoint, translation),
    )
    return Plan(names, report)


def load(model: nn.Module, variant: Variant, checkpoints: Checkpoints = NOWHERE) -> LoadReport | None:
    """Put a resolved variant's trained weights into its model, and say what was done; None if it is untrained.

    Raises:
        BadCheckpoint, NotFound: the file is missing or damaged, or its names and shapes are not the model's.
    """
    checkpoint = source(variant, checkpoints)
    if checkpoint is None:
        return None
    planned, parameters = plan(model, variant, checkpoint), model.state_dict()
    try:
        with safe_open(checkpoint.path, framework="pt") as tensors:
            for ours, theirs in planned.names.items():
                tensor = tensors.get_tensor(theirs)
                if not finite(tensor):
                    raise BadCheckpoint(f"{theirs} of the checkpoint {checkpoint.path.name} is not finite throughout.")
                parameters[ours].copy_(tensor.reshape(parameters[ours].shape))
    except (OSError, SafetensorError) as error:
        raise BadCheckpoint(f"The checkpoint {checkpoint.path.name} is damaged: {error}.") from error
    return planned.report


def finite(tensor: Tensor) -> bool:
    """Whether every number of a tensor is finite."""
    numbers = tensor.float() if tensor.element_size() < 2 else tensor  # torch cannot ask this of 8 bits
    return bool(torch.isfinite(numbers).all())


def trained_whole(checkpoint: Source, variant: Variant) -> bool:
    """Whether a checkpoint's card says that it was trained as this very network, attention included."""
    return checkpoint.card is not None and bare(current(checkpoint.card.variant)) == bare(variant)


def _without_weights(model: nn.Module, missing: list[str], whole: bool) -> tuple[list[str], list[str]]:
    """Filled slots that the checkpoint has nothing for, and missing names of those that it has a part of.

    A module without weights of its own leaves no trace in a file: only a card can say that it was there.
    """
    fresh, partly, absent = [], [], set(missing)
    for path, slot in filled(model).items():
        needed = [f"{path}.{name}" for name in slot.state_dict() if not name.endswith(key_names.NO_EFFECT)]
        lacking = [name for name in needed if name in absent]
        if (lacking == needed and lacking) or (not needed and not whole):
            fresh.append(path)
        else:
            partly += lacking
    return fresh, partly


def filled(model: nn.Module) -> dict[str, Slot]:
    """The slots of a network that attention stands in, by path."""
    return {path: slot for path, slot in slots(model).items() if len(slot)}


def _refuse_unexpected(variant: Variant, checkpoint: Source, unexpected: list[str]) -> None:
    trouble = [name for name in unexpected if not name.endswith(key_names.NO_EFFECT)]
    if trouble:
        raise Mismatch(
            f"The checkpoint {checkpoint.path.name} has tensors that {bare(variant).name} has no place for: "
            f"{listing(trouble, NAMED)}."
        )


def _refuse_missing(
    variant: Variant, checkpoint: Source, model: nn.Module, missing: list[str], partly: list[str]
) -> None:
    inside = tuple(f"{path}." for path in filled(model))
    backbone = [name for name in missing if not name.startswith(inside)] if inside else missing
    if backbone:
        raise Mismatch(
            f"The checkpoint {checkpoint.path.name} is not one of {variant.backbone!r}: "
            f"{len(backbone)} of its tensors are missing, such as {listing(backbone, NAMED)}."
        )
    if partly:
        raise Mismatch(
            f"The checkpoint {checkpoint.path.name} has only a part of the attention of {bare(variant).name}: "
            f"missing are {listing(partly, NAMED)}."
        )
    if trained_whole(checkpoint, variant) and missing:
        raise Mismatch(
            f"The checkpoint {checkpoint.path.name} lacks tensors of what its card says it is: "
            f"{listing(missing, NAMED)}."
        )


def _refuse_shapes(
    model: nn.Module, variant: Variant, checkpoint: Source, file_shapes: Mapping[str, key_names.Shape]
) -> None:
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    wrong = [name for name, shape in file_shapes.items() if not key_names.fits(shape, expected[name])]
    if not wrong:
        return
    if {name.rpartition(".")[0] for name in wrong} == {classifier(model)}:
        found_classes, own_classes = file_shapes[wrong[0]][0], expected[wrong[0]][0]
        if all(file_shapes[name][1:] == expected[name][1:] for name in wrong):
            raise Mismatch(
                f"The checkpoint {checkpoint.path.name} tells {found_classes} classes apart, not {own_classes}."
            )
    shown = "; ".join(f"{name} is {file_shapes[name]}, expected {expected[name]}" for name in wrong[:NAMED])
    more = f"; and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    raise Mismatch(f"The checkpoint {checkpoint.path.name} does not fit {variant.name}: {shown}{more}.")


def classifier(model: nn.Module) -> str:
    """The path of the last fully connected layer that is not attention's."""
    inside = tuple(f"{path}." for path in filled(model))
    linear = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    return [path for path in linear if not (inside and path.startswith(inside))][-1]


def _notes(variant: Variant, checkpoint: Source, translation: key_names.Translation) -> tuple[str, ...]:
    if trained_whole(checkpoint, variant):
        return ()
    notes = [note for name in translation.libraries if (note := key_names.libraries[name].note)]
    if translation.assumed:
        notes.append(
            f"{' and '.join(translation.assumed)} in its blocks is taken for {variant.attention} because its layers "
            f"are; that it stood at {variant.placement.position!r} is taken on trust."
        )
    named = {} if variant.backbone == "own" else variant.backbone_options  # the model itself is what is named
    if options := {**named, **variant.options}:
        pairs = ", ".join(f"{key}={value}" for key, value in sorted(options.items()))
        notes.append(f"Options that change no shape are taken on trust: {pairs}.")
    if checkpoint.architecture and checkpoint.architecture != variant.backbone:
        notes.append(f"Its publisher calls the network {checkpoint.architecture!r}; here it is {bare(variant).name}.")
    return tuple(notes)


def measure(model: nn.Module, report: LoadReport, size: Size) -> LoadReport:
    """The report with what each fresh module does to the activations; see `module_starts`."""
    starts = {start.slot: start for start in module_starts(model, size)}
    return report.model_copy(update={"fresh": tuple(starts.get(slot.slot, slot) for slot in report.fresh)})


@torch.inference_mode()
def module_starts(model: nn.Module, size: Size) -> tuple[FreshModule, ...]:
    """What the module of each filled slot does to the activations of two images of noise, (2, 3, H, W).

    The network is not changed; its statistics are those it has.
    """
    measured: dict[str, FreshModule] = {}

    def note(path: str, came: Tensor, left: Tensor) -> None:
        spread = float(came.std())
        share = float(left.std()) / spread if spread > 0 else None
        measured[path] = FreshModule(slot=path, kept=share, identity=torch.equal(came, left))

    removals = []
    try:
        for path, slot in filled(model).items():
            # A unit's place is called with the input and the result that it may replace: the last is what arrives.
            hook = slot.register_forward_hook(lambda _, args, out, path=path: note(path, args[-1], out))
            removals.append(hook.remove)
        noise = torch.randn(2, 3, *height_and_width(size), generator=torch.Generator().manual_seed(0))
        model(noise.to(next(model.parameters()).device))
    finally:
        for remove in removals:
            remove()
    return tuple(measured.values())


UNTRAINED = "Untrained: its weights are random, so its predictions and channel weights mean nothing."


def warning(report: LoadReport | None, renamed: Sequence[str] = ()) -> str | None:
    """What to know before reading a network's predictions; None if it was trained as it stands.

    Args:
        renamed: a sentence for each former name in which the network was asked for.
    """
    parts = list(renamed)
    if report is None:
        return " ".join((*parts, UNTRAINED))
    if report.fresh:
        parts.append(_fresh_sentence(report.fresh))
    if report.notes:
        parts.append(" ".join(report.notes))
    return " ".join(parts) or None


def _fresh_sentence(fresh: tuple[FreshModule, ...]) -> str:
    count = f"{len(fresh)} module" + ("s" if len(fresh) > 1 else "")
    where = fresh[0].slot if len(fresh) == 1 else f"{fresh[0].slot} to {fresh[-1].slot}"
    sentence = f"The backbone is trained, its attention is not: {count} at {where} "
    sentence += "is fresh" if len(fresh) == 1 else "are fresh"
    if all(slot.identity for slot in fresh):
        return f"{sentence} and {'passes' if len(fresh) == 1 else 'pass'} the input through unchanged."
    shares = [slot.kept for slot in fresh if slot.kept is not None]
    if not shares:
        return f"{sentence}."
    span = f"{min(shares):.2f}" if max(shares) - min(shares) < 0.01 else f"{min(shares):.2f} to {max(shares):.2f}"
    return (
        f"{sentence} and {'leaves' if len(fresh) == 1 else 'leave'} {span} of the activations' standard deviation, "
        "measured on noise. The layers after that were not trained for it, so its predictions are not the backbone's."
    )


def bare(variant: Variant) -> Variant:
    """What identifies a checkpoint: the network alone, without weights, seed and number of classes."""
    return variant.model_copy(update={"weights": None, "seed": 0, "classes": None})


def checkpoint_name(variant: Variant) -> str:
    """The file name of a checkpoint without its ending: the short name with dashes."""
    return "".join(letter if letter.isalnum() or letter in "=." else "-" for letter in bare(variant).name).strip("-")
